#!/usr/bin/env python3
"""Kills `prerank run` at random moments (SIGKILL), resumes it, and compares what is there with an undisturbed run.

    tests/robust/kill.py [CONFIG] [--kills 50] [--prerank build/prerank] [--seed 1] [--set KEY=VALUE]...

Each trial begins with an empty folder and prepares its own data. It is killed once, twice or three times (also while it
resumes), at moments spread evenly over the time that the undisturbed run took, or, one first kill in five, that it took to
prepare the data. After each kill every file that is there must be whole. After the last one, `--resume` must end well and leave the same files as the undisturbed run, byte for byte but for
what holds times: columns and keys (TIMED), and where response times were measured, what is chosen and drawn by them (BY_TIMES,
TIMED_PLOTS). What it checks is written to stdout, one line a trial; exit code 1: a difference.
"""
import argparse
import csv
import io
import json
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

# columns and keys that hold times or rates, and what follows from them where response times were measured
TIMED = re.compile(r"(.*_)?(us|ns|seconds|qps)|qps_seeds_.*|(items|examples)_per_second|ns_per_candidate|time|times|cost|started|finished")
BY_TIMES = {
    "compute.csv": {"verdict"},
    "ladder.csv": {"speedup", "gauc", "gauc_delta", "score_max_diff"},  # pair fields become tables by time
    "retrieval.csv": {"verdict"},
    "selection.csv": {"area_rt"},
    "tradeoff.csv": {"pareto", "chosen"},
}
# must be there, and hold times or show them
TIMED_FILES = re.compile(r"importance/.*\.(cost|ranked-by)\.json")
TIMED_PLOTS = re.compile(r"plots/(tradeoff|latency|ladder|cascade|selection-rt|retrieval).*")


def measured(root):
    return (root / "compute.csv").exists() and (root / "compute.csv").read_text().count("\n") > 1


def without_columns(text, drop=()):
    rows = list(csv.reader(io.StringIO(text)))
    keep = [i for i, name in enumerate(rows[0]) if not TIMED.fullmatch(name) and name not in drop]
    return [[row[i] for i in keep] for row in rows if row]


def without_times(value, headers):
    """JSON without times; a text of several lines of cells, as in runs/<id>.json, without the last table's time columns."""
    if isinstance(value, dict):
        out = {}
        for key, inner in value.items():
            if TIMED.fullmatch(key):
                continue
            if isinstance(inner, str) and key in ("effect", "curves") and key + ".csv" in headers:
                inner = without_columns(headers[key + ".csv"] + "\n" + inner)
            out[key] = without_times(inner, headers)
        return out
    if isinstance(value, list):
        return [without_times(v, headers) for v in value]
    return value


def manifest(j):
    """Without when, on what threads and in what folder (which config_hash holds, too), and what was measured of the machine."""
    for key in ("started", "seconds", "threads", "harness", "config_hash"):
        j.pop(key, None)
    del j["data"]["dir"], j["config"]["data_dir"]
    j["machine"].pop("calibration", None)
    j["field_costs"] = sorted(j.get("field_costs", {}))
    return j


def choices(j):
    """Of points that are as good the fastest is chosen."""
    return j["budget"], [[c[key] for key in ("candidates", "points", "fit", "incomplete")] for c in j["choices"]]


def page(text, timed):
    """The report without pictures and figures; where it shows response times, which also order its rows, its headings and tables alone."""
    text = re.sub(r"<(svg|script|style).*?</\1>|data:[^\"')]+", "", text, flags=re.DOTALL)
    tables = [t.count("<tr") for t in re.findall(r"<table.*?</table>", text, flags=re.DOTALL)]
    if timed:
        return re.findall(r"<h[1-6].*?</h[1-6]>", text, flags=re.DOTALL), re.findall(r"<th scope=\"?col.*?</th>", text), tables
    return re.sub(r"/\S*/data|<dd>(measured|kept)\b|\b[0-9a-f]{12,}\b|\d[\d.,:TZ]*(\s?[kMGmµ]?s?\b)", "#", text)


def canonical(root, name):
    """What of a file must be equal."""
    raw = (root / name).read_bytes()
    timed = measured(root)
    if TIMED_FILES.fullmatch(name) or timed and TIMED_PLOTS.fullmatch(name):
        return b""
    if name == "report.html":
        return page(raw.decode(), timed)
    if name == "manifest.json":
        return manifest(json.loads(raw))
    if name == "chosen.json" and timed:
        return choices(json.loads(raw))
    if name.endswith(".csv") and not name.startswith("predictions/"):
        return without_columns(raw.decode(), BY_TIMES.get(name, ()) if timed else ())
    if name.endswith(".json"):
        headers = {t: (root / t).read_text().split("\n", 1)[0] for t in ("effect.csv", "curves.csv") if (root / t).exists()}
        return without_times(json.loads(raw), headers)
    return raw


