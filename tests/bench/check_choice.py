"""Recomputes the choice of a results folder and every figure of its explanation from effect.csv, compute.csv, precision.csv,
subsets.csv and predictions/, with pandas and SciPy. The budget is that of chosen.json.

usage: check_choice.py RESULTS      exit code 1 and a line on stderr for each figure that differs
"""
import json
import math
import operator
import os
import re
import sys

import numpy as np
import pandas as pd
from scipy import stats

COMPARE = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt, "==": operator.eq}
wrong = checked = 0


def differs(name, is_, want, tolerance=1e-6):
    global wrong, checked
    checked += 1
    is_ = math.nan if is_ is None else is_
    same = is_ == want if isinstance(want, (str, bool)) else (math.isnan(is_) and math.isnan(want)) or abs(is_ - want) <= tolerance
    if not same:
        wrong += 1
        print(f"{name}: is {is_}, should be {want}", file=sys.stderr)


def t_interval(values):
    values = np.asarray(values, float)
    if len(values) < 2:
        return math.nan, math.nan
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return values.mean() - half, values.mean() + half


def load_points(folder):
    """A row per model as measured in a closed loop, with its quality as served."""
    effect = pd.read_csv(os.path.join(folder, "effect.csv"))
    effect = effect[effect.status == "ok"]
    quality = []
    for (variant, features), g in effect.groupby(["variant", "features"], sort=False):
        test, valid = g[g.split == "test"], g[g.split == "valid"]
        lo, hi = t_interval(test.gauc) if len(test) > 1 else (test.gauc_lo.iloc[0], test.gauc_hi.iloc[0])
        quality.append((variant, features, test.gauc.mean(), lo, hi, valid.gauc.mean(), test.n_features.iloc[0], test.params.mean()))
    quality = pd.DataFrame(quality, columns=["variant", "features", "gauc", "lo", "hi", "valid", "n_features", "params"])
    compute = pd.read_csv(os.path.join(folder, "compute.csv"))
    compute = compute[compute.candidates_from.isna()]
    same = ["variant", "features", "precision", "store", "candidates", "threads"]
    usable = compute[compute.load == "usable"][same + ["qps", "limit_ms", "verdict"]]
    usable = usable.rename(columns={"qps": "usable", "limit_ms": "usable_limit_ms", "verdict": "usable_verdict"})
    points = quality.merge(compute[compute.load == "closed"], on=["variant", "features"]).merge(usable, on=same, how="left")
    points["usable_verdict"] = points.usable_verdict.fillna("").astype(str)
    path = os.path.join(folder, "precision.csv")
    if os.path.exists(path):
        lower = pd.read_csv(path).groupby(["variant", "features", "precision", "split"]).gauc_delta.mean()
        trained = names(folder)
        for i, p in points[points.precision != "fp32"].iterrows():
            key = (p.variant, trained.get((p.variant, p.features), p.features), p.precision)
            for split, columns in (("test", ["gauc", "lo", "hi"]), ("valid", ["valid"])):
                points.loc[i, columns] += lower[key + (split,)]
    points["rate"] = points.usable.fillna(points.qps)
    points["complete"] = (points.verdict != "items missing") & (points.usable_verdict != "items missing")
    points["doubtful"] = (points.verdict != "ok") | ~points.usable_verdict.isin(["", "ok", "overloaded"])
    return points


def names(folder):
    path = os.path.join(folder, "subsets.csv")
    if not os.path.exists(path):
        return {}
    return {(r.variant, r.features): r.trained_as for r in pd.read_csv(path).itertuples()}


def keeps(points, budget):
    column = {"p50_ms": points.p50_us / 1e3, "p95_ms": points.p95_us / 1e3, "p99_ms": points.p99_us / 1e3, "qps": points.rate}
    fit = pd.Series(True, index=points.index)
    for bound in filter(None, budget.split(" and ")):
        metric, sign, value = bound.split()
        fit &= COMPARE[sign](column.get(metric, points.get(metric)), float(value))
    return fit


def user_auc(folder, variant, features, precision, seed):
    """AUC and rows of each user with both classes, by the rank sum, with the scores of that precision."""
    lower = [] if precision == "fp32" else [precision]
    p = pd.read_csv(os.path.join(folder, "predictions", *lower, f"{variant}.{features}.{seed}.csv"))
    p["rank"] = p.score.astype(np.float32).groupby(p.user).rank()
    g = p.groupby("user").agg(n=("label", "size"), pos=("label", "sum"))
    g["sum"] = p[p.label == 1].groupby("user")["rank"].sum()
    g = g[(g.pos > 0) & (g.pos < g.n)]
    return (g["sum"] - g.pos * (g.pos + 1) / 2) / (g.pos * (g.n - g.pos)), g.n


