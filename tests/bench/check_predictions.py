"""Recomputes AUC, GAUC (by the config's `gauc_weight`), logloss and NDCG of a results folder from its predictions/, and GAUC as
served in a lower precision, with scikit-learn.

usage: check_predictions.py RESULTS      exit code 1 and a line on stderr for each figure that differs
"""
import csv
import glob
import json
import os
import sys

import numpy as np
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score


def gauc_weight(results):
    with open(os.path.join(results, "manifest.json")) as f:
        name = json.load(f)["config"].get("gauc_weight", "exposures")
    return {"exposures": len, "positives": sum, "users": lambda labels: 1}[name]


def figures(path, weight_of):
    user, label, score = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(1, 2, 3), unpack=True)
    score = score.astype(np.float32)  # %.9g gives the float32 back
    gauc = weight = kept = 0.0
    ndcg = []
    for u in np.unique(user):
        y, s = label[user == u], score[user == u]
        if 0 < y.sum() < len(y):
            gauc += weight_of(y) * roc_auc_score(y, s)
            weight += weight_of(y)
            kept += len(y)
        if y.sum() and len(y) > 1:
            ndcg.append(ndcg_score([y], [s], k=10))
        elif y.sum():
            ndcg.append(1.0)
    p = 1 / (1 + np.exp(-score.astype(np.float64)))
    return {"auc": roc_auc_score(label, score), "gauc": gauc / weight, "gauc_kept": kept / len(label),
            "logloss": log_loss(label, p), "ndcg10": np.mean(ndcg)}


def main(results):
    wrong = checked = 0
    weight_of = gauc_weight(results)
    with open(os.path.join(results, "effect.csv")) as f:
        rows = [r for r in csv.DictReader(f) if r["split"] == "test" and r["status"] == "ok"]
    if os.path.exists(os.path.join(results, "precision.csv")):
        with open(os.path.join(results, "precision.csv")) as f:
            lower = [r for r in csv.DictReader(f) if r["split"] == "test" and r["precision"] != "fp32"]
    else:
        lower = []
    for r in rows + lower:
        name = "{variant}.{features}.{seed}.csv".format(**r)
        path = os.path.join(results, "predictions", r.get("precision", ""), name)
        for key, want in figures(path, weight_of).items():
            if key not in r or "precision" in r and key != "gauc":
                continue
            checked += 1
            if abs(float(r[key]) - want) > 1e-6:
                wrong += 1
                print(f"{name}: {key} is {r[key]}, scikit-learn says {want:.9g}", file=sys.stderr)
    if len(glob.glob(os.path.join(results, "predictions", "*.csv"))) != len(rows):
        wrong += 1
        print("predictions/ and effect.csv do not tell of the same runs", file=sys.stderr)
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
