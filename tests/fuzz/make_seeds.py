#!/usr/bin/env python3
"""Writes tests/fuzz/seeds/: small inputs of every format from which libFuzzer starts. Run from the repository's root.

.npy files and schemas that are committed elsewhere (tests/fixtures/data, configs) are seeds too; see tests/fuzz/run.sh.
"""
import gzip
import json
import pathlib
import struct

SEEDS = pathlib.Path("tests/fuzz/seeds")


def put(target, name, content):
    path = SEEDS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


INLINE = """name: small
data_dir: nowhere
data:
  synthetic: {rows: 300, users: 9, items: 8, user_fields: [6], item_fields: [6], pair_effects: 1, vocab: 5}
  columns:
    user_id: {side: user}
    u0: {side: user}
    item_id: {side: item}
    i0: {side: item}
  derive:
    x: {kind: cross, of: [u0, i0], buckets: 100}
    recent: {kind: recent, of: item_id, n: 4}
  split: {by: time, valid: 0.15, test: 0.15}
"""
EXPERIMENTS = {
    "two.yaml": "variants:\n  - dssm\n  - mlp: {id: small, hidden: [8], train: {epochs: 2}}\n"
    "features: {all: \"*\", no-cross: [user, item], some: [u*, -u0, i0]}\nseeds: [1, 2]\n"
    "train: {batch: 128, slice: 32, epochs: 3, optimizer: adam}\nmeasure: {candidates: [10, 30], limit_ms: 10}\n",
    "family.yaml": "variants:\n  - senet: {reduction: 2}\n  - parallel: {channels: [mlp, dcn, fm, ffm, cin]}\n"
    "  - dat: {augment: 8}\n  - inttower: {heads: 2}\n  - dcn\n  - din: {history: 5}\n  - cold: {linear_log: true}\n",
    "select.yaml": "variants:\n  - dssm: {loss: in_batch, select: false}\n  - senet\n  - cold: {distill: din}\n"
    "select: {rank_by: [se, permutation, fscd, lasso, single, random], top_k: [1, 3], from: all, seeds: 1,\n"
    "         fscd: {cost: equal}, subject_to: {p99_ms: \"<= 10\", qps: 2000, n_features: 3}}\n",
    "wrong.yaml": "variants: [dsm, {mlp: {dim: 0}}]\ntrain: {epochs: -1, patiense: 2}\nfeatures: {a: [nope]}\n",
}
SCHEMAS = {
    "short.yaml": "log: example/clicks.csv\nuser: user_id\nitem: item_id\ntime: ts\nlabel: click\n"
    "columns:\n  user_id: {side: user}\n  item_id: {side: item}\n",
    "label.yaml": "log: {file: example/clicks.csv, sep: \",\", quotes: true, encoding: latin-1}\nuser: user_id\n"
    "item: item_id\nlabel: {column: click, positive: \"== 1\"}\nwhere: [device != bot, ts >= 1700000000]\n"
    "columns:\n  user_id: {side: user, kind: id}\n  item_id: {side: item, min_count: 2, max_vocab: 10}\n"
    "  hour: {side: user, from: ts, extract: \"^(..)\"}\nsplit: {by: random, seed: 1, valid: 0.1, test: 0.1}\nkeep: [ts]\n",
}
CSVS = {
    "plain": b"\0a,b,c\n1,2,3\n4,,6\r\n",
    "quoted": b"\0a,b\n\"x, \"\"y\"\"\",\"line\nend\"\n\n1,2",
    "tab": b"\x05a\tb\n1\t2\n",
    "double": b"\x06a::b\n1::2\n",
    "header": b"\x101,2,3\n4,5,6\n",
    "latin": b"\x08a,b\ncaf\xe9,1\n",
    "bom": b"\0\xef\xbb\xbfa,b\n\xc3\xa9,\xe2\x82\xac\n",
    "gzip": b"\0" + gzip.compress(b"a,b\n1,2\n3,4\n", mtime=0),
    # zstd: one raw block in a frame of known size
    "zstd": b"\0" + bytes.fromhex("28b52ffd2008410000") + b"a,b\n1,2\n",
    "cut.gzip": b"\0" + gzip.compress(b"a,b\n1,2\n3,4\n", mtime=0)[:-5],
    "ragged": b"\0a,b\n1,2,3\n",
}


def safetensors(header, data=b""):
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


MODEL = {  # the parameters of tests/fuzz/safetensors.c
    "embedding.u": tensor("F32", [3, 2], 0, 24),
    "embedding.v": tensor("F32", [2, 2], 24, 40),
    "user.0.bias": tensor("F32", [2], 40, 48),
    "user.0.weight": tensor("F32", [2, 2], 48, 64),
}
FLOATS = struct.pack("<16f", *range(16))
TENSORS = {
    "model": safetensors(MODEL, FLOATS),
    "metadata": safetensors({"__metadata__": {"format": "pt"}, "a": tensor("I64", [2], 0, 16)}, FLOATS[:16]),
    "scalar": safetensors({"a": tensor("F32", [], 0, 4)}, FLOATS[:4]),
    "empty": safetensors({}),
    "odd": safetensors({"a": tensor("I32", [2, 1, 1, 1], 0, 8), "b": tensor("U32", [0, 7], 8, 8)}, FLOATS[:8]),
    "overlap": safetensors({"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 4, 12)}, FLOATS[:12]),
}

for name, text in EXPERIMENTS.items():
    put("experiment", name, INLINE + text)
put("experiment", "set", (INLINE + EXPERIMENTS["two.yaml"]).encode() + b"\0train.batch=64")
for name, text in SCHEMAS.items():
    put("schema", name, text)
for name, content in CSVS.items():
    put("csv", name, content)
for name, content in TENSORS.items():
    put("safetensors", name, content)
# seeds/dataset/example.json is the dataset.json of `prerank data configs/data/example.yaml`; a short one without what no reader needs
whole = json.loads((SEEDS / "dataset/example.json").read_text())
for key in ("summary", "edges", "means", "derive"):
    whole.pop(key, None)
put("dataset", "short.json", json.dumps(whole, separators=(",", ":")))
