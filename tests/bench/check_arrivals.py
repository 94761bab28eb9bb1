"""Are these the arrivals of a Poisson process?  SciPy says.

usage: check_arrivals.py FILE RATE      FILE: planned times in ns, one a line; exit code 1 and a line on stderr if not
"""
import sys

import numpy as np
from scipy import stats


def main(path, rate):
    at = np.loadtxt(path) / 1e9
    gaps = np.diff(at, prepend=0)
    verdicts = {"gaps are exponential (Kolmogorov-Smirnov)": stats.kstest(gaps, "expon", (0, 1 / rate)).pvalue,
                "one gap says nothing of the next (Spearman)": stats.spearmanr(gaps[1:], gaps[:-1]).pvalue}
    counts = np.bincount((at * rate / 20).astype(int))[:-1]  # 20 expected in each
    dispersion = (counts.var(ddof=1) / counts.mean()) * (len(counts) - 1)
    tail = stats.chi2(len(counts) - 1)
    verdicts["counts vary as much as their mean"] = 2 * min(tail.cdf(dispersion), tail.sf(dispersion))
    for what, p in verdicts.items():
        if p < 0.01:
            print(f"not Poisson at {rate} a second: {what}: p = {p:.3g}", file=sys.stderr)
    return 1 if min(verdicts.values()) < 0.01 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
