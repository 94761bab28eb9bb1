#!/usr/bin/env python3
"""Times prerank and its peers on the same work, interleaved, and prints how they compare.

    duel.py train|score|levels [--build build] [--rounds 12] [--burst 0.6] [--ids 100000] [--candidates 2000]
                        [--hidden 256,128,64] [--brief] [--out FILE]

Every contender is a process of its own that sets everything up, proves that it computes the same (losses of its first
steps; scores of all requests) and then sleeps until it is told to run a burst. A round is one burst of each; every other
round goes backwards (ABC CBA). A contender that uses processor time while another is timed is reported. Speeds are
compared round by round: a ratio is the median over rounds, its 95 % interval a bootstrap over rounds (2000 draws).

Which thread numbers suit a peer's variant is tried first, with three bursts each; the best is kept, what comes within
15 % of it, and what could not be tried undisturbed (on a busy machine two threads look slow, whoever they belong to). A
ratio is against the fastest of them in the interleaved rounds.
"""
import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import time
from array import array
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
TICK = os.sysconf("SC_CLK_TCK")


class Contender:
    """A running process. `family`: the peer's variant, of which only the best settings are kept."""

    def __init__(self, peer, variant, setting, argv, env=None, main=False):
        self.peer, self.variant, self.setting, self.main = peer, variant, setting, main
        self.label = " ".join(x for x in (peer, variant, setting) if x)
        self.process = subprocess.Popen(
            [str(a) for a in argv], env={**os.environ, **(env or {})}, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)  # fmt: skip
        self.facts = self.answer()
        self.n, self.bursts, self.pilot = 1, [], None
        self.idle_cpu, self.idle_wall = 0.0, 0.0

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"duel: {self.label} ended (exit code {self.process.wait()})")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def cpu(self):
        """Processor seconds so far, of all threads."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(text[11]) + int(text[12])) / TICK

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def speed(burst):
    """Work a second: examples, or requests at the median request."""
    if "seconds" in burst:
        return burst["examples"] / burst["seconds"]
    return 1e9 / statistics.median(burst["ns"])


def size_burst(c, seconds):
    c.ask("go 2")
    while True:
        start = time.monotonic()
        c.ask(f"go {c.n}")
        took = time.monotonic() - start
        if took > seconds / 4:
            c.n = max(2, round(c.n * seconds / took))
            return
        c.n *= 2


def keep_best(contenders, seconds, patience):
    """Stops the settings of a variant that are clearly slower than its best; returns (kept, stopped)."""
    families, kept, stopped, quiet = {}, [], [], Quiet(contenders, patience)
    for c in contenders:
        size_burst(c, seconds)
        disturbed = quiet.disturbed
        c.pilot = max(speed(quiet.burst(c)) for _ in range(3))
        c.tried_in_quiet = quiet.disturbed == disturbed
        families.setdefault((c.peer, c.variant), []).append(c)
        print(f"duel: tried {c.label}: {c.pilot:.4g}/s", file=sys.stderr)
    for family in families.values():
        best = max(c.pilot for c in family)
        for c in family:
            good = c.pilot > best / 1.15 or c.peer == "prerank" or not c.tried_in_quiet
            (kept if good else stopped).append(c)
            if not good:
                c.stop()
    return kept, stopped


def machine_busy():
    """Processor seconds that all processes used since boot."""
    t = [int(x) for x in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(t) - t[3] - t[4]) / TICK


class Quiet:
    """Bursts that other programs disturbed are done again, as long as there is patience. What disturbs is decided by
    processor time alone, never by the burst's result."""

    LIMIT = 0.05  # processors that others may use

    def __init__(self, contenders, patience):
        self.contenders, self.patience = contenders, patience
        self.wall = self.others = 0.0
        self.kept = self.repeated = self.disturbed = 0

    def burst(self, c):
        while True:
            time.sleep(0.05)  # threads of the one before that still spin
            before, busy, begin = {o: o.cpu() for o in self.contenders}, machine_busy(), time.monotonic()
            result = c.ask(f"go {c.n}")
            wall = time.monotonic() - begin
            used = {o: o.cpu() - cpu for o, cpu in before.items()}
            others = max(0.0, machine_busy() - busy - sum(used.values()))
            if others > self.LIMIT * wall and self.patience > 0:
                self.repeated += 1
                self.patience -= wall + 1
                time.sleep(1)
                continue
            self.disturbed += others > self.LIMIT * wall
            self.kept += 1
            self.wall += wall
            self.others += others
            for o in self.contenders:
                if o is not c:
                    o.idle_cpu += used[o]
                    o.idle_wall += wall
            return result


