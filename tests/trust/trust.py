#!/usr/bin/env python3
"""Does the regression gate keep its promises? docs/trust.md holds the figures of a whole run.

    tests/trust/trust.py [--build build] [--aa 100] [--slow 20] [--drop 20] [--again]

* A/A: the program against itself must raise an alarm in at most 1 comparison of 100;
* a program whose requests take 5 % longer must be found in at least 19 comparisons of 20;
* predictions on MovieLens-100K whose GAUC is .005 lower must be found (needs $PRERANK_DATA, else skipped);
* another BLAS kernel, which rounds otherwise, must be no regression.

Each comparison leaves a line in BUILD/trust/results.csv at once; a further run goes on where the last one ended, or
anew with --again. Exit code 1 when a promise is not kept.
"""
import argparse
import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np


def gauc(user, label, score):
    """GAUC weighted by exposures, ties 1/2; the slow plain way."""
    num = den = 0.0
    for u in np.unique(user):
        y, s = label[user == u], score[user == u]
        pos, neg = s[y == 1], s[y == 0]
        if len(pos) and len(neg):
            d = pos[:, None] - neg[None, :]
            num += len(y) * ((d > 0) + 0.5 * (d == 0)).mean()
            den += len(y)
    return num / den


class Trust:
    def __init__(self, args):
        self.args, self.dir = args, os.path.join(args.build, "trust")
        self.program, self.slow = os.path.join(args.build, "prerank"), os.path.join(self.dir, "prerank-slow")
        self.log = os.path.join(self.dir, "results.csv")
        os.makedirs(self.dir, exist_ok=True)
        if args.again and os.path.exists(self.log):
            os.unlink(self.log)
        self.rows = list(csv.DictReader(open(self.log))) if os.path.exists(self.log) else []

    def note(self, what, i, code, detail):
        new = not os.path.exists(self.log)
        with open(self.log, "a") as f:
            if new:
                f.write("what,i,exit_code,detail\n")
            f.write(f"{what},{i},{code},{detail}\n")
        self.rows.append({"what": what, "i": str(i), "exit_code": str(code), "detail": detail})
        print(f"{what} {i}: exit code {code}  {detail}", flush=True)

    def done(self, what, i):
        return any(r["what"] == what and r["i"] == str(i) for r in self.rows)

    def compare(self, *args):
        out = os.path.join(self.dir, "compare.json")
        r = subprocess.run([self.program, "compare", "--quiet", "--json", out, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True)
        if r.returncode not in (0, 1, 3):
            sys.exit(f"compare {' '.join(args)}: {r.stderr}")
        return r.returncode, json.load(open(out))["gates"]

    def builds(self, what, other, n):
        for i in range(1, n + 1):
            if self.done(what, i):
                continue
            code, gates = self.compare("--builds", self.program, other, "tests/trust/trust.yaml", "--no-instructions", "--out",
                                       os.path.join(self.dir, "builds"))
            worst = {m: max((g["worse"] for g in gates if g["metric"] == m and g["worse"] is not None), key=abs)
                     for m in ("p50", "p99", "qps")}
            wrong = "+".join(f"{g['metric']}@{g['variant']}" for g in gates if g["verdict"] == "regressed")
            self.note(what, i, code, " ".join(f"{m} {100 * v:+.2f} %" for m, v in worst.items()) + f" {wrong}")

    def spoil(self, base, new, seed, drop):
        """A copy of BASE whose scores have noise, just so much that the mean GAUC of the seeds falls by `drop`."""
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(base, new, ignore=shutil.ignore_patterns("models", "runs", "plots"))
        files = sorted(os.listdir(os.path.join(base, "predictions")))
        data = [np.genfromtxt(os.path.join(base, "predictions", f), delimiter=",", names=True) for f in files]
        rng = np.random.default_rng(seed)
        noise = [rng.standard_normal(len(d)) for d in data]

        def mean(sd):
            return np.mean([gauc(d["user"], d["label"], d["score"] + sd * z) for d, z in zip(data, noise)])

        before, lo, hi = mean(0), 0.0, 4.0
        for _ in range(14):
            sd = (lo + hi) / 2
            lo, hi = (sd, hi) if mean(sd) > before - drop else (lo, sd)
        for f, d, z in zip(files, data, noise):
            with open(os.path.join(new, "predictions", f), "w") as out:
                out.write("row,user,label,score\n")
                for r, s in zip(d, d["score"] + hi * z):
                    out.write(f"{r['row']:.0f},{r['user']:.0f},{r['label']:.0f},{s:.9g}\n")
        manifest = json.load(open(os.path.join(new, "manifest.json")))
        manifest["program_hash"] = "another"
        json.dump(manifest, open(os.path.join(new, "manifest.json"), "w"))
        rows = list(csv.reader(open(os.path.join(new, "effect.csv"))))
        at = rows[0].index("gauc")
        with open(os.path.join(new, "effect.csv"), "w", newline="") as out:
            for r in rows:
                csv.writer(out).writerow(r[:at] + ["0.5" if r != rows[0] else r[at]] + r[at + 1:])
        return before - mean(hi)

    def drops(self, n):
        if n and not os.path.isdir(os.path.join(os.environ.get("PRERANK_DATA", "/nonexistent"), "ml-100k")):
            print("drop: skipped: $PRERANK_DATA holds no ml-100k")
            return
        base, new = os.path.join(self.dir, "gauc"), os.path.join(self.dir, "gauc-spoilt")
        todo = [i for i in range(1, n + 1) if not self.done("drop", i)]
        if todo:
            subprocess.run([self.program, "run", "tests/trust/gauc.yaml", "--quiet", "--no-report", "--out", base, "--set",
                            f"data_dir={self.dir}/gauc.data"], check=True, stdout=subprocess.DEVNULL)
        for i in todo:
            drop = self.spoil(base, new, i, 0.005)
            code, gates = self.compare(base, new)
            g = next(g for g in gates if g["metric"] == "gauc")
            self.note("drop", i, code, f"GAUC {-drop:+.5f}: {-g['worse']:+.5f} [{-g['worse_hi']:+.5f} {-g['worse_lo']:+.5f}]")

    def kernel(self):
        if self.done("kernel", 1):
            return
        for name, more in (("kernel-a", {}), ("kernel-b", {"OPENBLAS_CORETYPE": "Haswell"})):
            subprocess.run([self.program, "run", "configs/reference.yaml", "--quiet", "--no-report", "--out",
                            os.path.join(self.dir, name)], check=True, stdout=subprocess.DEVNULL, env={**os.environ, **more})
        code, gates = self.compare(os.path.join(self.dir, "kernel-a"), os.path.join(self.dir, "kernel-b"))
        worst = max((g for g in gates if g["metric"] == "gauc"), key=lambda g: abs(g["worse"]))
        self.note("kernel", 1, code, f"GAUC {-worst['worse']:+.6f} {worst['verdict']}")

    def report(self):
        kept = True
        for what, bad, most, says in (("aa", "1", 1, "A/A comparisons that raised an alarm (at most 1 of 100)"),
                                      ("slow", "03", 1, "5 % slowdowns that were missed (at most 1 of 20)"),
                                      ("drop", "03", 0, "drops of GAUC by .005 that were missed (none)"),
                                      ("kernel", "1", 0, "other BLAS kernels that raised an alarm (none)")):
            rows = [r for r in self.rows if r["what"] == what]
            if not rows:
                continue
            n = sum(r["exit_code"] in bad for r in rows)
            good = n <= most
            kept &= good
            undecided = sum(r["exit_code"] == "3" for r in rows)
            print(f"{'ok    ' if good else 'BROKEN'} {says}: {n} of {len(rows)}" + (f" ({undecided} undecided)" if undecided else ""))
        return kept


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default="build")
    p.add_argument("--aa", type=int, default=100)
    p.add_argument("--slow", type=int, default=20)
    p.add_argument("--drop", type=int, default=20)
    p.add_argument("--again", action="store_true")
    t = Trust(p.parse_args())
    t.kernel()
    t.drops(t.args.drop)
    t.builds("slow", t.slow, t.args.slow)
    t.builds("aa", t.program, t.args.aa)
    sys.exit(0 if t.report() else 1)


main()
