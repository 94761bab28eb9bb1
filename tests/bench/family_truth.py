#!/usr/bin/python3
"""What the model family must show where the truth is known (configs/family-synthetic-*.yaml):

  pair      planted pair effects: COLD beats every two-tower
  history   planted history effects: din beats COLD
  plain     neither: a two-tower comes within the interval of the best possible AUC

AUC is scikit-learn's, of the mean logit over the seeds; an interval is a bootstrap over users (paired for differences). The best
possible AUC is that of bayes_p, the true probability of each test row.

Usage: family_truth.py PRERANK FOLDER [--small]        --small: fewer rows, one seed, the models that matter
"""
import csv
import os
import subprocess
import sys

import numpy as np
from sklearn.metrics import roc_auc_score

RESAMPLES = 200
TOWERS = ("dssm", "senet", "parallel", "dat", "inttower")
SMALL = {
    "plain": ["variants=[{dssm: {embedding_std: 0.1}}]"],
    "pair": ["variants=[{dssm: {embedding_std: 0.1}},{cold: {embedding_std: 0.1}}]"],
    "history": ["variants=[{cold: {embedding_std: 0.1}},{din: {embedding_std: 0.1}}]"],
}
FEWER = ["seeds=[1]", "data.synthetic.rows=60k", "data.synthetic.vocab=20", "train.epochs=4"]


def run(prerank, folder, name, small):
    out, data = os.path.join(folder, name), os.path.join(folder, "data-" + name)
    sets = ["data_dir=" + data] + (SMALL[name] + FEWER if small else [])
    config = "configs/family-synthetic-%s.yaml" % name
    command = [prerank, "run", config, "--out", out, "--quiet", "--no-report"]
    for text in sets:
        command += ["--set", text]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out, data


class Test:
    """The test split: labels, users, the truth, and each variant's mean logit."""

    def __init__(self, out, data):
        self.logit, seeds = {}, {}
        for file in sorted(os.listdir(os.path.join(out, "predictions"))):
            with open(os.path.join(out, "predictions", file)) as f:
                rows = list(csv.DictReader(f))
            score = np.array([float(r["score"]) for r in rows])
            variant = file.split(".")[0]
            self.logit[variant] = self.logit.get(variant, 0) + score
            seeds[variant] = seeds.get(variant, 0) + 1
            self.row = np.array([int(r["row"]) for r in rows])
            self.user = np.array([int(r["user"]) for r in rows])
            self.label = np.array([int(r["label"]) for r in rows])
        assert len(set(seeds.values())) == 1, "runs failed: %s" % seeds
        stored = np.load(os.path.join(data, "rows", "row.npy"))
        p = np.load(os.path.join(data, "rows", "keep.bayes_p.npy"))
        place = {r: i for i, r in enumerate(stored)}
        self.logit["truth"] = p[[place[r] for r in self.row]]
        order = np.argsort(self.user, kind="stable")
        self.by_user = np.split(order, np.flatnonzero(np.diff(self.user[order])) + 1)

    def auc(self, variant, rows=slice(None)):
        return roc_auc_score(self.label[rows], self.logit[variant][rows])

    def difference(self, a, b):
        """auc(a) - auc(b) and its 95 % interval."""
        rng, values = np.random.default_rng(1), []
        for _ in range(RESAMPLES):
            chosen = rng.integers(0, len(self.by_user), len(self.by_user))
            rows = np.concatenate([self.by_user[u] for u in chosen])
            values.append(self.auc(a, rows) - self.auc(b, rows))
        return self.auc(a) - self.auc(b), *np.quantile(values, [0.025, 0.975])

    def interval(self, variant):
        rng, values = np.random.default_rng(2), []
        for _ in range(RESAMPLES):
            chosen = rng.integers(0, len(self.by_user), len(self.by_user))
            values.append(self.auc(variant, np.concatenate([self.by_user[u] for u in chosen])))
        return np.quantile(values, [0.025, 0.975])


def claim(ok, text):
    print("%-4s %s" % ("ok" if ok else "FAIL", text))
    return ok


def beats(test, a, b):
    d, lo, hi = test.difference(a, b)
    return claim(lo > 0, "%s beats %s by %.4f (%.4f .. %.4f)" % (a, b, d, lo, hi))


def check(name, test):
    models = [m for m in TOWERS + ("cold", "din") if m in test.logit]
    print("%s: AUC of the truth %.4f; %s" % (name, test.auc("truth"), ", ".join(
        "%s %.4f" % (m, test.auc(m)) for m in models)))
    if name == "pair":
        return all([beats(test, "cold", m) for m in models if m in TOWERS])
    if name == "history":
        return beats(test, "din", "cold")
    lo, hi = test.interval("truth")
    best = max((m for m in models if m in TOWERS), key=test.auc)
    print("     interval of the truth %.4f .. %.4f" % (lo, hi))
    return all([claim(test.auc(m) >= lo, "%s is within it: %.4f" % (m, test.auc(m))) for m in ("dssm", best)])


def main():
    prerank, folder, small = sys.argv[1], sys.argv[2], "--small" in sys.argv
    ok = True
    for name in SMALL:
        ok &= check(name, Test(*run(prerank, folder, name, small)))
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