class Model:
    def __init__(self, folder, variant, features, precision, seeds):
        runs = [user_auc(folder, variant, features, precision, seed) for seed in seeds]
        self.weight = runs[0][1]
        self.by_seed = [np.average(auc, weights=n) for auc, n in runs]
        self.user = sum(auc for auc, _ in runs) / len(runs)


def difference(a, b, rng):
    """a - b: GAUC of the users' means over the seeds, its bootstrap interval over users, its t interval over seeds."""
    w, d = a.weight.to_numpy(float), (a.user - b.user).to_numpy()
    pick = rng.integers(0, len(d), (4000, len(d)))
    lo, hi = np.quantile((w[pick] * d[pick]).sum(1) / w[pick].sum(1), [0.025, 0.975])
    return (w * d).sum() / w.sum(), lo, hi, *t_interval(np.subtract(a.by_seed, b.by_seed))


def check_point(name, is_, want):
    if is_ is None:
        differs(name, "nothing", f"{want.variant} {want.features}")
        return
    for key in ("variant", "features", "precision", "store", "verdict", "usable_verdict"):
        differs(f"{name} {key}", is_[key], want[key])
    for key, column in (("gauc", "gauc"), ("gauc_lo", "lo"), ("gauc_hi", "hi"), ("gauc_valid", "valid"), ("n_features", "n_features")):
        differs(f"{name} {key}", is_[key], want[column])
    for key, column in (("p50_us", "p50_us"), ("p99_us", "p99_us"), ("qps", "qps"), ("usable_qps", "usable"), ("usable_limit_ms", "usable_limit_ms")):
        differs(f"{name} {key}", is_[key], want[column], abs(want[column]) * 1e-6)


def check_difference(name, is_, want):
    """Everything but the bootstrap to the digits of the files; the bootstrap to a quarter of its width."""
    value, lo, hi, seeds_lo, seeds_hi = want
    differs(f"{name} difference", is_["difference"], value)
    differs(f"{name} over seeds from", is_["seeds_lo"], seeds_lo)
    differs(f"{name} over seeds to", is_["seeds_hi"], seeds_hi)
    differs(f"{name} over users from", is_["lo"], lo, (hi - lo) / 4)
    differs(f"{name} over users to", is_["hi"], hi, (hi - lo) / 4)


def check_alike(folder, c, points, pick, free, after):
    """Which models, each in a precision, cannot be told from the pick; what the budget costs, and by how much the pick leads. Where a
    bound lies so near 0 that a bootstrap decides it by chance, either will do."""
    trained, rng = names(folder), np.random.default_rng(1)
    seeds = sorted(pd.read_csv(os.path.join(folder, "effect.csv")).seed.unique())
    of = lambda p: (p.variant, trained.get((p.variant, p.features), p.features), p.precision)  # noqa: E731
    said = {(d["variant"], d["features"], d["precision"]): d for d in c["not_told_apart"]}
    mine = Model(folder, *of(pick), seeds)
    for key in sorted({of(p) for p in points.itertuples()} - {of(pick)}):
        d = difference(Model(folder, *key, seeds), mine, rng)
        value, lo, hi, seeds_lo, seeds_hi = d
        room = (hi - lo) / 4
        unsure = min(abs(lo), abs(hi)) < room
        alike = lo <= 0 <= hi or seeds_lo <= 0 <= seeds_hi
        if not unsure or seeds_lo <= 0 <= seeds_hi:
            differs(f"{key} is not told from the choice", key in said, bool(alike))
        if key in said:
            check_difference(str(key), said[key], d)
        if key == of(free) and c["budget_cost"]:
            check_difference("budget_cost", c["budget_cost"], d)
        if after is not None and key == of(after):
            check_difference("lead", c["lead"], (-value, -hi, -lo, -seeds_hi, -seeds_lo))
    differs("there is a lead", c["lead"] is not None, after is not None)
    same = sorted((p.features, p.store) for p in points.itertuples() if of(p) == of(pick) and p.Index != pick.name)
    differs("the same scores", str(sorted((p["features"], p["store"]) for p in c["same_scores"])), str(same))
    differs("the budget has a cost in test rows", c["budget_cost"] is not None, of(free) != of(pick))


def check_tradeoff(folder, points):
    key = ["variant", "features", "precision", "store", "candidates", "threads"]
    both = points.merge(pd.read_csv(os.path.join(folder, "tradeoff.csv")), on=key, suffixes=("", "_said"))
    differs("rows of tradeoff.csv", len(both), len(points))
    for p in both.itertuples():
        name = " ".join(str(getattr(p, k)) for k in key)
        differs(f"{name}: gauc", p.gauc_said, p.gauc)
        differs(f"{name}: gauc_valid", p.gauc_valid, p.valid)


