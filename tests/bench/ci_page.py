#!/usr/bin/env python3
"""Runs the commands of docs/ci.md as they stand there, in a scratch folder that looks like a checkout with a small
experiment `mine.yaml`, and looks at what they leave: exit codes, JSON, JUnit XML, Markdown. tests/bench/test_builds.c runs it.

    tests/bench/ci_page.py build/prerank

What is not the real thing: apt-get does nothing, `make` puts the given program at its place instead of compiling it, and
builds are compared in few groups with wide margins and without valgrind, so that a busy machine says nothing about the page. Each service's own part (caches,
artifacts, conditions) is done by this script. Exit code 1 and a message when anything is not as the page says.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = open(os.path.join(ROOT, "docs/ci.md"), encoding="utf-8").read()
EXPERIMENT = """\
name: mine
data:
  synthetic: {rows: 1500, users: 60, items: 40, seed: 7, user_fields: [6], item_fields: [6], pair_effects: 1, vocab: 5}
  user: user_id
  item: item_id
  time: ts
  label: label
  columns:
    user_id: {side: user}
    u0: {side: user}
    item_id: {side: item}
    i0: {side: item}
  split: {by: time, valid: 0.15, test: 0.15}
variants: [mlp: {dim: 4, hidden: [8]}]
train: {epochs: 1}
measure: {candidates: [30], requests: 50, min_seconds: 0}
"""
FEW = "--no-instructions --groups 6 --margin p50=100 --margin p99=1000 --margin qps=1000"


def blocks(heading, language):
    """The fenced blocks of a language in the section that begins with a heading."""
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S).group(1)
    found = re.findall(rf"^```{language}\n(.*?)^```", section, re.M | re.S)
    assert found, f"docs/ci.md has no {language} block under {heading}"
    return found


class Checkout:
    """A folder with mine.yaml, setup.sh and a Makefile, and a shell in it whose PATH has `prerank` and no real apt-get."""

    def __init__(self, program, work):
        self.program, self.dir = program, tempfile.mkdtemp(dir=work)
        self.write("mine.yaml", EXPERIMENT)
        self.write("Makefile", "all:\n\tmkdir -p build && cp bin/prerank build/prerank\n")
        self.write("bin/prerank", "#!/bin/bash\n"
                   f'case "$1 $2" in "compare --builds") set -- "$@" {FEW} ;; esac\nexec {program} "$@"\n')
        self.write("bin/apt-get", '#!/bin/sh\necho "$@" >> apt.log\n')
        shutil.copy(os.path.join(ROOT, "setup.sh"), self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        if name.startswith("bin/"):
            os.chmod(self.path(name), 0o755)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as f:
            return f.read()

    def shell(self, command, shell=("bash", "-e", "-c")):
        """Its exit code."""
        env = {**os.environ, "PATH": self.path("bin") + ":" + os.environ["PATH"], "GITHUB_STEP_SUMMARY": self.path("summary.md")}
        r = subprocess.run([*shell, command], cwd=self.dir, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(f"$ {command.strip()}\n{r.stdout}exit code {r.returncode}\n")
        return r.returncode

    def must(self, command, code=0):
        got = self.shell(command)
        assert got == code, f"{command}: exit code {got}, not {code}"

    def spoil(self, folder, column, value):
        """Another value in a column of every row of effect.csv or compute.csv."""
        for name in ("effect.csv", "compute.csv"):
            lines = [line.split(",") for line in self.read(f"{folder}/{name}").splitlines()]
            if column in lines[0]:
                for row in lines[1:]:
                    row[lines[0].index(column)] = value
                self.write(f"{folder}/{name}", "".join(",".join(row) + "\n" for row in lines))


# ---- what is left behind ----

def check_json(text, code):
    j = json.loads(text)
    said = re.search(r"^## JSON\n(.*)", PAGE, re.M | re.S).group(1)
    top, gates = said.split("and `gates`")
    for key in re.findall(r"`([a-z_]+)`", top):
        assert key in j, f"JSON: no {key}"
    keys = set(re.findall(r"`([a-z_0-9]+)`", gates)) - {"exact", "users", "turns", "same", "ok", "better", "regressed", "undecided", "skipped"}
    assert j["gates"] and j["exit_code"] == code
    for g in j["gates"]:
        assert set(g) == keys, f"JSON: a gate has {sorted(g)}, the page says {sorted(keys)}"
        assert g["kind"] in ("exact", "users", "turns") and f"`{g['verdict']}`" in gates, g
    verdicts = [g["verdict"] for g in j["gates"]]
    assert code == (1 if "regressed" in verdicts else 3 if "undecided" in verdicts else 0), verdicts
    return verdicts


def check_junit(text, code):
    """As the schema of Jenkins' xUnit plugin has it: testsuites > testsuite > testcase > at most one outcome."""
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites" and [s.tag for s in root] == ["testsuite"]
    suite, names = root[0], set()
    count = dict.fromkeys(("failure", "error", "skipped", "system-out"), 0)
    assert suite.get("name")
    for case in suite:
        assert case.tag == "testcase" and set(case.attrib) == {"classname", "name"} and all(case.attrib.values()), case.attrib
        assert (case.get("classname"), case.get("name")) not in names, f"JUnit: twice {case.attrib}"
        names.add((case.get("classname"), case.get("name")))
        assert len(case) == 1, "JUnit: a test case has one outcome or output"
        count[case[0].tag] += 1
        assert case[0].tag == "system-out" and case[0].text or case[0].get("message"), case.attrib
    said = {k: int(suite.get(k)) for k in ("tests", "failures", "errors", "skipped")}
    assert said == {"tests": len(names), "failures": count["failure"], "errors": count["error"], "skipped": count["skipped"]}, said
    assert code == (1 if count["failure"] else 3 if count["error"] else 0), count


