"""PyTorch trains the two-tower model of perf_train: same rows, same order, same start weights.

    train_torch.py DIR VARIANT THREADS       DIR as written by perf_train --write

VARIANT, the ways to do embeddings that a good engineer would try:
  fields-sparse   an nn.Embedding per field, sparse=True, SparseAdam (updates the batch's rows, as prerank does)
  fields-dense    an nn.Embedding per field, Adam on the whole tables
  fused-sparse    the fields' tables in one, ids with offsets added beforehand, one lookup a tower; SparseAdam
  fused-dense     the same with Adam
  bag-dense       the fused table as an nn.EmbeddingBag of one id a bag, with Adam
Dense parameters always go through Adam(foreach=True), which is the faster form here.
"""
import sys
import time

import torch
from torch import nn

from peer import load_column, load_model, load_safetensors, serve


def tower(start, side, widths):
    layers = []
    for k, _ in enumerate(widths):
        weight, bias = (torch.from_numpy(start[f"{side}.{k}.{p}"]) for p in ("weight", "bias"))
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = weight, bias
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class TwoTower(nn.Module):
    def __init__(self, model, start, variant):
        super().__init__()
        self.kind, sparse = variant.split("-")[0], variant.endswith("-sparse")
        self.n_user = sum(f["side"] == "user" for f in model["fields"])
        tables = [torch.from_numpy(start["embedding." + f["name"]]) for f in model["fields"]]
        if self.kind == "fields":
            self.embedding = nn.ModuleList(nn.Embedding.from_pretrained(t, False, sparse=sparse) for t in tables)
        elif self.kind == "fused":
            self.embedding = nn.Embedding.from_pretrained(torch.cat(tables), False, sparse=sparse)
        else:
            self.embedding = nn.EmbeddingBag.from_pretrained(torch.cat(tables), False, mode="sum", sparse=sparse)
        self.user = tower(start, "user", model["towers"])
        self.item = tower(start, "item", model["towers"])

    def side(self, ids):
        if self.kind == "fused":
            return self.embedding(ids).flatten(1)
        return self.embedding(ids.reshape(-1, 1)).view(ids.shape[0], -1)

    def forward(self, ids):  # (B, fields), or fields x (B)
        if self.kind == "fields":
            x = [e(i) for e, i in zip(self.embedding, ids)]
            u, v = torch.cat(x[: self.n_user], 1), torch.cat(x[self.n_user :], 1)
        else:
            u, v = self.side(ids[:, : self.n_user]), self.side(ids[:, self.n_user :])
        return (self.user(u) * self.item(v)).sum(1)


class Trainer:
    def __init__(self, folder, variant):
        model = load_model(folder)
        self.batch, self.at = model["batch"], 0
        columns = [torch.from_numpy(load_column(folder, f["name"]).astype("int64")) for f in model["fields"]]
        self.fused = not variant.startswith("fields")
        if self.fused:
            offset = 0
            for column, f in zip(columns, model["fields"]):
                column += offset
                offset += f["vocab"]
        self.ids = torch.stack(columns, 1 if self.fused else 0).contiguous()
        self.label = torch.from_numpy(load_column(folder, "label"))
        self.order = torch.from_numpy(load_column(folder, "order").astype("int64"))
        self.model = TwoTower(model, load_safetensors(f"{folder}/start.safetensors"), variant)
        tables = list(self.model.embedding.parameters())
        dense = list(self.model.user.parameters()) + list(self.model.item.parameters())
        rate = model["learning_rate"]
        if variant.endswith("-sparse"):
            self.optimisers = [torch.optim.SparseAdam(tables, lr=rate), torch.optim.Adam(dense, lr=rate, foreach=True)]
        else:
            self.optimisers = [torch.optim.Adam(tables + dense, lr=rate, foreach=True)]
        self.checked = model["checked"]

    def step(self):
        if self.at + self.batch > len(self.order):
            self.at = 0
        rows = self.order[self.at : self.at + self.batch]
        self.at += self.batch
        ids = self.ids.index_select(0 if self.fused else 1, rows)
        label = self.label.index_select(0, rows)
        loss = nn.functional.binary_cross_entropy_with_logits(self.model(ids), label)
        for o in self.optimisers:
            o.zero_grad(set_to_none=True)
        loss.backward()
        for o in self.optimisers:
            o.step()
        return loss

    def go(self, n):
        start = time.perf_counter()
        for _ in range(n):
            loss = self.step()
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "examples": n * self.batch, "loss": float(loss)}


def main():
    folder, variant, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # Adam's moments of rows that are not in the batch decay into denormals
    t = Trainer(folder, variant)
    losses = [float(t.step()) for _ in range(t.checked)]
    facts = {"ready": True, "name": f"PyTorch {torch.__version__}", "variant": variant, "threads": threads}
    serve({**facts, "losses": losses}, t.go)


main()
