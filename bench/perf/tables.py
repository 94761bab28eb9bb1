#!/usr/bin/env python3
"""What tables of partial products are worth for pair fields of small and large vocabularies.

    bench/perf/tables.py [--build build] [--rounds 12] [--burst 0.3] [--threads 1] [--precision fp32,bf16,fp16,int8]
                         [--vocab 10,1000,100000,1000000] [--ids uniform,log]

The ranker of perf_score with N ids in its last pair field, served in three processes that take turns (ABC CBA): that field
as a table (--tables all), as a product per candidate (all pair fields: --tables none), and by measured cost (auto). Ratios
are medians over rounds of p50. The limit on tables is lifted.
"""
import argparse
import json
import statistics
import subprocess

WAYS = ("all", "none", "auto")


class Server:
    """perf_score, asleep until it is told to run a burst (perf.h)."""

    def __init__(self, *argv):
        self.process = subprocess.Popen([str(a) for a in argv], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.facts = json.loads(self.process.stdout.readline())

    def burst(self, n):
        """p50 of n requests, us"""
        self.process.stdin.write(f"go {n}\n")
        self.process.stdin.flush()
        return statistics.median(json.loads(self.process.stdout.readline())["ns"]) / 1e3

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def measure(args, precision, vocab, ids):
    side = {way: Server(f"{args.build}/perf_score", "--threads", args.threads, "--precision", precision, "--vocab", vocab,
                        "--uniform", int(ids == "uniform"), "--tables", way, "--tables-mib", 4096) for way in WAYS}  # fmt: skip
    n = {way: max(5, int(args.burst * 1e6 / side[way].burst(20))) for way in WAYS}
    times = {way: [] for way in WAYS}
    for r in range(args.rounds):
        for way in WAYS if r % 2 else WAYS[::-1]:
            times[way].append(side[way].burst(n[way]))
    chosen = side["auto"].facts["last_pair_field"]
    for way in WAYS:
        side[way].end()

    def ratio(a, b):
        return statistics.median(x / y for x, y in zip(times[a], times[b]))

    p50 = {way: statistics.median(times[way]) for way in WAYS}
    print(f"{precision:5} {ids:8} {vocab:>8} {p50['all']:9.1f} {p50['none']:9.1f} {p50['auto']:9.1f}"
          f" {ratio('none', 'all'):9.3f} {ratio('auto', 'all'):9.3f}"
          f"   {'table' if chosen['table'] else 'product':8}{chosen['table_ns']:8.1f} {chosen['product_ns']:8.1f}",
          flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--burst", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="fp32,bf16,fp16,int8")
    parser.add_argument("--vocab", default="10,1000,100000,1000000")
    parser.add_argument("--ids", default="uniform,log")
    args = parser.parse_args()
    print("                      p50 of a request, us          p50 ratio           chosen  measured ns a candidate")
    print("      ids         vocab    tables  products      auto  products      auto            as table  product")
    for precision in args.precision.split(","):
        for ids in args.ids.split(","):
            for vocab in args.vocab.split(","):
                measure(args, precision, vocab, ids)


if __name__ == "__main__":
    main()
