"""Writes DIR/KIND-dynamic8.onnx and DIR/KIND-static8.onnx from DIR/KIND.onnx: quantise_onnx.py DIR [KIND...]

The products of the candidates' layers (not the user's single row, not the last unit) in 8 bits, in the two forms that ONNX
Runtime has fast kernels for: weights signed with a scale for each unit, activations unsigned.
  dynamic8   DynamicQuantizeLinear -> MatMulInteger -> scale + bias, as onnxruntime.quantization's quantize_dynamic writes it
  static8    QuantizeLinear/DequantizeLinear around each Gemm, scales from the first eight requests, as quantize_static writes
             it; ONNX Runtime turns it into QGemm
"""
import sys

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from peer import load_column, load_model, load_safetensors
from score_models import build, inputs

CALIBRATED = 8


def seen_ranges(kind, model, weights, requests):
    """Module name -> (least, largest) input."""
    net, ranges = build(kind, model, weights), {}

    def widen(key, x):
        low, high = ranges.get(key, (0.0, 0.0))
        ranges[key] = min(low, float(x.min())), max(high, float(x.max()))

    def hook(name):
        return lambda _, x, y: widen(name, x[0])

    for name, module in net.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(hook(name))
    with torch.inference_mode():
        for r in requests:
            net(*r)
    return ranges


class Quantiser:
    def __init__(self, model, static, ranges):
        self.graph, self.static, self.ranges = model.graph, static, ranges
        self.initial = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        self.nodes = []

    def constant(self, name, value):
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, op, ins, outs, **attributes):
        self.nodes.append(helper.make_node(op, ins, outs, name=outs[0] + "_" + op, **attributes))
        return outs[0]

    def weight(self, node):
        """(K, N) floats of a Gemm or MatMul with a constant right side, or None."""
        w = self.initial.get(node.input[1])
        if w is not None and any(a.name == "transB" and a.i for a in node.attribute):
            w = w.T
        return w

    def bias(self, node, units):
        return self.initial[node.input[2]] if len(node.input) > 2 else np.zeros(units, np.float32)

    def replace(self, node, w):
        name, units = node.output[0], w.shape[1]
        scale = (np.maximum(np.abs(w).max(0), 1e-12) / 127).astype(np.float32)
        bytes_ = np.clip(np.rint(w / scale), -127, 127).astype(np.int8)
        if self.static:
            low, high = self.ranges[name.split("/")[-2]]  # .../MODULE/Gemm_output_0
            step = np.float32((high - low) / 255)
            zero = np.uint8(np.clip(round(-low / step), 0, 255))
            args = [self.constant(name + ".step", np.array(step)), self.constant(name + ".zero", np.array(zero))]
            x = self.add("QuantizeLinear", [node.input[0], *args], [name + ".q"])
            x = self.add("DequantizeLinear", [x, *args], [name + ".x"])
            y = self.add(
                "DequantizeLinear",
                [self.constant(name + ".w8", bytes_), self.constant(name + ".scale", scale),
                 self.constant(name + ".wzero", np.zeros(units, np.int8))],
                [name + ".w"], axis=1)  # fmt: skip
            bias = np.rint(self.bias(node, units) / (step * scale)).astype(np.int32)
            b = self.add(
                "DequantizeLinear",
                [self.constant(name + ".b32", bias), self.constant(name + ".bscale", (step * scale).astype(np.float32)),
                 self.constant(name + ".bzero", np.zeros(units, np.int32))],
                [name + ".b"], axis=0)  # fmt: skip
            self.add("Gemm", [x, y, b], [name])
            return
        q, s, z = name + ".q", name + ".s", name + ".z"
        self.nodes.append(helper.make_node("DynamicQuantizeLinear", [node.input[0]], [q, s, z], name=q))
        whole = self.add(
            "MatMulInteger", [q, self.constant(name + ".w8", bytes_), z, self.constant(name + ".wzero", np.zeros(units, np.int8))],
            [name + ".whole"])  # fmt: skip
        real = self.add("Cast", [whole], [name + ".real"], to=TensorProto.FLOAT)
        both = self.add("Mul", [s, self.constant(name + ".scale", scale)], [name + ".both"])
        out = self.add("Mul", [real, both], [name + ".product"])
        self.add("Add", [out, self.constant(name + ".bias", self.bias(node, units).astype(np.float32))], [name])

    def run(self):
        for node in list(self.graph.node):
            w = self.weight(node) if node.op_type in ("Gemm", "MatMul") else None
            if w is None or w.shape[1] == 1 or node.output[0].startswith("/user_part"):
                self.nodes.append(node)
            else:
                self.replace(node, w)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        used = {i for n in self.nodes for i in n.input}
        kept = [i for i in self.graph.initializer if i.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)


def main():
    folder, kinds = sys.argv[1], sys.argv[2:] or ["plain", "split"]
    model, weights = load_model(folder), load_safetensors(f"{folder}/weights.safetensors")
    ids = torch.from_numpy(load_column(folder, "ids").astype("int32"))
    ids = ids.view(model["requests"], model["candidates"], -1)[:CALIBRATED]
    for kind in kinds:
        ranges = seen_ranges(kind, model, weights, [inputs(kind, model, r) for r in ids])
        for form in ("dynamic8", "static8"):
            net = onnx.load(f"{folder}/{kind}.onnx")
            Quantiser(net, form == "static8", ranges).run()
            onnx.checker.check_model(net)
            onnx.save(net, f"{folder}/{kind}-{form}.onnx")


main()
