"""Recomputes retrieval.csv from the dataset and the saved weights of `dssm` (fields of single ids, no options that change the
tower's form), with NumPy, and NDCG with scikit-learn.

usage: check_retrieval.py RESULTS DATASET      exit code 1 and a line on stderr for each figure that differs

Every user with a test click on an item that may be returned is judged (users: 0). Rows of the exact index Flat must have recall 1
and exactly the exact result's metrics; other indexes at most recall 1.
"""
import csv
import json
import os
import struct
import sys

import numpy as np
from sklearn.metrics import ndcg_score


def weights(path):
    with open(path, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        head = json.loads(f.read(size))
        data = f.read()
    return {k: np.frombuffer(data[v["data_offsets"][0]:v["data_offsets"][1]], "<f4").reshape(v["shape"]).astype(np.float64)
            for k, v in head.items() if k != "__metadata__"}


def tower(w, side, table, fields):
    x = np.concatenate([w["embedding." + f][np.load(os.path.join(table, f + ".npy"))] for f in fields], axis=1)
    layers = sum(k.startswith(side + ".") and k.endswith(".weight") for k in w)
    for i in range(layers):
        x = x @ w[f"{side}.{i}.weight"].T + w[f"{side}.{i}.bias"]
        if i + 1 < layers:
            x = np.maximum(x, 0)
    return x


def judged(data, scores, exclude):
    """Per user that counts: scores of the items that may be returned (others -inf), and which are clicked."""
    meta = json.load(open(os.path.join(data, "dataset.json")))
    user, item, label = (np.load(os.path.join(data, "rows", f + ".npy")) for f in ("user", "item", "label"))
    train, test = (slice(*meta["split"][s]) for s in ("train", "test"))
    for u in range(meta["users"]):
        s = scores[u].copy()
        s[0] = -np.inf
        if exclude == "seen":
            s[item[train][user[train] == u]] = -np.inf
        clicked = np.zeros(len(s), bool)
        clicked[item[test][(user[test] == u) & (label[test] == 1)]] = True
        clicked &= np.isfinite(s)
        if clicked.any():
            yield s, clicked


def figures(users, k, favour):
    """`favour` is added to the scores of clicked items: what rounding could have made of near ties."""
    hit, ndcg, found = [], [], []
    for s, clicked in users:
        s = s + favour * clicked
        order = np.argsort(-s, kind="stable")  # equal scores (items of the same fields) in the order of item numbers
        top = order[:k][np.isfinite(s[order[:k]])]
        hit.append(clicked[top].any())
        found.append(clicked[top].sum() / clicked.sum())
        place = np.empty(len(s))  # no ties, so that scikit-learn has nothing to average over
        place[order] = -np.arange(len(s))
        ndcg.append(ndcg_score([clicked], [place], k=k))
    return {"exact_hr": np.mean(hit), "exact_ndcg": np.mean(ndcg), "exact_click_recall": np.mean(found)}


def main(results, data):
    wrong = flat = 0

    def expect(good, text):
        nonlocal wrong
        if not good:
            wrong += 1
            print(text, file=sys.stderr)

    with open(os.path.join(results, "retrieval.csv")) as f:
        rows = list(csv.DictReader(f))
    for r in rows:
        run = "{variant}.{features}.{seed}".format(**r)
        fields = json.load(open(os.path.join(results, "models", run + ".json")))["fields"]
        w = weights(os.path.join(results, "models", run + ".safetensors"))
        sides = {side: [f for f in fields if os.path.exists(os.path.join(data, side + "s", f + ".npy"))]
                 for side in ("user", "item")}
        u, v = (tower(w, side, os.path.join(data, side + "s"), sides[side]) for side in ("user", "item"))
        users = list(judged(data, u @ v.T, r["exclude"]))
        name = "{index} {parameter} {value} top {topk}".format(**r)
        expect(int(r["users"]) == len(users), f"{name}: {r['users']} users, not {len(users)}")
        expect(int(r["items"]) == len(v) - 1 and int(r["dim"]) == v.shape[1], f"{name}: another item set")
        slack = 1e-6 * np.linalg.norm(u, axis=1).max() * np.linalg.norm(v, axis=1).max()
        least, most = figures(users, int(r["topk"]), -slack), figures(users, int(r["topk"]), slack)
        flat += r["index"] == "Flat"
        for key in least:
            expect(most[key] - least[key] < 0.01, f"{name}: {key} hangs on rounding: {least[key]} to {most[key]}")
            for column in (key, key[len("exact_"):]) if r["index"] == "Flat" else (key,):
                expect(least[key] - 1e-8 <= float(r[column]) <= most[key] + 1e-8,
                       f"{name}: {column} is {r[column]}, NumPy says {least[key]:.9g} to {most[key]:.9g}")
        recall = float(r["recall"])
        expect(recall == 1 if r["index"] == "Flat" else 0 <= recall <= 1, f"{name}: recall {recall}")
    expect(flat, "no row of the index Flat")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