def run_rounds(contenders, rounds, patience):
    quiet = Quiet(contenders, patience)
    for r in range(rounds):
        for c in contenders if r % 2 == 0 else contenders[::-1]:
            c.bursts.append(quiet.burst(c))
        print(f"duel: round {r + 1} of {rounds}, {quiet.repeated} bursts repeated", file=sys.stderr)
    return {"bursts": quiet.kept, "repeated": quiet.repeated, "disturbed": quiet.disturbed,
            "others_cpus": quiet.others / quiet.wall}  # fmt: skip


# ---- statistics ----


def ratio_interval(a, b):
    """Median over rounds of speed(a) / speed(b), with its bootstrap interval."""
    ratios = [speed(x) / speed(y) for x, y in zip(a.bursts, b.bursts)]
    draw = random.Random(1)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(2000))
    return statistics.median(ratios), medians[49], medians[1949]


def percentile(ns, p):
    """Exact: the least sample that p of all do not exceed. None when the samples cannot carry it: its 95 % order-statistic
    interval must exist."""
    if max(p, 1 - p) ** len(ns) > 0.025:
        return None
    return sorted(ns)[max(0, math.ceil(p * len(ns)) - 1)]


# ---- output ----


def table(header, rows):
    text = [header] + [[str(x) for x in r] for r in rows]
    width = [max(len(r[k]) for r in text) for k in range(len(header))]
    for i, r in enumerate(text):
        print("| " + " | ".join(x.ljust(w) if k == 0 else x.rjust(w) for k, (x, w) in enumerate(zip(r, width))) + " |")
        if i == 0:
            print("|" + "|".join("-" * (w + 1) + ("-" if k == 0 else ":") for k, w in enumerate(width)) + "|")
    print()


def in_us(ns):
    return "insufficient samples" if ns is None else f"{ns / 1e3:,.0f}"


def best_of(contenders, peer, variants=None):
    mine = [c for c in contenders if c.peer == peer and (not variants or c.variant in variants)]
    return max(mine, key=lambda c: statistics.median(speed(b) for b in c.bursts)) if mine else None


def print_ratios(first, contenders, against):
    for what, c in against:
        if c:
            r, lo, hi = ratio_interval(first, c)
            print(f"{first.label} / {what} ({c.label}): {r:.2f}x, 95 % interval {lo:.2f} .. {hi:.2f}")
    print()


def print_conditions(contenders, run, machine):
    m = machine
    print(f"{m['cpu']}, {m['cpus']} processors, OpenBLAS kernel {m['blas_kernel']}; measured on {m['threads']} threads: "
          f"sgemm {m['peak_gflops']:.0f} GF/s, memory {m['memory_gbs']:.1f} GB/s, cache {m['cache_gbs']:.0f} GB/s")  # fmt: skip
    print(f"{len(contenders[0].bursts)} rounds; other programs used {run['others_cpus']:.3f} processors during the bursts; "
          f"{run['repeated']} bursts were repeated because they used more than {Quiet.LIMIT}")  # fmt: skip
    if run["disturbed"]:
        print(f"WARNING: {run['disturbed']} of {run['bursts']} bursts were disturbed and patience was over. Two threads did not "
              f"have two processors, so thread numbers and ratios of this run are not to be quoted.")  # fmt: skip
    for c in contenders:
        share = c.idle_cpu / c.idle_wall if c.idle_wall else 0
        if share > 0.01:
            print(f"WARNING: {c.label} used {share:.1%} of a processor while others were timed")
    print()


