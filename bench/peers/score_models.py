"""The ranker of perf_score in PyTorch: the same weights, in the forms that the peers run.

  Plain      ids (N, fields) of every candidate -> (N); one fused table, one lookup. What a model without sides does.
  PerField   the same with a table per field, as models are usually written and exported.
  Split      split by hand: user ids (1, user fields), the other ids (N, others). The first layer's user part is computed
             once and broadcast to the candidates.
"""
import torch
from torch import nn


def linear(weights, k):
    weight, bias = (torch.from_numpy(weights[f"mlp.{k}.{p}"]) for p in ("weight", "bias"))
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data, layer.bias.data = weight, bias
    return layer


def rest(weights, first, n):
    layers = []
    for k in range(first, n + 1):
        layers += [linear(weights, k)] + ([nn.ReLU()] if k < n else [])
    return nn.Sequential(*layers)


class Fused(nn.Module):
    """Ids (N, fields) -> (N, fields x D), from the fields' tables laid end to end."""

    def __init__(self, fields, weights):
        super().__init__()
        tables = [torch.from_numpy(weights["embedding." + f["name"]]) for f in fields]
        offsets = torch.tensor([0] + [f["vocab"] for f in fields[:-1]]).cumsum(0)
        self.width = sum(t.shape[1] for t in tables)
        self.table = nn.Embedding.from_pretrained(torch.cat(tables))
        self.register_buffer("offsets", offsets.to(torch.int32))

    def forward(self, ids):
        return self.table(ids + self.offsets).view(-1, self.width)


class Plain(nn.Module):
    def __init__(self, model, weights):
        super().__init__()
        self.embed = Fused(model["fields"], weights)
        self.mlp = rest(weights, 0, len(model["hidden"]))

    def forward(self, ids):
        return self.mlp(self.embed(ids)).squeeze(1)


class PerField(nn.Module):
    def __init__(self, model, weights):
        super().__init__()
        tables = [torch.from_numpy(weights["embedding." + f["name"]]) for f in model["fields"]]
        self.embed = nn.ModuleList(nn.Embedding.from_pretrained(t) for t in tables)
        self.mlp = rest(weights, 0, len(model["hidden"]))

    def forward(self, ids):
        x = torch.cat([e(ids[:, k]) for k, e in enumerate(self.embed)], 1)
        return self.mlp(x).squeeze(1)


class Split(nn.Module):
    def __init__(self, model, weights):
        super().__init__()
        n_user = sum(f["side"] == "user" for f in model["fields"])
        self.user = Fused(model["fields"][:n_user], weights)
        self.other = Fused(model["fields"][n_user:], weights)
        whole = linear(weights, 0)
        self.user_part = nn.Linear(self.user.width, whole.out_features)
        self.user_part.weight.data = whole.weight.data[:, : self.user.width].clone()
        self.user_part.bias.data = whole.bias.data
        self.other_part = nn.Linear(self.other.width, whole.out_features, bias=False)
        self.other_part.weight.data = whole.weight.data[:, self.user.width :].clone()
        self.mlp = rest(weights, 1, len(model["hidden"]))

    def forward(self, user_ids, other_ids):
        x = torch.relu(self.other_part(self.other(other_ids)) + self.user_part(self.user(user_ids)))
        return self.mlp(x).squeeze(1)


KINDS = {"plain": Plain, "perfield": PerField, "split": Split}


def build(kind, model, weights):
    return KINDS[kind](model, weights).eval()


def inputs(kind, model, ids):
    """The inputs of one request from its plain ids, an int32 tensor (N, fields)."""
    if kind != "split":
        return (ids,)
    n_user = sum(f["side"] == "user" for f in model["fields"])
    return ids[:1, :n_user].contiguous(), ids[:, n_user:].contiguous()
