#!/usr/bin/env python3
"""What a .safetensors file holds, read with nothing but struct and json: an opinion on nn/checkpoint.c from outside.

    tests/nn/read_safetensors.py FILE...

Prints metadata, and for each tensor its dtype, shape, sum and first values. Checks what the format's reference reader checks
(https://github.com/huggingface/safetensors#format) and ends with an error where the file breaks it.
"""
import json
import struct
import sys

ITEM = {"F32": ("f", 4), "I64": ("q", 8), "I32": ("i", 4), "U32": ("I", 4)}


def no_duplicates(pairs):
    assert len({k for k, _ in pairs}) == len(pairs), "a key stands twice"
    return dict(pairs)


def read(path):
    with open(path, "rb") as f:
        raw = f.read()
    (n,) = struct.unpack_from("<Q", raw)
    assert n <= 100_000_000 and 8 + n <= len(raw), "the header does not fit"
    assert raw[8:9] == b"{", "the header does not begin with {"
    header = json.loads(raw[8:8 + n].decode("utf-8"), object_pairs_hook=no_duplicates)
    metadata = header.pop("__metadata__", {})
    assert all(isinstance(v, str) for v in metadata.values()), "metadata must be text"
    data, at, tensors = raw[8 + n:], 0, {}
    for name, t in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = t["data_offsets"]
        code, size = ITEM[t["dtype"]]
        count = 1
        for d in t["shape"]:
            count *= d
        assert begin == at, f"{name}: begins at {begin}, the tensor before it ends at {at}"
        assert end - begin == count * size, f"{name}: {end - begin} bytes for {t['shape']}"
        tensors[name] = (t["dtype"], t["shape"], struct.unpack(f"<{count}{code}", data[begin:end]))
        at = end
    assert at == len(data), f"{len(data) - at} bytes at the end belong to no tensor"
    return metadata, tensors, n


def main():
    for path in sys.argv[1:]:
        metadata, tensors, header = read(path)
        print(f"{path}: {len(tensors)} tensors, header {header} bytes (data aligned to 8: {(header + 8) % 8 == 0})")
        for k, v in metadata.items():
            print(f"  {k} = {v}")
        for name, (dtype, shape, v) in tensors.items():
            print(f"  {name:32} {dtype} {str(shape):14} sum {sum(v):.7g}  {' '.join(f'{x:.6g}' for x in v[:4])}")


if __name__ == "__main__":
    main()