def calibrate(prerank, best):
    m = prerank.ask("calibrate")
    for key in ("peak_gflops", "memory_gbs", "cache_gbs"):
        m[key] = max(m[key], best.get(key, 0))
    return m


# ---- the two duels ----

TORCH_THREADS = [(1, 1), (2, 2), (2, 1), (1, 2)]  # PyTorch's own, OpenBLAS's
# Big buffers are kept instead of mapped and unmapped at every step, which dense gradients of tables would pay for.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 31)}


def torch_contenders(script, folder, variants, extra):
    for v in variants:
        for own, blas in TORCH_THREADS:
            setting = f"{own} thread{'s'[: own > 1]}" + (f", BLAS {blas}" if own != blas else "")
            yield Contender(
                "PyTorch", v, setting, [PYTHON, HERE / script, folder, v, own, *extra(v, own, blas)],
                {"OPENBLAS_NUM_THREADS": str(blas), **KEEP_MEMORY})  # fmt: skip


def write_inputs(program, folder, flags):
    subprocess.run([str(x) for x in [program, "--write", folder, *flags]], check=True)


def duel_train(o):
    folder = Path(o.build) / "peers" / f"train-{o.ids}"
    program = Path(o.build) / "perf_train"
    flags = ["--ids", o.ids]
    write_inputs(program, folder, flags)
    contenders = [
        Contender("prerank", "lazy", "2 threads", [program, *flags, "--threads", 2]),
        Contender("prerank", "lazy", "1 thread", [program, *flags, "--threads", 1]),
        Contender("prerank", "dense", "2 threads", [program, *flags, "--threads", 2, "--update", "dense"]),
    ]
    variants = ["fields-sparse", "fused-sparse", "fields-dense", "fused-dense", "bag-dense"]
    contenders += torch_contenders("train_torch.py", folder, variants, lambda *_: [])
    first = contenders[0]
    for c in contenders:  # the same work? sparse embeddings against lazy ones, dense against dense
        same = contenders[2] if "dense" in c.variant else first
        c.difference = max(abs(a - b) for a, b in zip(c.facts["losses"], same.facts["losses"]))
    machine = calibrate(first, {})
    contenders, stopped = keep_best(contenders, o.burst, o.patience)
    run = run_rounds(contenders, o.rounds, o.patience)
    machine = calibrate(first, machine)
    work = first.facts["work"]
    compute = work["flops_per_example"] / machine["peak_gflops"] * 1e-3
    memory = work["bytes_per_example"] / machine["memory_gbs"] * 1e-3
    floor = 1e6 / (compute + memory)

    print(f"\nTraining: two-tower, 14 fields (user_id and item_id of {o.ids} ids), D 16, towers 128-64-32, batch 1024, "
          f"Adam, 200000 rows\n")  # fmt: skip
    rows = []
    for c in contenders:
        s = [speed(b) for b in c.bursts]
        rows.append([c.label, f"{statistics.median(s):,.0f}", f"{max(s):,.0f}",
                     f"{statistics.median(s) / floor:.0%}", f"{c.difference:.0e}"])  # fmt: skip
    table(["contender", "examples/s (median)", "(best)", "of floor", "loss differs by"], rows)
    print("Tried and left out as slower settings: " + (", ".join(f"{c.label} {c.pilot:,.0f}" for c in stopped) or "none"))
    print(f"\nFloor: {floor:,.0f} examples/s = {work['flops_per_example']:,.0f} FLOP at the sgemm rate ({compute:.2f} us) "
          f"+ {work['bytes_per_example']:,.0f} bytes of embeddings and optimiser at the memory rate ({memory:.2f} us)")  # fmt: skip
    print_conditions(contenders, run, machine)
    print_ratios(first, contenders, [
        ("PyTorch's best", best_of(contenders, "PyTorch")),
        ("PyTorch with sparse embeddings", best_of(contenders, "PyTorch", ["fields-sparse", "fused-sparse"])),
        ("PyTorch with dense embeddings", best_of(contenders, "PyTorch", ["fields-dense", "fused-dense", "bag-dense"])),
    ])  # fmt: skip
    return contenders, stopped, {"run": run, "machine": machine, "floor_examples_per_second": floor}


