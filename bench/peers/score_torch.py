"""PyTorch scores the requests of perf_score.

    score_torch.py DIR KIND THREADS SCORES      DIR as written by perf_score --write; SCORES gets the scores

The module is traced, frozen and run in inference mode, which is faster here than eager. Ids are tensors beforehand.
"""
import sys
import time

import numpy as np
import torch

from peer import load_column, load_model, load_safetensors, serve
from score_models import build, inputs


def main():
    folder, kind, threads, scores = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(threads)
    model, weights = load_model(folder), load_safetensors(f"{folder}/weights.safetensors")
    ids = torch.from_numpy(load_column(folder, "ids").astype("int32"))
    requests = [inputs(kind, model, r) for r in ids.view(model["requests"], model["candidates"], -1)]
    with torch.inference_mode():
        net = torch.jit.freeze(torch.jit.trace(build(kind, model, weights), requests[0]))
        np.concatenate([net(*r).numpy() for r in requests]).astype(np.float32).tofile(scores)
        at = 0

        def go(n):
            nonlocal at
            ns = []
            for _ in range(n):
                start = time.perf_counter_ns()
                net(*requests[at % len(requests)])
                ns.append(time.perf_counter_ns() - start)
                at += 1
            return {"ns": ns}

        serve({"ready": True, "name": f"PyTorch {torch.__version__}", "variant": kind, "threads": threads}, go)


main()
