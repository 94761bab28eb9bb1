#!/usr/bin/env python3
"""A disk that is full, a limit on the size of files, a folder that cannot be written: clean errors, and nothing lost.

    tests/robust/disk.py [CONFIG] [--points 20] [--prerank build/prerank] [--seed 1] [--set KEY=VALUE]...

Each point gives `prerank run` a disk (a tmpfs, where this may mount one) or a file size limit that does not reach, chosen evenly
between nothing and what the undisturbed run wrote. It must end with exit code 2 and a message that says why, leave no temporary
file, and leave every file whole. Then the disk gets larger, or the limit goes, and `--resume` must leave the same files as the
undisturbed run. Last, a results folder that cannot be written is an error and stays as it is.
"""
import argparse
import contextlib
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from kill import Trial, assert_whole, compare, files  # noqa: E402


def bytes_below(folder):
    """Also of what is written for a moment: twice the largest file on top."""
    sizes = [p.stat().st_size for p in folder.rglob("*") if p.is_file()]
    return sum((s + 4095) // 4096 * 4096 for s in sizes)


def largest_below(folder):
    return max(p.stat().st_size for p in folder.rglob("*") if p.is_file())


@contextlib.contextmanager
def disk(folder, size):
    """A tmpfs of that many bytes; None where mounting is not allowed."""
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)


def remount(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def run(trial, resume, limit=None):
    """Exit code and messages; with a limit on the size of each file."""

    def set_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    command = trial.command(resume)
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=set_limit if limit is not None else None)
    return done.returncode, done.stderr


def assert_clean_failure(trial, code, message, words):
    assert code == 2, f"exit code {code}\n{message[-2000:]}"
    assert any(w in message for w in words), f"the message does not say why:\n{message[-2000:]}"
    left = [f for f in files(trial.folder) if ".tmp-" in f]
    assert not left, f"left: {left}"
    if trial.out.exists():
        assert_whole(trial.out)


def full_disk(args, work, whole, total, point, share):
    trial = Trial(args, work, f"disk{point}")
    size = max(4096, int(total * share) // 4096 * 4096)
    with disk(trial.folder, size) as mounted:
        if not mounted:
            return "skipped: no tmpfs can be mounted here"
        code, message = run(trial, False)
        if code == 0:
            return f"{size >> 10} KiB were enough"
        assert_clean_failure(trial, code, message, ["the disk is full", "No space left"])
        kept = len(list((trial.out / "runs").glob("*.json"))) if trial.out.exists() else 0
        remount(trial.folder, f"size={total * 8}")
        code, message = run(trial, True)
        assert code == 0, f"resumed: exit code {code}\n{message[-2000:]}"
        why = compare(whole.out, trial.out)
        assert not why, why
        return f"full at {size >> 10} KiB, {kept} runs kept: the same files"


def file_limit(args, work, whole, largest, point, share):
    trial = Trial(args, work, f"limit{point}")
    limit = int(largest * share)
    code, message = run(trial, False, limit)
    assert_clean_failure(trial, code, message, ["File too large"])
    code, message = run(trial, True)
    assert code == 0, f"resumed: exit code {code}\n{message[-2000:]}"
    why = compare(whole.out, trial.out)
    assert not why, why
    return f"limit of {limit} bytes: the same files"


def read_only(args, work, whole):
    trial = Trial(args, work, "read-only")
    with disk(trial.folder, "64m") as mounted:
        if not mounted:
            if os.geteuid() == 0:
                return "skipped: root may write everywhere, and no tmpfs can be mounted here"
            trial.folder.chmod(0o555)
        else:
            remount(trial.folder, "ro")
        code, message = run(trial, False)
        assert code == 2 and str(trial.folder) in message, f"exit code {code}\n{message}"
        if not mounted:
            trial.folder.chmod(0o755)
            return "a folder without permission is an error"
        remount(trial.folder, "rw")
        code, message = run(trial, False)
        assert code == 0, message
        remount(trial.folder, "ro")
        for resume in (False, True):
            code, message = run(trial, resume)
            assert code == 2 and str(trial.folder) in message, f"exit code {code}\n{message}"
        why = compare(whole.out, trial.out)
        assert not why, why
        return "an error, and what is there stays as it is"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config", nargs="?", default="tests/robust/sweep.yaml")
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--prerank", default="build/prerank")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    rng = random.Random(args.seed)
    bad = 0
    with tempfile.TemporaryDirectory(prefix="prerank-disk-") as name:
        work = pathlib.Path(name)
        whole = Trial(args, work, "whole")
        whole.finish(False)
        total, largest = bytes_below(whole.folder), largest_below(whole.folder)
        print(f"undisturbed: {total >> 10} KiB in files, the largest {largest >> 10} KiB", flush=True)
        cases = []
        for i in range(args.points):
            share = (i + rng.random()) / args.points
            kind, of, label = (full_disk, total, "disk") if i % 3 else (file_limit, largest, "file size")
            cases.append((label, lambda k=kind, o=of, i=i, s=share: k(args, work, whole, o, i, s)))
        cases.append(("read-only", lambda: read_only(args, work, whole)))
        for label, case in cases:
            try:
                print(f"{label}: {case()}", flush=True)
            except (AssertionError, ValueError) as problem:
                bad += 1
                print(f"{label}: FAILED: {problem}", flush=True)
    print(f"{len(cases)} cases: {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
