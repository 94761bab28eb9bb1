"""Writes DIR/KIND.onnx for each kind of score_models.py, the candidate count dynamic: export_onnx.py DIR"""
import sys

import torch

from peer import load_column, load_model, load_safetensors
from score_models import KINDS, build, inputs


def main():
    folder = sys.argv[1]
    model, weights = load_model(folder), load_safetensors(f"{folder}/weights.safetensors")
    ids = torch.from_numpy(load_column(folder, "ids").astype("int32")).view(-1, len(model["fields"]))
    for kind in KINDS:
        example = inputs(kind, model, ids[: model["candidates"]])
        names = ["user_ids", "ids"][-len(example) :]
        torch.onnx.export(
            build(kind, model, weights), example, f"{folder}/{kind}.onnx", opset_version=15, input_names=names,
            output_names=["score"], dynamic_axes={"ids": {0: "n"}, "score": {0: "n"}})  # fmt: skip


main()