def seeds_words(d):
    return "" if d["seeds_lo"] is None else f", over seeds {d['seeds_lo']:+.4f} to {d['seeds_hi']:+.4f}"


def difference_words(d):
    return f"{d['difference']:+.4f} GAUC on test, paired by user {d['lo']:+.4f} to {d['hi']:+.4f}{seeds_words(d)}; "


def check_words(c, pick, free, by_test, after):
    """The explanation says what the numbers say, rounded."""
    text, cost = c["explanation"], c["budget_cost"]
    rate = f"(QPS usable at {pick.usable_limit_ms:g} ms)" if c["qps_of"] == "usable" else "(QPS of a closed loop)"
    want = [f"{rate}: {c['fit']} of {c['points']} points fit" if "within" in text else f"of {c['points']} points",
            f"GAUC {pick.valid:.4f} on validation", f"{pick.gauc:.4f}"]
    if not math.isnan(pick.lo):
        want.append(f"(95 % interval {pick.lo:.4f} to {pick.hi:.4f}) on test")
    if after is not None:
        want += [f"with {after.valid:.4f} there; against it the choice has {difference_words(c['lead'])}"]
        told = [c["lead"][k] for k in ("lo", "seeds_lo") if c["lead"][k] is not None]
        if min(told) > 0:
            want.append("; better. ")
    else:
        want.append("No other model fits" if "within" in text else "There is no other model")
    if cost:
        want.append(difference_words(cost))
        shown = cost["lo"] > 0 and not (cost["seeds_lo"] is not None and cost["seeds_lo"] <= 0)
        want.append("that is what the budget costs" if shown else "do not show that the budget costs anything")
    elif free.name == pick.name and "within" in text:
        want.append("The budget costs nothing")
    n = len(c["not_told_apart"])
    want.append(f"do not tell it from {n} other model" if n else "Test rows tell every other model from it")
    if by_test.gauc - pick.gauc > 0:
        want.append(f"with {by_test.gauc:.4f}: {by_test.gauc - pick.gauc:.4f} of optimism")
    else:
        want.append("Test rows would have chosen the same")
    if c["doubtful"]:
        want.append(f"The verdict on {c['doubtful']} of the {c['points']} is not `ok`")
    for part in want:
        differs(f"the explanation says \"{part}\"", part in text, True)
    if re.search(r"nan|inf\b", text):
        differs("the explanation", text, "without nan")


def runner_up(folder, fit, pick):
    """The best on validation of the models that fit and have other scores than the pick: other fields, or another precision."""
    trained = names(folder)
    of = [trained.get((p.variant, p.features), p.features) for p in fit.itertuples()]
    mine = trained.get((pick.variant, pick.features), pick.features)
    other = fit[(fit.variant != pick.variant) | (np.array(of) != mine) | (fit.precision != pick.precision)]
    return None if other.empty else other.sort_values(["valid", "p50_us"], ascending=[False, True], kind="stable").iloc[0]


def main(folder):
    with open(os.path.join(folder, "chosen.json")) as f:
        chosen = json.load(f)
    points = load_points(folder)
    check_tradeoff(folder, points[points.valid.notna()])
    for c in chosen["choices"]:
        mine = points[points.candidates == c["candidates"]]
        differs("incomplete", c["incomplete"], int((~mine.complete).sum()))
        mine = mine[mine.complete & mine.valid.notna()]
        differs("doubtful", c["doubtful"], int(mine.doubtful.sum()))
        fit = mine[keeps(mine, chosen["budget"])]
        differs("points", c["points"], len(mine))
        differs("fit", c["fit"], len(fit))
        first = lambda p, by, up: p.sort_values(by, ascending=up, kind="stable").iloc[0]  # noqa: E731
        free = first(mine, ["valid", "p50_us"], [False, True])
        check_point("unconstrained", c["unconstrained"], free)
        if fit.empty:
            differs("chosen", c["chosen"] is None, True)
            continue
        pick, by_test = first(fit, ["valid", "p50_us"], [False, True]), first(fit, ["gauc"], [False])
        check_point("chosen", c["chosen"], pick)
        check_point("chosen on test", c["chosen_on_test"], by_test)
        differs("optimism", c["optimism"], by_test.gauc - pick.gauc)
        after = runner_up(folder, fit, pick)
        differs("there is a runner-up", c["runner_up"] is not None, after is not None)
        if after is not None:
            check_point("runner-up", c["runner_up"], after)
        check_alike(folder, c, mine, pick, free, after)
        check_words(c, pick, free, by_test, after)
    print(f"{checked} figures, {wrong} differ")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
