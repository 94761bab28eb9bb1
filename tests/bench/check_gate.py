#!/usr/bin/env python3
"""The GAUC gate of `prerank compare BASE NEW --json FILE` recomputed from predictions/ with NumPy and SciPy: both GAUCs, the
drop, and its interval over the seeds. tests/bench/test_compare.c runs it.

    tests/bench/check_gate.py BASE NEW FILE
"""
import glob
import json
import os
import sys

import numpy as np
from scipy import stats


def gauc(path):
    """Weighted by exposures, ties 1/2: the slow plain way."""
    d = np.genfromtxt(path, delimiter=",", names=True)
    value, weight = [], []
    for u in np.unique(d["user"]):
        y, s = d["label"][d["user"] == u], d["score"][d["user"] == u].astype(np.float32)
        pairs = s[y == 1][:, None] - s[y == 0][None, :]
        if pairs.size:
            value.append(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
            weight.append(len(y))
    return np.average(value, weights=weight)


base, new = (np.array([gauc(p) for p in sorted(glob.glob(os.path.join(d, "predictions", "*.csv")))]) for d in sys.argv[1:3])
gate = next(g for g in json.load(open(sys.argv[3]))["gates"] if g["metric"] == "gauc")
drop = base - new
lo, hi = stats.t.interval(0.95, len(drop) - 1, loc=drop.mean(), scale=stats.sem(drop))
for name, want in dict(base=base.mean(), new=new.mean(), worse=drop.mean(), seeds_lo=lo, seeds_hi=hi).items():
    assert abs(gate[name] - want) < 1e-9, f"{name} is {gate[name]}, not {want}"
print("the gate is what NumPy and SciPy make of the predictions")
