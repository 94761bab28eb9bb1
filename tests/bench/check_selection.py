"""Recomputes selection.csv from effect.csv, tradeoff.csv and subsets.csv with NumPy, pandas and SciPy: areas under the curves of
GAUC over K by the trapezoid rule, their t interval over seeds, and the exact mean over response time.

usage: check_selection.py RESULTS      exit code 1 and a line on stderr for each figure that differs
"""
import math
import os
import sys

import numpy as np
import pandas as pd
from scipy import stats

RT_STEPS = 2000  # of prerank's midpoint rule; the integral here is exact
wrong = checked = 0


def differs(name, is_, want, tolerance=2e-8):
    global wrong, checked
    checked += 1
    if not (math.isnan(is_) and math.isnan(want)) and not abs(is_ - want) <= tolerance:
        wrong += 1
        print(f"{name}: is {is_}, should be {want}", file=sys.stderr)


def area(k, height):
    return np.trapz(height, k) / (k[-1] - k[0]) if len(k) > 1 else height[0]


def area_over_time(curve, lo, hi):
    """Mean height of a staircase: at each time the test GAUC of what validation prefers among the points as fast, 1/2 before the first.
    Returns it and how far the midpoint rule may be from it: half a step at each edge of a stair."""
    edges = np.unique(np.clip(np.append(curve.p50_us, [lo, hi]), lo, hi))
    total = near = 0.0
    last = None
    for left, right in zip(edges, edges[1:]):
        ready = curve[curve.p50_us <= left]
        height = ready.gauc.to_numpy()[int(np.argmax(ready.valid))] if len(ready) else 0.5
        total += (right - left) * height
        near += 0.0 if last is None else abs(height - last) / (2 * RT_STEPS)
        last = height
    return total / (hi - lo), near + 1e-8


def main(folder):
    read = lambda name: pd.read_csv(os.path.join(folder, name))  # noqa: E731
    effect, subsets, said = read("effect.csv"), read("subsets.csv"), read("selection.csv")
    effect = effect[(effect.status == "ok") & effect.split.isin(["test", "valid"])]
    gauc = effect.pivot_table(index=["variant", "features"], columns=["split", "seed"], values="gauc")
    points = read("tradeoff.csv")
    points = points[(points.precision == "fp32") & (points.candidates == points.candidates.max())]
    time = points.groupby(["variant", "features"]).p50_us.min()
    differs("rows", len(said), len(subsets.drop_duplicates(["variant", "selector"])))
    for variant, mine in subsets.groupby("variant"):
        curves = {s: c.sort_values("k") for s, c in mine.groupby("selector")}
        shared = sorted(set.intersection(*(set(c.k) for c in curves.values())))
        every = time[[(variant, f) for f in mine.features]]
        for selector, c in curves.items():
            row = said[(said.variant == variant) & (said.selector == selector)].iloc[0]
            name = f"{variant}, {selector}: "
            heights = gauc.loc[[(variant, f) for f in c[c.k.isin(shared)].features]]
            by_seed = np.array([area(shared, heights[("test", seed)].to_numpy()) for seed in heights["test"].columns])
            differs(name + "points", row.points, len(c))
            differs(name + "area", row.area, area(shared, heights["test"].mean(axis=1).to_numpy()))
            differs(name + "area_valid", row.area_valid, area(shared, heights["valid"].mean(axis=1).to_numpy()))
            lo = hi = math.nan
            if len(by_seed) > 1:
                lo, hi = stats.t.interval(0.95, len(by_seed) - 1, by_seed.mean(), stats.sem(by_seed))
            differs(name + "area_lo", row.area_lo, lo)
            differs(name + "area_hi", row.area_hi, hi)
            keys = [(variant, f) for f in c.features]
            curve = pd.DataFrame({"p50_us": time[keys].to_numpy(), "gauc": gauc.loc[keys]["test"].mean(axis=1).to_numpy(),
                                  "valid": gauc.loc[keys]["valid"].mean(axis=1).to_numpy()})
            differs(name + "area_rt", row.area_rt, *area_over_time(curve, every.min(), every.max()))
    print(f"{checked} figures, {wrong} differ")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
