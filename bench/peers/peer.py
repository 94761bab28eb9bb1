"""What the Python contenders of duel.py share: their inputs and the protocol (see bench/perf/perf.h)."""
import json
import struct
import sys
from pathlib import Path

import numpy as np


def load_model(folder):
    return json.loads((Path(folder) / "model.json").read_text())


def load_safetensors(path):
    """Name -> float32 array."""
    data = Path(path).read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    out = {}
    for name, t in json.loads(data[8 : 8 + n]).items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            out[name] = np.frombuffer(data[8 + n + begin : 8 + n + end], np.float32).reshape(t["shape"]).copy()
    return out


def load_column(folder, name):
    return np.load(Path(folder) / f"{name}.npy")


def serve(ready, go):
    """Prints the facts, then answers "go N" until stdin ends."""
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        command, n = line.split()
        assert command == "go", line
        print(json.dumps(go(int(n))), flush=True)