def scores_difference(path, reference):
    a, b = (array("f", Path(p).read_bytes()) for p in (path, reference))
    top = max(map(abs, b))
    return max(abs(x - y) for x, y in zip(a, b)) / top if len(a) == len(b) else math.inf


def onnx_contenders(folder, variants, modules, threads_tried):
    for v in variants:
        for threads in threads_tried:
            yield Contender(
                "ONNX Runtime", v, f"{threads} thread{'s'[: threads > 1]}",
                ["node", HERE / "score_onnx.js", folder, v, threads, folder / f"onnx-{v}-{threads}.f32"],
                {"NODE_PATH": str(modules), **KEEP_MEMORY})  # fmt: skip


PRECISIONS = ["fp32", "bf16", "fp16", "int8"]
INT8 = ["plain-dynamic8", "plain-static8", "split-dynamic8", "split-static8"]


def prerank_contenders(program, flags, folder, threads):
    for p in PRECISIONS:
        for t in threads if p in ("fp32", "int8") else threads[:1]:
            yield Contender(
                "prerank", p, f"{t} thread{'s'[: t > 1]}",
                [program, *flags, "--precision", p, "--threads", t, "--scores", folder / f"prerank-{p}-{t}.f32"])  # fmt: skip


def score_floor(c, o, machine):
    """Microseconds at the rates measured: products; records from memory and the other rows from the cache."""
    w = c.facts["work"]
    share = c.facts["threads"] / machine["threads"]
    gflops = max(w["product_gflops"], machine["peak_gflops"] * share)
    left = w["flops_per_candidate"] - w["flops_skipped_per_candidate"]
    compute = (o.candidates * left / gflops + w["flops_per_request"] / machine["peak_gflops"]) * 1e-3
    record = w["item_record_bytes"]
    cached = o.candidates * (w["bytes_per_candidate"] - record) + w["weight_bytes"]
    memory = (o.candidates * record / machine["memory_gbs"] + cached / machine["cache_gbs"]) * 1e-3 / share
    return compute, memory


def print_floors(contenders, o, machine):
    rows = []
    for c in contenders:
        if c.peer != "prerank":
            continue
        compute, memory = score_floor(c, o, machine)
        p50 = statistics.median(x for b in c.bursts for x in b["ns"]) / 1e3
        floor = max(compute, memory)
        rows.append([c.label, c.facts["isa"], f"{c.facts['work']['product_gflops']:,.0f}",
                     f"{c.facts['work']['flops_skipped_per_candidate'] / c.facts['work']['flops_per_candidate']:.0%}", f"{compute:,.0f}", f"{memory:,.0f}",
                     f"{floor:,.0f}", f"{p50:,.0f}", f"{floor / p50:.0%}"])  # fmt: skip
    table(["contender", "instructions", "products GF/s", "skipped", "compute us", "bytes us", "floor us", "p50 us", "of floor"], rows)
    print("Floor: the larger of both, as they can overlap. Compute: the cut graph's FLOPs, less the share that was skipped because "
          "activations were 0, at the rate of the engine's own product in "
          "the first-level cache, or of sgemm if that is faster. Bytes: item records at the memory rate, rows of small tables and "
          "weights at the cache rate.\n")  # fmt: skip


