"""Recomputes retrieval.csv from the dataset and the saved weights of `dssm` (fields of single ids, no options that change the
tower's form), with NumPy, and NDCG with scikit-learn; intervals over users and over seeds with SciPy.

usage: check_retrieval.py RESULTS DATASET      exit code 1 and a line on stderr for each figure that differs

Every user with a test click on an item that may be returned is judged (users: 0), with the user's fields of the first test
row. What an index returns is found again without FAISS: Flat all that there is, IVF the items of the nprobe lists whose
centroids, read from the saved index, have the largest products with the user's vector. Figures of HNSW, whose walk is not
repeated here (it need not find everything, however wide: its graph may be in parts), are only held between 0 and 1.
"""
import csv
import json
import os
import struct
import sys

import numpy as np
from scipy import stats
from sklearn.metrics import dcg_score


def weights(path):
    with open(path, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        head = json.loads(f.read(size))
        data = f.read()
    return {k: np.frombuffer(data[v["data_offsets"][0]:v["data_offsets"][1]], "<f4").reshape(v["shape"]).astype(np.float64)
            for k, v in head.items() if k != "__metadata__"}


def tower(w, side, values):
    x = np.concatenate([w["embedding." + f][v] for f, v in values], axis=1)
    layers = sum(k.startswith(side + ".") and k.endswith(".weight") for k in w)
    for i in range(layers):
        x = x @ w[f"{side}.{i}.weight"].T + w[f"{side}.{i}.bias"]
        if i + 1 < layers:
            x = np.maximum(x, 0)
    return x


def table(data, folder, fields):
    path = os.path.join(data, folder, "%s.npy")
    return [(f, np.load(path % f)) for f in fields if os.path.exists(path % f)]


def first_test_rows(data):
    """Of each user; row 0 of the log for users without one, who are not judged."""
    begin, end = json.load(open(os.path.join(data, "dataset.json")))["split"]["test"]
    user = np.load(os.path.join(data, "rows", "user.npy"))
    first = np.zeros(json.load(open(os.path.join(data, "dataset.json")))["users"], int)
    first[user[begin:end][::-1]] = np.arange(end - 1, begin - 1, -1)
    return first


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
            yield u, s, clicked


def ivf_lists(path):
    """Centroids and the items of each list, from a file of FAISS: IndexIVFFlat over IndexFlat with inner products."""
    with open(path, "rb") as f:
        def read(form):
            return struct.unpack("<" + form, f.read(struct.calcsize("<" + form)))

        def header():
            d, _, _, _, trained, metric = read("iqqqbi")
            assert trained and metric == 0, path
            return d

        assert f.read(4) == b"IwFl", path
        d, (lists, _) = header(), read("QQ")
        assert f.read(4) == b"IxFI" and header() == d, path
        floats, = read("Q")
        centroids = np.frombuffer(f.read(4 * floats), "<f4").reshape(lists, d).astype(np.float64)
        assert read("bQ") == (0, 0), path  # no map from ids to lists
        assert f.read(4) == b"ilar" and read("QQ") == (lists, 4 * d), path
        form, (n,) = f.read(4), read("Q")
        sizes = np.frombuffer(f.read(8 * n), "<u8")
        if form == b"sprs":  # few lists hold anything: (list, size) pairs
            full = np.zeros(lists, np.uint64)
            full[sizes[0::2]] = sizes[1::2]
            sizes = full
        members = []
        for size in sizes:
            f.seek(int(size) * 4 * d, 1)
            members.append(np.frombuffer(f.read(8 * int(size)), "<i8") + 1)  # the index counts from item 1
    return centroids, members


def reached(results, run, r, vectors, n_items):
    """Whether the index looks at an item, per user; None when that cannot be said."""
    everything = np.ones((len(vectors), n_items), bool)
    if r["index"] == "Flat":
        return everything
    if not r["index"].startswith("IVF"):
        return None
    centroids, members = ivf_lists(os.path.join(results, "models", run + "." + r["index"].replace(",", "-") + ".index"))
    assert sorted(np.concatenate(members)) == list(range(1, n_items)), "the lists hold other items"
    nearest = np.argsort(-(vectors @ centroids.T), axis=1, kind="stable")[:, :int(r["value"])]
    for seen, lists in zip(everything, nearest):
        seen[:] = False
        seen[np.concatenate([members[k] for k in lists])] = True
    return everything


def figures(users, reach, k, favour):
    """Of the best k that are reached. `favour` is added to the scores of clicked items: what rounding could have made of near
    ties; and, as it is, a score that differs from the exact k-th by no more is as good."""
    hit, ndcg, found, recall = [], [], [], []
    for u, s, clicked in users:
        s = s + favour * clicked
        best = np.sort(s[np.isfinite(s)])[::-1][:k]
        s = np.where(reach[u], s, -np.inf)
        order = np.argsort(-s, kind="stable")  # equal scores (items of the same fields) in the order of item numbers
        top = order[:k][np.isfinite(s[order[:k]])]
        hit.append(clicked[top].any())
        found.append(clicked[top].sum() / clicked.sum())
        recall.append(min(1, np.sum(s[top] >= best[-1] - 2 * max(favour, 0)) / len(best)) if len(best) else 1)
        place = np.empty(len(s))  # no ties, so that scikit-learn has nothing to average over
        place[order] = -np.arange(len(s))
        ndcg.append(dcg_score([clicked & np.isfinite(s)], [place], k=k) / dcg_score([clicked], [clicked + 0], k=k))
    return {"hr": hit, "ndcg": ndcg, "click_recall": found, "recall": recall}


def over_users(values):
    """The mean's percentile interval."""
    b = stats.bootstrap((np.asarray(values),), np.mean, n_resamples=4000, method="percentile", batch=500,
                        random_state=np.random.default_rng(3))
    return b.confidence_interval.low, b.confidence_interval.high, b.standard_error


def check_users(r, column, values, name, expect):
    """The interval of 1000 resamples: SciPy's but for chance (a tail of theirs has a standard error of some .08 of the mean's) and a step of one user."""
    lo, hi, se = over_users(values)
    for end, want in (("lo", lo), ("hi", hi)):
        got = float(r[f"{column}_{end}"])
        expect(abs(got - want) <= 0.35 * se + 1 / len(values), f"{name}: {column}_{end} is {got}, SciPy says {want}")


def check_mean(r, seeds, name, expect):
    expect(int(r["seeds"]) == len(seeds), f"{name}: {r['seeds']} seeds")
    for c in ("recall", "hr", "ndcg", "click_recall", "exact_hr", "qps", "p50_us", "mean_us", "build_seconds"):
        of_seed = np.array([float(s[c]) for s, _ in seeds])
        expect(np.isclose(float(r[c]), of_seed.mean(), rtol=1e-6), f"{name}: {c} {r[c]} is no mean of {of_seed}")
        interval = {"p50_us": "p50_seeds_{}_us"}.get(c, c + "_seeds_{}")
        if interval.format("lo") not in r:
            continue
        half = stats.sem(of_seed) * stats.t.ppf(0.975, len(seeds) - 1)
        for end, want in (("lo", of_seed.mean() - half), ("hi", of_seed.mean() + half)):
            got = float(r[interval.format(end)])
            expect(np.isclose(got, want, rtol=1e-5, atol=1e-7), f"{name}: {interval.format(end)} is {got}, SciPy says {want}")
    if seeds[0][1]:
        for column in ("hr", "ndcg", "click_recall"):
            check_users(r, column, np.mean([v[column] for _, v in seeds], axis=0), name, expect)


def check_figures(r, prefix, users, reach, slack, name, expect):
    """Returns the users' values."""
    least, most = (figures(users, reach, int(r["topk"]), sign * slack) for sign in (-1, 1))
    for column in least if not prefix else ("hr", "ndcg", "click_recall"):
        lo, hi, got = np.mean(least[column]), np.mean(most[column]), float(r[prefix + column])
        expect(hi - lo < 0.01, f"{name}: {column} hangs on rounding: {lo} to {hi}")
        expect(lo - 1e-8 <= got <= hi + 1e-8, f"{name}: {prefix}{column} is {got}, NumPy says {lo:.9g} to {hi:.9g}")
    return least


def main(results, data):
    wrong = 0
    recomputed = set()

    def expect(good, text):
        nonlocal wrong
        if not good:
            wrong += 1
            print(text, file=sys.stderr)

    with open(os.path.join(results, "retrieval.csv")) as f:
        rows = list(csv.DictReader(f))
    moment = first_test_rows(data)
    of_seeds = {}  # index, parameter, value, topk -> rows of seeds, each with the users' values
    for r in rows:
        key = tuple(r[c] for c in ("variant", "features", "index", "parameter", "value", "topk"))
        name = "{seed} {index} {parameter} {value} top {topk}".format(**r)
        if r["seed"] == "mean":
            check_mean(r, of_seeds[key], name, expect)
            continue
        run = "{variant}.{features}.{seed}".format(**r)
        fields = json.load(open(os.path.join(results, "models", run + ".json")))["fields"]
        w = weights(os.path.join(results, "models", run + ".safetensors"))
        sides = {side: [f for f, _ in table(data, side + "s", fields)] for side in ("user", "item")}
        u = tower(w, "user", [(f, v[moment]) for f, v in table(data, "rows", sides["user"])])
        v = tower(w, "item", table(data, "items", sides["item"]))
        users = list(judged(data, u @ v.T, r["exclude"]))
        expect(int(r["users"]) == len(users), f"{name}: {r['users']} users, not {len(users)}")
        expect(int(r["items"]) == len(v) - 1 and int(r["dim"]) == v.shape[1], f"{name}: another item set")
        slack = 1e-6 * np.linalg.norm(u, axis=1).max() * np.linalg.norm(v, axis=1).max()
        check_figures(r, "exact_", users, np.ones((len(u), len(v)), bool), slack, name, expect)
        reach = reached(results, run, r, u, len(v))
        of_seeds.setdefault(key, []).append((r, None))
        if reach is None:
            for c in ("recall", "click_recall", "hr"):
                expect(0 <= float(r[c]) <= 1, f"{name}: {c} is {r[c]}")
            continue
        recomputed.add(r["index"])
        found = check_figures(r, "", users, reach, slack, name, expect)
        of_seeds[key][-1] = (r, found)
        for column in ("hr", "ndcg", "click_recall"):
            check_users(r, column, found[column], name, expect)
        whole = reach[:, 1:].all()
        expect(not whole or float(r["recall"]) == 1, f"{name}: recall {r['recall']} of an index that looks at everything")
    for seeds in of_seeds.values():
        expect(len(seeds) == 1 or sum(r["seed"] == "mean" for r in rows) == len(of_seeds), "a mean is missing")
    kinds = {r["index"] for r in rows if not r["index"].startswith("HNSW")}
    expect("Flat" in kinds and recomputed == kinds, f"recomputed are only {recomputed} of {kinds}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
