"""Recomputes slices.csv and calibration.csv of a results folder from its predictions/ and the dataset, with NumPy and scikit-learn.

usage: check_slices.py RESULTS DATASET      exit code 1 and a line on stderr for each figure that differs
"""
import csv
import glob
import json
import os
import sys

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from check_predictions import gauc_weight


def gauc(user, label, score, weight_of):
    num = den = 0.0
    for u in np.unique(user):
        y, s = label[user == u], score[user == u]
        if 0 < y.sum() < len(y):
            num += weight_of(y) * roc_auc_score(y, s)
            den += weight_of(y)
    return (num / den if den else np.nan), den


def main(results, dataset):
    meta = json.load(open(os.path.join(dataset, "dataset.json")))["split"]
    begin = {k: v[0] if isinstance(v, list) else v["begin"] for k, v in meta.items()}
    end = {k: v[1] if isinstance(v, list) else v["end"] for k, v in meta.items()}
    ids = {k: np.load(os.path.join(dataset, "rows", k + ".npy")) for k in ("user", "item")}
    train, test = slice(begin["train"], end["train"]), slice(begin["test"], end["test"])
    which = {}
    for by, once in (("user", True), ("item", False)):
        count = np.bincount(ids[by][train], minlength=ids[by].max() + 1)
        mine = ids[by][test]
        values = np.sort(count[np.unique(mine)] if once else count[mine])
        cuts = [values[len(values) * k // 4] for k in (1, 2, 3)]
        which[by] = np.searchsorted(cuts, count[mine], side="right") + 1
    wrong = checked = 0

    def differs(name, is_, want):
        nonlocal wrong, checked
        checked += 1
        if not (abs(float(is_ or "nan") - want) < 1e-6 or (not is_ and np.isnan(want))):
            wrong += 1
            print(f"{name}: is {is_}, should be {want:.9g}", file=sys.stderr)

    for r in csv.DictReader(open(os.path.join(results, "slices.csv"))):
        runs = sorted(glob.glob(os.path.join(results, "predictions", "{variant}.{features}.*.csv".format(**r))))
        keep = which[r["by"]] == int(r["slice"])
        values = []
        for path in runs:
            user, label, score = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(1, 2, 3), unpack=True)
            values.append(gauc(user[keep], label[keep], score[keep].astype(np.float32), gauc_weight(results))[0])
        name = "{variant} {features} {by} {slice}".format(**r)
        differs(name + " gauc", r["gauc"], np.mean(values))
        differs(name + " rows", r["rows"], keep.sum())
    for by in ("user", "item"):  # no slice is left out
        seen = {int(r["slice"]) for r in csv.DictReader(open(os.path.join(results, "slices.csv"))) if r["by"] == by}
        differs(by + ": slices", str(len(seen)), len(np.unique(which[by])))
    bins = list(csv.DictReader(open(os.path.join(results, "calibration.csv"))))
    for model in sorted({(r["variant"], r["features"]) for r in bins}):
        runs = glob.glob(os.path.join(results, "predictions", "%s.%s.*.csv" % model))
        data = np.concatenate([np.loadtxt(p, delimiter=",", skiprows=1, usecols=(2, 3)) for p in runs])
        label, p = data[:, 0], 1 / (1 + np.exp(-data[:, 1]))
        rows = [r for r in bins if (r["variant"], r["features"]) == model]
        order = np.argsort(p, kind="stable")
        for r, part in zip(rows, np.array_split(order, 10)):
            differs(f"{model} bin {r['bin']} rows", r["rows"], len(part))
            differs(f"{model} bin {r['bin']} predicted", r["predicted"], p[part].mean())
        # scikit-learn cuts at quantiles; where no probability stands twice at a cut, its bins are ours
        observed, predicted = calibration_curve(label, p, n_bins=10, strategy="quantile")
        if len(observed) == 10:
            checked += 1
            if max(abs(float(r["observed"]) - o) for r, o in zip(rows, observed)) > 0.05:
                wrong += 1
                print(f"{model}: observed shares are not near scikit-learn's", file=sys.stderr)
    return 1 if wrong or checked < 20 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
