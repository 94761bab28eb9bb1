"""Are the drawn candidates of requests a draw without replacement by popularity? NumPy draws the same requests again.

usage: check_drawn.py FILE      exit code 1 and a line on stderr for what differs

First line: how many training rows show each item, from item 0 on. Then three lines a request, of item numbers: what the user was shown in the
test period, what before, and the candidates.
"""
import sys

import numpy as np
from scipy import stats

REPEATS = 60


def main(path):
    with open(path) as f:
        lines = [np.array(line.split(), dtype=int) for line in f]
    shown_rows, rng, wrong = lines[0].astype(float), np.random.default_rng(1), 0
    items, known_items = len(shown_rows), np.arange(1, len(shown_rows))
    observed, drawn, tail = np.zeros(items), np.zeros((REPEATS, items)), 0
    for shown, before, candidates in zip(*[iter(lines[1:])] * 3):
        pool = np.setdiff1d(known_items, np.union1d(shown, before))
        never = pool[shown_rows[pool] == 0]
        pool = pool[shown_rows[pool] > 0]
        got = np.setdiff1d(candidates, shown)
        want = min(len(got), len(pool))
        if len(got) > len(pool) and not np.isin(pool, got).all():
            wrong += 1
            print("an item that was never shown is there, or one that the user knows, and a popular one is not", file=sys.stderr)
        if np.isin(before, got).any() and not np.isin(np.union1d(pool, never), got).all():
            wrong += 1
            print("an item that the user knows is there before there was nothing else", file=sys.stderr)
        observed += np.isin(np.arange(items), np.intersect1d(got, pool))
        tail += len(pool) - want
        p = shown_rows[pool] / shown_rows[pool].sum()
        for r in range(REPEATS):
            drawn[r, rng.choice(pool, want, replace=False, p=p)] += 1
    sd = drawn.std(0, ddof=1)
    on = sd > 0.7
    z = (observed[on] - drawn.mean(0)[on]) / (sd[on] * np.sqrt(1 + 1 / REPEATS))
    p = stats.chi2.sf((z**2).sum(), on.sum())
    print(f"{on.sum()} items, {tail} left out, largest |z| {np.abs(z).max():.2f}, chi-squared p {p:.3g}")
    if not tail or p < 1e-3 or on.sum() < 20:
        wrong += 1
        print(f"not drawn by popularity: p {p:.3g}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
