#!/usr/bin/env python3
"""The table of docs/selection.md: test GAUC by number of fields and selector, and the areas under the curves.

    bench/report/selection_table.py RESULTS [VARIANT]

From tradeoff.csv (GAUC with its interval over seeds, at the largest number of candidates in the first precision), subsets.csv and
selection.csv of a results folder. VARIANT: default the first that fields were chosen for.
"""
import csv
import pathlib
import sys


def rows(folder, name):
    with open(folder / name, newline="") as f:
        return list(csv.DictReader(f))


def number(text):
    return f"{float(text):.4f}".replace("0.", ".", 1) if text else "–"


def cell(point):
    if not point or not point["gauc"]:
        return "–"
    if not point["gauc_lo"]:
        return number(point["gauc"])
    half = (float(point["gauc_hi"]) - float(point["gauc_lo"])) / 2
    return f"{number(point['gauc'])} ± {number(str(half))}"


def area(a):
    if not a["area_lo"]:
        return number(a["area"])
    return f"{number(a['area'])} ({number(a['area_lo'])}–{number(a['area_hi'])})"


def main(folder, variant=None):
    folder = pathlib.Path(folder)
    subsets = rows(folder, "subsets.csv")
    variant = variant or subsets[0]["variant"]
    subsets = [s for s in subsets if s["variant"] == variant]
    points = [p for p in rows(folder, "tradeoff.csv") if p["gauc"]]
    most = max((float(p["candidates"]) for p in points if p["candidates"]), default=None)
    points = [p for p in points if most is None or p["candidates"] and float(p["candidates"]) == most]
    of = {}
    for p in points:
        of.setdefault((p["variant"], p["features"]), p)  # the first precision
    areas = {a["selector"]: a for a in rows(folder, "selection.csv") if a["variant"] == variant}
    selectors = list(dict.fromkeys(s["selector"] for s in subsets))
    print("| kept |", " | ".join(f"`{s}`" for s in selectors), "|")
    print("|--:|" + "--:|" * len(selectors))
    for k in sorted({int(s["k"]) for s in subsets}):
        at = {s["selector"]: s["features"] for s in subsets if int(s["k"]) == k}
        print(f"| {k} |", " | ".join(cell(of.get((variant, at.get(s)))) for s in selectors), "|")
    print("| area over K |", " | ".join(area(areas[s]) for s in selectors), "|")
    print("| area over RT |", " | ".join(number(areas[s]["area_rt"]) for s in selectors), "|")
    chosen = {s["features"] for s in subsets}
    for (v, features), p in of.items():
        if v != variant or features not in chosen:
            print(f"\n`{v}` on all {p['n_features']} fields of `{features}`: {cell(p)}", end="")
    print()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
