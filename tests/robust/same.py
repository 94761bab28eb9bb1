#!/usr/bin/env python3
"""The same config gives the same bits: with 1, 2 and 8 threads, run twice, and resumed from a part of itself.

    tests/robust/same.py [CONFIG] [--prerank build/prerank] [--set KEY=VALUE]...

Every file of the results must be the same, byte for byte but for times (canonical() of kill.py): effect.csv, the training curves,
each model's weights and predictions, the importance of fields and the subsets chosen by it. The runs share the folder of
the prepared data, and with it the measured costs that `fscd` ranks by. Exit code 1: a difference.
"""
import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from kill import Trial, compare, files  # noqa: E402


def run(trial, threads, resume=False):
    command = trial.command(resume) + ["--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"exit code {done.returncode}\n{done.stderr[-2000:]}")


def forget_half(out):
    """As if it had been stopped: every second result of a training is gone, and the tables with them."""
    for folder in [out / "runs", out / "teachers", out / "importance", *out.glob("tuning/*/runs")]:
        for i, path in enumerate(sorted(folder.glob("*.json"))):
            if i % 2:
                path.unlink()
    for table in out.glob("*.csv"):
        table.unlink()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config", nargs="?", default="tests/robust/everything.yaml")
    parser.add_argument("--prerank", default="build/prerank")
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="prerank-same-") as name:
        work = pathlib.Path(name)
        args.set = [f"data_dir={work / 'data'}", *args.set]
        first = Trial(args, work, "first")
        run(first, 1)
        print(f"1 thread: {len(files(first.out))} files", flush=True)
        for what, threads in (("2 threads", 2), ("8 threads", 8), ("2 threads again", 2)):
            trial = Trial(args, work, what.replace(" ", "-"))
            run(trial, threads)
            why = compare(first.out, trial.out)
            bad += why is not None
            print(f"{what}: {why or 'the same files'}", flush=True)
        shutil.copytree(first.folder, work / "resumed")
        resumed = Trial(args, work, "resumed")
        forget_half(resumed.out)
        run(resumed, 8, resume=True)
        why = compare(first.out, resumed.out)
        bad += why is not None
        print(f"half of it resumed with 8 threads: {why or 'the same files'}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
