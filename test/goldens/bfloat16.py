"""Errors of the straightforward bfloat16 formula against the float64 goldens: what the engine in bfloat16 may be off by.

Usage: python3 test/goldens/bfloat16.py (needs PyTorch and NumPy). Writes model/<case>/bfloat16.json: for log-probs, entropies, loss, gradient
norm and every gradient the most that the root of the mean squared error may be. Straightforward: a decoder in float32 whose matrix products
round both operands to bfloat16, forward and backward, attention excepted. Which of its roundings fall up or down depends on the order of the
float32 sums: it is evaluated in ORDERS orders of the summed index, and the bound is the mean of its errors and six standard deviations.
"""
import json
import math
import pathlib
import struct

import numpy as np
import torch
from torch.nn import functional as F

ORDERS = 32


def load(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    kinds = {"F32": np.float32, "I32": np.int32}
    return {name: torch.from_numpy(np.frombuffer(data[8 + size:][slice(*t["data_offsets"])], kinds[t["dtype"]]).reshape(t["shape"]).copy())
            for name, t in header.items()}


def product(a, b):
    """a [n, k] times b [m, k] transposed: operands in bfloat16, sums in float32, k in an order of its own."""
    order = torch.randperm(a.shape[1])
    rounded = lambda t: t.to(torch.bfloat16).float()[:, order]
    return rounded(a) @ rounded(b).t()


class Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return product(x, w)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        return product(dy, w.t()), product(dy.t(), x.t())


def angles(c, size, length):
    frequency = c["rope_theta"] ** -(torch.arange(0, size, 2, dtype=torch.float64) / size)
    scaling = c.get("rope_scaling")
    if scaling:
        longest = scaling["original_max_position_embeddings"] * frequency / (2 * math.pi)
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        keep = ((longest - low) / (high - low)).clamp(0, 1)
        frequency = frequency * (keep + (1 - keep) / scaling["factor"])
    a = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    return a.cos().float(), a.sin().float()


def log_probs(c, w, tokens):
    heads, kv = c["num_attention_heads"], c["num_key_value_heads"]
    size = c.get("head_dim", c["hidden_size"] // heads)
    n = len(tokens)
    cos, sin = angles(c, size, n)
    future = torch.full((n, n), float("-inf")).triu(1)
    norm = lambda t, name: t * torch.rsqrt(t.square().mean(-1, keepdim=True) + c["rms_norm_eps"]) * w[name]

    def linear(t, name):
        y = Linear.apply(t, w[name + ".weight"])
        return y + w[name + ".bias"] if name + ".bias" in w else y

    def rotate(t):
        a, b = t.chunk(2, -1)
        return torch.cat((a * cos[:, None] - b * sin[:, None], b * cos[:, None] + a * sin[:, None]), -1)

    x = w["model.embed_tokens.weight"][tokens]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        h = norm(x, p + "input_layernorm.weight")
        q, k, v = (linear(h, p + f"self_attn.{part}_proj").view(n, -1, size) for part in "qkv")
        if p + "self_attn.q_norm.weight" in w:
            q, k = norm(q, p + "self_attn.q_norm.weight"), norm(k, p + "self_attn.k_norm.weight")
        q, k = rotate(q), rotate(k)
        k, v = (t.repeat_interleave(heads // kv, 1) for t in (k, v))
        scores = torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(size) + future
        mixed = torch.einsum("hij,jhd->ihd", scores.softmax(-1), v).reshape(n, -1)
        x = x + linear(mixed, p + "self_attn.o_proj")
        h = norm(x, p + "post_attention_layernorm.weight")
        x = x + linear(F.silu(linear(h, p + "mlp.gate_proj")) * linear(h, p + "mlp.up_proj"), p + "mlp.down_proj")
    head = "model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"
    return Linear.apply(norm(x, "model.norm.weight"), w[head]).log_softmax(-1)


def off(found, expected):
    return (found.detach().double() - expected.double()).square().mean().sqrt().item()


def errors(c, weights, g):
    w = {name: t.clone().requires_grad_() for name, t in weights.items()}
    found, entropy, total, count, at = [], [], 0, 0, 0
    for length, start in zip(g["lengths"].tolist(), g["response_start"].tolist()):
        tokens, advantage = g["tokens"][at:at + length].long(), g["advantage"][at:at + length]
        at += length
        logp = log_probs(c, w, tokens)[:-1]
        lp = logp.gather(1, tokens[1:, None])[:, 0]
        found.append(lp)
        entropy.append(-(logp.exp() * logp).sum(-1))
        if length > start:
            total = total - (advantage[start:] * lp[start - 1:]).sum()
            count += length - start
    loss = total / count
    loss.backward()
    norm = torch.sqrt(sum(t.grad.double().square().sum() for t in w.values()))
    return {"logprob": off(torch.cat(found), g["logprob"]), "entropy": off(torch.cat(entropy), g["entropy"]),
            "loss": off(loss, g["loss"][0]), "grad_norm": off(norm, g["grad_norm"][0]),
            **{f"grad.{name}": off(t.grad, g[f"grad.{name}"]) for name, t in w.items()}}


torch.manual_seed(0)
for case in sorted((pathlib.Path(__file__).parent / "model").iterdir()):
    config = json.loads((case / "config.json").read_text())
    weights, goldens = load(case / "model.safetensors"), load(case / "expected.safetensors")
    all_orders = [errors(config, weights, goldens) for _ in range(ORDERS)]
    bound = {}
    for key in all_orders[0]:
        found = [e[key] for e in all_orders]
        bound[key] = float(f"{np.mean(found) + 6 * np.std(found):.4g}")
    (case / "bfloat16.json").write_text(json.dumps(bound, indent=1) + "\n")
    print(case.name, {key: bound[key] for key in ("logprob", "entropy", "loss", "grad_norm")})