def duel_score(o):
    peers = Path(o.build).resolve() / "peers"
    size = str(o.candidates) + ("" if o.hidden == "256,128,64" else "-" + o.hidden.replace(",", "-"))
    folder, program = peers / f"score-{size}", Path(o.build) / "perf_score"
    flags = ["--candidates", o.candidates, "--hidden", o.hidden]
    write_inputs(program, folder, flags)
    subprocess.run([PYTHON, str(HERE / "export_onnx.py"), str(folder)], check=True)
    subprocess.run([PYTHON, str(HERE / "quantise_onnx.py"), str(folder)], check=True)
    contenders = list(prerank_contenders(program, flags, folder, (2,) if o.brief else (2, 1)))
    variants = ["plain", "perfield", "split"]
    contenders += onnx_contenders(folder, variants + INT8, peers / "node_modules", (2,) if o.brief else (1, 2))
    if not o.brief:
        contenders += torch_contenders(
            "score_torch.py", folder, variants, lambda v, own, blas: [folder / f"torch-{v}-{own}-{blas}.f32"])  # fmt: skip
    first = contenders[0]
    for c in contenders:
        c.difference = scores_difference(c.process.args[-1], folder / "prerank-fp32-2.f32")
    machine = calibrate(first, {})
    contenders, stopped = keep_best(contenders, o.burst, o.patience)
    run = run_rounds(contenders, o.rounds, o.patience)
    machine = calibrate(first, machine)
    work = first.facts["work"]
    print(f"\nScoring: ranker `mlp`, 20 fields (8 user, 8 item, 4 pair), D 16, {o.hidden.replace(',', '-')}, {o.candidates} "
          f"candidates a request, one request at a time, ids in, scores out\n")  # fmt: skip
    rows = []
    for c in contenders:
        ns = [x for b in c.bursts for x in b["ns"]]
        p50, p99 = percentile(ns, 0.5), percentile(ns, 0.99)
        rows.append([c.label, in_us(p50), in_us(p99), len(ns),
                     f"{min(ns) / 1e3:,.0f}", f"{c.difference:.0e}"])  # fmt: skip
    table(["contender", "p50 us", "p99 us", "requests", "least us", "scores differ by"], rows)
    print("Tried and left out as slower settings: " + (", ".join(f"{c.label} {1e6 / c.pilot:,.0f} us" for c in stopped) or "none"))
    print(f"The uncut graph has {work['uncut_flops_per_candidate'] / work['flops_per_candidate']:.1f} times the FLOPs.\n")
    print_floors(contenders, o, machine)
    print_conditions(contenders, run, machine)
    peers = [
        ("ONNX Runtime, a table per field", best_of(contenders, "ONNX Runtime", ["perfield"])),
        ("ONNX Runtime, all tables in one", best_of(contenders, "ONNX Runtime", ["plain"])),
        ("ONNX Runtime, split by hand", best_of(contenders, "ONNX Runtime", ["split"])),
        ("ONNX Runtime's best in 8 bits", best_of(contenders, "ONNX Runtime", INT8)),
        ("PyTorch's best unsplit", best_of(contenders, "PyTorch", ["plain", "perfield"])),
        ("PyTorch, split by hand", best_of(contenders, "PyTorch", ["split"])),
    ]
    for c in contenders:
        if c.peer == "prerank" and c.facts["threads"] == 2:
            print_ratios(c, contenders, peers)
    floors = {c.label: max(score_floor(c, o, machine)) for c in contenders if c.peer == "prerank"}
    return contenders, stopped, {"run": run, "machine": machine, "floor_us": floors, "size": size}


LEVELS = ["amx", "dot", "avx512", "avx2", "portable"]


def cpu_us(burst):
    """Processor time of a request, which other programs do not add to as they do to its duration."""
    return burst["cpu_ns"] / len(burst["ns"]) / 1e3


