#!/usr/bin/env python3
"""Can people with protanopia, deuteranopia and tritanopia tell the series of a report apart? tests/bench/test_files.c runs it.

    tests/bench/check_report.py RESULTS          report.html and plots/ of a run

* Any two series colours are at least 12 apart (CIEDE2000), light and dark, in normal vision and with each deficiency
  (Machado, Oliveira and Fernandes 2009, severity 1); and 3:1 against the paper (WCAG 2.1, 1.4.11).
* In pictures whose lines have no name beside them, lines also differ by mark or dash.
* Every picture is well-formed XML, and its marks have colours of the style.
"""
import itertools
import re
import sys
import xml.etree.ElementTree as ElementTree
from glob import glob

import numpy as np

APART = 12
VISION = {
    "normal vision": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    v = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIELAB (D65) of linear sRGB."""
    xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]) @ np.clip(rgb, 0, 1)
    t = xyz / np.array([0.95047, 1, 1.08883])
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(x, y):
    """As in Sharma, Wu and Dalal 2005."""
    (l1, a1, b1), (l2, a2, b2) = x, y
    c = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(c**7 / (c**7 + 25**7)))
    c1, c2 = np.hypot(a1 * (1 + g), b1), np.hypot(a2 * (1 + g), b2)
    h1, h2 = (np.degrees(np.arctan2(b, a * (1 + g))) % 360 for a, b in ((a1, b1), (a2, b2)))
    dh = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0
    h = h1 + dh / 2 if c1 * c2 else h1 + h2
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(dh / 2))
    l, c = (l1 + l2) / 2, (c1 + c2) / 2
    h %= 360
    t = (1 - 0.17 * np.cos(np.radians(h - 30)) + 0.24 * np.cos(np.radians(2 * h)) + 0.32 * np.cos(np.radians(3 * h + 6))
         - 0.2 * np.cos(np.radians(4 * h - 63)))
    sl, sc, sh = 1 + 0.015 * (l - 50) ** 2 / np.sqrt(20 + (l - 50) ** 2), 1 + 0.045 * c, 1 + 0.015 * c * t
    rt = -np.sin(np.radians(60 * np.exp(-(((h - 275) / 25) ** 2)))) * 2 * np.sqrt(c**7 / (c**7 + 25**7))
    return np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * dc / sc * dh / sh)


def contrast(a, b):
    lo, hi = sorted(linear(c) @ [0.2126, 0.7152, 0.0722] for c in (a, b))
    return (hi + 0.05) / (lo + 0.05)


def check_colours(html):
    wrong = 0
    palettes = [dict(re.findall(r"--(\w+):(#[0-9a-f]{6});", p)) for p in re.findall(r":root\{((?:--\w+:#[0-9a-f]{6};)+)\}", html)]
    assert len(palettes) == 2, "report.html has a light and a dark palette"
    for name, palette in zip(("light", "dark"), palettes):
        series = [palette[f"c{i}"] for i in range(1, 9)]
        for colour in series:
            if contrast(colour, palette["paper"]) < 3:
                wrong += 1
                print(f"{name}: {colour} has a contrast of {contrast(colour, palette['paper']):.2f} on {palette['paper']}")
        for vision, matrix in VISION.items():
            seen = [lab(np.array(matrix) @ linear(c)) for c in series]
            for i, j in itertools.combinations(range(8), 2):
                apart = ciede2000(seen[i], seen[j])
                if apart < APART:
                    wrong += 1
                    print(f"{name}, {vision}: c{i + 1} {series[i]} and c{j + 1} {series[j]} are {apart:.1f} apart")
    return wrong


def lines_of(path):
    """Colour -> what else its line has: the shapes of marks and the dashes of strokes, in a picture's file. A hollow mark's
    shape is written with its stroke."""
    looks = {}
    for e in ElementTree.parse(path).iter():
        tag, colour = e.tag.split("}")[-1], None
        fill, stroke = e.get("fill"), e.get("stroke")
        if tag == "circle" and (fill or stroke) and e.get("class") is None:
            colour, look = (stroke, "ring") if fill == "#ffffff" else (fill, "disc")
        elif tag == "path" and "scale(" in (e.get("transform") or ""):
            colour, look = (stroke, "hollow " + e.get("d")) if fill == "#ffffff" else (fill, e.get("d"))
        elif tag == "path" and e.get("stroke-dasharray"):
            colour, look = stroke, "dash " + e.get("stroke-dasharray")
        if colour:
            looks.setdefault(colour, set()).add(look)
    return looks


def check_marks(files, series):
    """Sets of looks must not be equal for two colours."""
    wrong = several = 0
    for path in files:
        looks = {c: look for c, look in lines_of(path).items() if c in series}
        several += len(looks) > 1
        for a, b in itertools.combinations(looks, 2):
            if looks[a] == looks[b]:
                wrong += 1
                print(f"{path}: {a} and {b} differ by colour alone: {looks[a]}")
    if not several:
        print("no picture has more than one line: nothing was checked")
    return wrong + (not several)


def main():
    html = open(sys.argv[1] + "/report.html", encoding="utf-8").read()
    # the rest name their lines and points beside them
    for f in glob(f"{sys.argv[1]}/plots/*.svg"):
        strays = [e.tag for e in ElementTree.parse(f).iter() if e.get("fill") == "#000000"]
        assert not strays, f"{f}: marks in a colour that the style does not have: {strays}"
    files = [f for kind in ("calibration", "slices-", "ladder-", "cascade-", "retrieval-", "selection-k-", "selection-rt-")
             for f in glob(f"{sys.argv[1]}/plots/{kind}*.svg")]
    series = set(re.findall(r"--c\d:(#[0-9a-f]{6});", html))
    sys.exit(1 if check_colours(html) + check_marks(files, series) else 0)


if __name__ == "__main__":
    main()