def check_markdown(text, code):
    lines = text.splitlines()
    assert lines[0].startswith("### ") and lines[0].endswith({0: "no regression", 1: "regression", 3: "undecided"}[code]), lines[0]
    table = [line for line in lines if line.startswith("|")]
    cells = [len(re.findall(r"(?<!\\)\|", line)) - 1 for line in table]
    assert len(table) >= 3 and set(cells) == {7} and all(line.endswith("|") for line in table), table
    assert re.fullmatch(r"\|(:?-+:?\|){7}", table[1]), table[1]
    at = lines.index(table[0])
    assert lines[at - 1] == "" and lines[at:at + len(table)] == table, "Markdown: a table is one block after an empty line"
    assert text.count("<details>") == text.count("</details>") == 1 and "\n\n</details>" in text
    return table[2:]


def check_files(checkout, code, names):
    check = {"gate.json": check_json, "gate.xml": check_junit, "gate.md": check_markdown}
    for name in names:
        check[name](checkout.read(name), code)


# ---- the page's sections ----

def two_folders(c):
    c.must("make")
    c.must("\n".join(blocks("Two results folders", "sh")))
    check_files(c, 0, ["gate.json", "gate.xml", "gate.md"])
    assert "| every model | every figure |" not in c.read("gate.md"), "instructions were not counted, which is said"


def two_builds(c):
    c.must("make && mkdir old new && cp build/prerank old/ && cp build/prerank new/")
    c.must(blocks("Two builds, with times", "sh")[0])