def files(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


def assert_whole(root):
    """Every file that has its final name holds all that it should."""
    for name in files(root):
        path = root / name
        if ".tmp-" in name or path.stat().st_size == 0 and name.endswith("lock"):
            continue
        raw = path.read_bytes()
        if name.endswith(".json"):
            json.loads(raw)
        elif name.endswith((".csv", ".html")) and not raw.endswith(b"\n"):
            raise AssertionError(f"{name} is cut")
        elif name.endswith(".safetensors"):
            (n,) = struct.unpack("<Q", raw[:8])
            end = max(t["data_offsets"][1] for k, t in json.loads(raw[8 : 8 + n]).items() if k != "__metadata__")
            assert len(raw) == 8 + n + end, f"{name} is cut"


def compare(whole, out):
    a, b = files(whole), files(out)
    if a != b:
        return f"files differ: only undisturbed {sorted(set(a) - set(b))}, only resumed {sorted(set(b) - set(a))}"
    for name in a:
        if canonical(whole, name) != canonical(out, name):
            return f"{name} differs"
    return None


def assert_notices(whole, work):
    """A comparison that could not fail would prove nothing: a changed digit or word in each of these must be seen."""
    planted = [
        ("manifest.json", r'("data_hash": ")(.)'),
        ("manifest.json", r'("tuned": \{\s*"\w+": \{\s*"\w+": ")(.)'),
        ("report.html", r"(<h2>)(.)"),
        ("effect.csv", r"(\n[^\n]*,valid,0\.\d)(\d)"),
        ("compute.csv", r"(\n(?:[^,\n]*,){15})(\d)"),  # flops_per_candidate
        ("cascade.csv", r"(\n(?:[^,\n]*,){8}0\.\d)(\d)"),  # ndcg10
        ("retrieval.csv", r"(\n(?:[^,\n]*,){12}0?\.?)(\d)"),  # recall
    ]
    for name, pattern in planted:
        text = (whole / name).read_text() if (whole / name).exists() else ""
        match = re.search(pattern, text)
        if not match:  # this config has none
            continue
        other = work / "planted"
        shutil.copytree(whole, other)
        at = match.start(2)
        (other / name).write_text(text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :])
        assert compare(whole, other) == f"{name} differs", f"a change of {name} is not noticed"
        shutil.rmtree(other)


class Trial:
    def __init__(self, args, work, name):
        self.args, self.folder = args, work / name
        self.out = self.folder / "out"

    def command(self, resume):
        command = [self.args.prerank, "run", self.args.config, "--out", str(self.out), "--quiet"]
        for setting in [f"data_dir={self.folder / 'data'}", *self.args.set]:
            command += ["--set", setting]
        return command + (["--resume"] if resume else [])

    def start(self, resume):
        self.folder.mkdir(exist_ok=True)
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(self.command(resume), stdout=log, stderr=log)

    def finish(self, resume):
        code = self.start(resume).wait()
        if code:
            raise AssertionError(f"exit code {code}\n{(self.folder / 'log').read_text()[-2000:]}")

    def timed(self):
        """An undisturbed run: seconds until its data was there, and in all."""
        begin, prepared = time.monotonic(), None
        process = self.start(False)
        while process.poll() is None:
            if prepared is None and (self.folder / "data").exists():
                prepared = time.monotonic() - begin
            time.sleep(0.002)
        if process.returncode:
            raise AssertionError(f"exit code {process.returncode}\n{(self.folder / 'log').read_text()[-2000:]}")
        return prepared, time.monotonic() - begin

    def kill(self, resume, seconds):
        """None, or the seconds that the run took when it ended before its time came."""
        begin = time.monotonic()
        process = self.start(resume)
        try:
            process.wait(seconds)
            if process.returncode:
                raise AssertionError(f"exit code {process.returncode}\n{(self.folder / 'log').read_text()[-2000:]}")
            return time.monotonic() - begin
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config", nargs="?", default="tests/robust/sweep.yaml")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--prerank", default="build/prerank")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    rng = random.Random(args.seed)
    work = pathlib.Path(tempfile.mkdtemp(prefix="prerank-kill-"))
    whole = Trial(args, work, "whole")
    prepared, duration = whole.timed()
    again = Trial(args, work, "again")
    prepared, duration = min((prepared, duration), again.timed(), key=lambda t: t[1])
    difference = compare(whole.out, again.out)
    if difference:
        print(f"two undisturbed runs: {difference}; see {work}")
        return 1
    assert_notices(whole.out, work)
    print(f"undisturbed: {duration:.2f} s, data after {prepared:.2f} s, {len(files(whole.out))} files", flush=True)
    kills = trials = bad = 0
    while kills < args.kills:
        trials += 1
        trial, moments, why = Trial(args, work, f"trial{trials}"), [], None
        try:
            for attempt in range(min(rng.randint(1, 3), args.kills - kills)):
                moment = rng.uniform(0, prepared if attempt == 0 and trials % 5 == 0 else duration)
                took = trial.kill(attempt > 0, moment)
                if took is not None:
                    if attempt == 0:  # the machine is less busy than it was
                        duration = min(duration, took)
                    break
                kills += 1
                moments.append(f"{moment:.2f}")
                if trial.out.exists():
                    assert_whole(trial.out)
            finished = len(list((trial.out / "runs").glob("*.json"))) if (trial.out / "runs").exists() else 0
            trial.finish(True)
            why = compare(whole.out, trial.out)
            left = [p.name for p in trial.folder.iterdir() if p.name not in ("out", "data", "log")]
            if not why and left:
                why = f"left beside the data: {left}"
        except (AssertionError, ValueError) as problem:
            why = str(problem)
        print(f"trial {trials}: killed at {' + '.join(moments) or '-'} s, {finished} runs kept: {why or 'the same files'}", flush=True)
        bad += why is not None
        if not why:
            shutil.rmtree(trial.folder)
    print(f"{kills} kills in {trials} trials: {bad} differ" + (f"; see {work}" if bad else ""), flush=True)
    if not bad:
        shutil.rmtree(work)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