def duel_levels(o):
    """Each precision on lower and lower levels of instructions, one thread, by processor time."""
    folder, program = Path(o.build).resolve() / "peers" / "levels", Path(o.build) / "perf_score"
    folder.mkdir(parents=True, exist_ok=True)
    flags, rows, everyone = ["--candidates", o.candidates, "--hidden", o.hidden, "--threads", 1], [], []
    run = {"bursts": 0, "repeated": 0, "disturbed": 0, "others_cpus": 0.0}
    for p in PRECISIONS:
        contenders = [Contender("prerank", p, level, [program, *flags, "--precision", p, "--isa", level, "--scores", folder / f"{p}-{level}.f32"])
                      for level in LEVELS]  # fmt: skip
        contenders = [c for c in contenders if c.facts["level"] == c.setting]  # what the processor has
        for c in contenders:
            c.difference = scores_difference(folder / f"{p}-{c.setting}.f32", folder / f"{p}-{contenders[0].setting}.f32")
            c.n = max(2, round(o.burst * 1e6 / cpu_us(c.ask("go 2"))))
        this = run_rounds(contenders, o.rounds, o.patience / len(PRECISIONS))
        for key in run:
            run[key] += this[key] / (len(PRECISIONS) if key == "others_cpus" else 1)
        for c in contenders:
            times = [cpu_us(b) for b in c.bursts]
            ratios = sorted(x / cpu_us(y) for x, y in zip(times, contenders[0].bursts))
            rows.append([p, c.setting, f"{statistics.median(times):,.0f}", f"{statistics.median(ratios):.2f}",
                         f"{ratios[0]:.2f}-{ratios[-1]:.2f}", f"{c.difference:.0e}"])  # fmt: skip
            c.stop()
        everyone += contenders
    print(f"\nScoring by level of instructions: {o.hidden.replace(',', '-')}, {o.candidates} candidates, one thread\n")
    table(["precision", "level", "cpu us", "times the best level's", "in the rounds", "scores differ by"], rows)
    print(f"{o.rounds} rounds; other programs used {run['others_cpus']:.2f} processors during the bursts; {run['repeated']:.0f} bursts were "
          f"repeated, {run['disturbed']:.0f} of {run['bursts']:.0f} were disturbed all the same\n")  # fmt: skip
    return everyone, [], {"run": run, "size": o.candidates}


def save(path, contenders, stopped, extra):
    path.parent.mkdir(parents=True, exist_ok=True)
    for c in contenders + stopped:
        c.facts.pop("losses", None)
    data = {
        **extra,
        "contenders": [{"label": c.label, "facts": c.facts, "difference": c.difference, "bursts": c.bursts} for c in contenders],
        "left_out": [{"label": c.label, "pilot_per_second": c.pilot} for c in stopped],
    }  # fmt: skip
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(data))
    temporary.rename(path)
    print(f"raw times: {path}", file=sys.stderr)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("duel", choices=["train", "score", "levels"])
    p.add_argument("--build", default="build", help="folder with perf_train, perf_score and peers/")
    p.add_argument("--rounds", type=int, default=12)
    p.add_argument("--burst", type=float, default=0.6, help="seconds of one contender in one round")
    p.add_argument("--ids", type=int, default=100000, help="train: ids of user_id and item_id")
    p.add_argument("--candidates", type=int, default=2000, help="score: candidates of a request")
    p.add_argument("--hidden", default="256,128,64", help="score: units of the hidden layers")
    p.add_argument("--brief", action="store_true", help="score: only ONNX Runtime as the peer, on two threads")
    p.add_argument("--patience", type=float, default=300, help="seconds to spend on repeating disturbed bursts")
    p.add_argument("--out", help="raw times (results/bench/DUEL-SIZE.json)")
    o = p.parse_args()
    contenders, stopped, extra = {"train": duel_train, "score": duel_score, "levels": duel_levels}[o.duel](o)
    size = o.ids if o.duel == "train" else extra["size"]
    save(Path(o.out or f"results/bench/{o.duel}-{size}.json"), contenders, stopped, extra)
    for c in contenders:
        c.stop()


main()