def github(c):
    pipeline = yaml.safe_load(blocks("GitHub Actions", "yaml")[0])
    assert set(pipeline[True]) == {"push", "pull_request"}  # YAML 1.1 reads `on` as true
    steps = pipeline["jobs"]["gate"]["steps"]

    def run(event):
        """Exit codes of the steps of an event; a failed step stops those that are not `always()`."""
        failed = 0
        for step in steps:
            when = step.get("if", "success()")
            due = {"success()": True, f"github.event_name == '{event}'": True,
                   "always() && hashFiles('gate.md') != ''": os.path.exists(c.path("gate.md"))}.get(when, False)
            assert due or re.fullmatch(r"github\.event_name == '(push|pull_request)'|always\(\) && hashFiles\('gate\.md'\) != ''", when), when
            if not due or (failed and "always()" not in when):
                continue
            assert ("run" in step) != ("uses" in step), step
            if "uses" in step:
                assert re.fullmatch(r"actions/(checkout|cache/restore|cache/save|upload-artifact)@v\d+", step["uses"]), step["uses"]
                if step["uses"].startswith("actions/cache/restore"):
                    shutil.copytree(c.path("cache"), c.path(step["with"]["path"]))
                if step["uses"].startswith("actions/cache/save"):
                    os.rename(c.path(step["with"]["path"]), c.path("cache"))
            else:
                failed = c.shell(step["run"]) or failed
        return failed

    assert run("push") == 0 and not os.path.exists(c.path("gate.xml"))
    assert run("pull_request") == 0
    check_files(c, 0, ["gate.json", "gate.xml", "gate.md"])
    assert c.read("summary.md") == c.read("gate.md")
    assert "valgrind" in c.read("apt.log")
    for name in ("base", "gate.md", "gate.xml", "gate.json", "summary.md"):
        shutil.rmtree(c.path(name)) if name == "base" else os.unlink(c.path(name))
    os.unlink(c.path("cache/prerank"))
    assert run("pull_request") == 2 and not os.path.exists(c.path("summary.md")), "without a base the job fails and says so"


def gitlab(c):
    pipeline = yaml.safe_load(blocks("GitLab", "yaml")[0])
    base, gate = pipeline["base"], pipeline["gate"]
    assert gate["allow_failure"]["exit_codes"] == 3
    assert base["cache"]["policy"] == "push" and gate["cache"]["policy"] == "pull" and base["cache"]["paths"] == gate["cache"]["paths"]

    for line in base["script"] + gate["script"][:-1]:
        c.must(line)
    compare = gate["script"][-1]  # the only line that looks at the base
    c.must(compare)
    check_files(c, 0, ["gate.xml", "gate.md"])
    os.rename(c.path("base"), c.path("kept"))
    c.must(compare, 2)
    for column, value, code in (("params", "1", 1), ("flops_per_request", "", 3)):
        shutil.rmtree(c.path("base"), ignore_errors=True)
        shutil.copytree(c.path("kept"), c.path("base"))
        c.spoil("base", column, value)
        c.must(compare, code)
        check_files(c, code, ["gate.xml", "gate.md"])


def jenkins(c):
    text = blocks("Jenkins", "groovy")[0]
    assert text.count("{") == text.count("}") and text.count("(") == text.count(")")
    steps = re.findall(r"sh '([^']*)'", text)
    code = re.search(r"def code = sh\(returnStatus: true, script: '([^']*)'\)", text).group(1)
    assert len(re.findall(r"(?<![\w.])sh\b", text)) == len(steps) + 1, "every sh of the page is run"
    sh = ("sh", "-xe", "-c")
    assert c.shell(steps[0], sh) == 0
    c.must("build/prerank run mine.yaml --out base --quiet")
    for step in steps[1:]:
        assert c.shell(step, sh) == 0
    assert c.shell(code, sh) == 0
    check_files(c, 0, [re.search(r"junit '([^']*)'", text).group(1)])
    c.spoil("base", "params", "1")
    assert c.shell(code, sh) == 1
    check_files(c, 1, ["gate.xml"])
    c.spoil("base", "flops_per_request", "")
    assert c.shell(code, sh) == 1, "a regression is worse than an undecided figure"


def let_three_pass(c):
    idiom = re.search(r"lets exit code 3 pass: `build/prerank compare \.\.\. (.*?)`", PAGE).group(1)
    for code, want in ((0, 0), (1, 1), (2, 1), (3, 0)):
        assert c.shell(f"(exit {code}) {idiom}") == want, f"exit code {code}"


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as work:
        for section in (two_folders, two_builds, github, gitlab, jenkins, let_three_pass):
            print(f"==== {section.__name__}")
            section(Checkout(program, work))
    print("every command of docs/ci.md does what the page says")


main()
