#!/usr/bin/env python3
"""Is everything in a results folder described by docs/results.md? tests/bench/test_files.c runs it on tests/bench/page.yaml's.

    tests/bench/check_documented.py RESULTS      exit code 1 and a line for whatever is missing

* Every file and folder has a line in the first table; every column of every CSV file is in the section of that file, or in one
  that this section names.
* Every picture has a line in the table of plots/, every line there a picture, and every picture its figure in report.html.
"""
import csv
import glob
import os
import re
import sys

folder = sys.argv[1]
docs = open("docs/results.md", encoding="utf-8").read()
wrong = []

sections = {s.split("\n", 1)[0].split(",")[0].strip(): s for s in re.split(r"(?m)^## ", docs)}
files = docs.split("\n## ", 1)[0]
for name in sorted(os.listdir(folder)):
    listed = name + "/" if os.path.isdir(os.path.join(folder, name)) else name
    if not re.search(r"(?m)^\|[^|]*(?<![\w/])" + re.escape(listed), files):
        wrong.append(f"no line for {listed}")


def words(section):
    """First cells of a section's tables and what it has in backquotes, as words."""
    cells = re.findall(r"(?m)^\|([^|]*)\|", section) + re.findall(r"`([^`]*)`", section)
    return set(re.findall(r"\w+", " ".join(cells)))


def described(name):
    section = sections.get(name, "")
    known = words(section)
    for other in re.findall(r"\w+\.csv", section):
        known |= words(sections.get(other, ""))
    return known


columns = 0
for path in sorted(glob.glob(folder + "/*.csv") + glob.glob(folder + "/predictions/*.csv")[:1]):
    name = "predictions/" if "/predictions/" in path else os.path.basename(path)
    with open(path, newline="", encoding="utf-8") as f:
        header = next(csv.reader(f))
    columns += len(header)
    known = described(name)
    if "one column for each tuned option" in sections.get(name, ""):
        header = header[:header.index("chosen") + 1]
    wrong += [f"{name}: no word about the column {c}" for c in header if c not in known]

kinds = re.findall(r"`([a-z-]+(?:[A-Z-]+)?)`", "".join(re.findall(r"(?m)^\|([^|]*)\|", sections["plots/"])))
pattern = {k: re.compile(re.sub(r"[A-Z]+", ".+", k) + "$") for k in kinds}
pictures = sorted(p[:-4] for p in os.listdir(folder + "/plots") if p.endswith(".png"))
for p in pictures:
    fitting = [k for k in kinds if pattern[k].match(p)]
    if not fitting:
        wrong.append(f"no line for the picture {p}")
for k in kinds:
    if not any(pattern[k].match(p) for p in pictures):
        wrong.append(f"no picture {k}")
figures = open(folder + "/report.html", encoding="utf-8").read().count("<figure>")
if figures != len(pictures):
    wrong.append(f"{len(pictures)} pictures, {figures} figures in report.html")

print("\n".join(wrong) if wrong else f"{columns} columns, {len(pictures)} pictures of {len(kinds)} kinds")
sys.exit(1 if wrong or not columns or not pictures else 0)
