"""HR@k and NDCG@k of the one list that needs no model: the items with most clicks in the training rows, without those that the user
was shown there. Users and figures are those of retrieval.csv with `exclude: seen` and `users: 0`.

usage: most_clicked.py DATASET [K...]
"""
import json
import os
import sys

import numpy as np
from scipy import stats


def main(data, ks):
    meta = json.load(open(os.path.join(data, "dataset.json")))
    user, item, label = (np.load(os.path.join(data, "rows", f + ".npy")) for f in ("user", "item", "label"))
    train, test = (slice(*meta["split"][s]) for s in ("train", "test"))
    clicks = np.bincount(item[train][label[train] == 1], minlength=meta["items"])
    hit, ndcg = {k: [] for k in ks}, {k: [] for k in ks}
    for u in range(meta["users"]):
        score = clicks.astype(float)
        score[0] = score[item[train][user[train] == u]] = -1
        relevant = np.unique(item[test][(user[test] == u) & (label[test] == 1)])
        relevant = relevant[score[relevant] >= 0]
        order = np.argsort(-score, kind="stable")
        for k in ks if len(relevant) else ():
            found = np.isin(order[:k], relevant)
            discount = 1 / np.log2(np.arange(2, k + 2))
            hit[k].append(float(found.any()))
            ndcg[k].append(found @ discount / discount[:len(relevant)].sum())
    for k in ks:
        for name, value in (("hr", hit[k]), ("ndcg", ndcg[k])):
            ci = stats.bootstrap((value,), np.mean, method="percentile", n_resamples=2000, batch=500,
                                 random_state=np.random.default_rng(1)).confidence_interval
            print(f"{name}@{k} {np.mean(value):.4f}, 95 % over {len(value)} users {ci.low:.4f} to {ci.high:.4f}")


if __name__ == "__main__":
    main(sys.argv[1], [int(k) for k in sys.argv[2:]] or [10, 100])
