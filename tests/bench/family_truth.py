#!/usr/bin/python3
"""What the model family must show where the truth is known (configs/family-synthetic-*.yaml):

  pair      planted pair effects: COLD beats every two-tower
  history   planted history effects: din beats COLD
  plain     neither: a two-tower comes within the interval of the best possible AUC
  all three nobody is above the interval of the best possible AUC

A model's AUC is the mean of its seeds' AUCs. It has two intervals: over users (a bootstrap, the same resamples for all models, so
differences are paired) and over seeds (Student's t of the seeds' AUCs or of their differences). Who beats another does so over
both. The best possible AUC is that of bayes_p, the true probability of each test row. Every AUC of all test rows is held against
scikit-learn's.

Usage: family_truth.py PRERANK FOLDER [--small]        --small: fewer rows, one seed, the models that matter
"""
import os
import subprocess
import sys

import numpy as np
import pandas
import scipy.stats
import yaml
from sklearn.metrics import roc_auc_score

RESAMPLES = 500
TOWERS = ("dssm", "senet", "parallel", "parallel-fm", "dat", "inttower", "distilled")
SMALL = {"plain": ("dssm",), "pair": TOWERS + ("cold",), "history": ("cold", "din")}
FEWER = ["seeds=[1]", "data.synthetic.vocab=20", "train.epochs=4"]
FEWER_ROWS = {"plain": "60k", "pair": "30k", "history": "60k"}


def identity(member):
    (variant, options), = member.items()
    return options.get("id", variant)


def small_sets(config, name):
    with open(config) as f:
        variants = [v for v in yaml.safe_load(f)["variants"] if identity(v) in SMALL[name]]
    text = yaml.safe_dump(variants, default_flow_style=True, width=10**6).strip()
    return FEWER + ["variants=" + text, "data.synthetic.rows=" + FEWER_ROWS[name]]


def run(prerank, folder, name, small):
    out, data = os.path.join(folder, name), os.path.join(folder, "data-" + name)
    config = "configs/family-synthetic-%s.yaml" % name
    command = [prerank, "run", config, "--out", out, "--quiet", "--no-report"]
    for text in ["data_dir=" + data] + (small_sets(config, name) if small else []):
        command += ["--set", text]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out, data


class Test:
    """The test split: auc[model] is (seeds, 1 + RESAMPLES), the first column of all rows as they are; so is auc["truth"] (1, ...)."""

    def __init__(self, out, data):
        self.auc, self.row, by_model = {}, None, {}
        for file in sorted(os.listdir(os.path.join(out, "predictions"))):
            variant, features, seed, _ = file.split(".")
            rows = pandas.read_csv(os.path.join(out, "predictions", file), float_precision="round_trip")
            if self.row is None:
                self.take_rows(rows)
            assert (rows["row"].to_numpy() == self.row).all(), "other rows in " + file
            model = variant if features == "all" else variant + "/" + features
            by_model.setdefault(model, {})[seed] = rows["score"].to_numpy()
        assert len({tuple(sorted(m)) for m in by_model.values()}) == 1, "runs failed: %s" % {
            m: sorted(s) for m, s in by_model.items()}
        for model, scores in by_model.items():
            self.auc[model] = np.array([self.resampled(scores[seed]) for seed in sorted(scores)])
        p = np.load(os.path.join(data, "rows", "keep.bayes_p.npy"))
        place = {r: i for i, r in enumerate(np.load(os.path.join(data, "rows", "row.npy")))}
        self.auc["truth"] = self.resampled(p[[place[r] for r in self.row]])[None]

    def take_rows(self, rows):
        self.row, self.label = rows["row"].to_numpy(), rows["label"].to_numpy()
        users, user = np.unique(rows["user"].to_numpy(), return_inverse=True)
        drawn = np.random.default_rng(1).multinomial(len(users), np.full(len(users), 1 / len(users)), RESAMPLES)
        self.times = np.vstack([np.ones(len(user)), drawn[:, user]])  # how often each row is there

    def resampled(self, score):
        """AUC of the rows and of each resample of users: the share of pairs in order, equal scores by half."""
        order = np.argsort(score, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
        times, label = self.times[:, order], self.label[order]
        clicked = np.add.reduceat(times * label, starts, axis=1)
        other = np.add.reduceat(times * (1 - label), starts, axis=1)
        below = np.cumsum(other, axis=1) - other / 2
        auc = (clicked * below).sum(axis=1) / (clicked.sum(axis=1) * other.sum(axis=1))
        assert abs(auc[0] - roc_auc_score(self.label, score)) < 1e-9
        return auc


class Estimate:
    """The mean over seeds of (seeds, 1 + RESAMPLES) values and its 95 % intervals; over one seed there is none."""

    def __init__(self, values):
        mean, seeds = values.mean(axis=0), values[:, 0]
        self.value, self.users, self.seeds = mean[0], np.quantile(mean[1:], [0.025, 0.975]), None
        if len(seeds) > 1:
            half = scipy.stats.t.ppf(0.975, len(seeds) - 1) * scipy.stats.sem(seeds)
            self.seeds = self.value - half, self.value + half

    def __str__(self):
        text = "%.4f, over users %.4f .. %.4f" % (self.value, *self.users)
        return text + (", over seeds %.4f .. %.4f" % self.seeds if self.seeds else "")


def claim(ok, text):
    print("%-4s %s" % ("ok" if ok else "FAIL", text))
    return ok


def beats(test, a, b):
    d = Estimate(test.auc[a] - test.auc[b])
    return claim(d.users[0] > 0 and (not d.seeds or d.seeds[0] > 0), "%s beats %s by %s" % (a, b, d))


def check(name, test):
    mean = {m: Estimate(a) for m, a in test.auc.items()}
    truth = mean.pop("truth")
    towers = [m for m in TOWERS if m in mean]
    best = max(mean, key=lambda m: mean[m].value)
    print("%s: AUC of the truth %s" % (name, truth))
    for m, a in mean.items():
        print("     %-16s %s" % (m, a))
    ok = claim(mean[best].value <= truth.users[1], "nobody is above the truth's interval: at most %s" % best)
    if name == "pair":
        return all([beats(test, "cold", m) for m in towers]) and ok
    if name == "history":
        return beats(test, "din", "cold") and ok
    nearest = max(towers, key=lambda m: mean[m].value)
    return all([claim(mean[m].value >= truth.users[0], "%s is within it" % m) for m in dict.fromkeys(("dssm", nearest))]) and ok


def main():
    prerank, folder, small = sys.argv[1], sys.argv[2], "--small" in sys.argv
    ok = True
    for name in SMALL:
        ok &= check(name, Test(*run(prerank, folder, name, small)))
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
