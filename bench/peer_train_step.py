"""One training step of a Qwen2-form decoder in plain PyTorch on the CPU: the peer that `siri bench peer` measures itself against.

Written for PyTorch's best speed here: one sequence per micro-batch (score matrices stay in cache), tied head, AdamW. Prints one JSON
line per step: {"seconds": ..., "loss": ...}.
"""
import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional as F

flags = argparse.ArgumentParser()
for name, default in [
    ("threads", 2), ("layers", 6), ("width", 256), ("heads", 8), ("kv-heads", 2), ("inner", 1024), ("context", 512),
    ("vocab", 2048), ("batch", 8), ("steps", 3),
]:
    flags.add_argument(f"--{name}", type=int, default=default)
args = flags.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)
head_dim = args.width // args.heads


def norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        kv = args.kv_heads * head_dim
        self.qkv = nn.Linear(args.width, args.width + 2 * kv)
        self.out = nn.Linear(args.width, args.width, bias=False)
        self.gate_up = nn.Linear(args.width, 2 * args.inner, bias=False)
        self.down = nn.Linear(args.inner, args.width, bias=False)
        self.norm1 = nn.Parameter(torch.ones(args.width))
        self.norm2 = nn.Parameter(torch.ones(args.width))

    def forward(self, x, cos, sin, future):
        rows = x.shape[0]
        qkv = self.qkv(norm(x, self.norm1)).view(rows, -1, head_dim).transpose(0, 1)
        q, k, v = qkv.split((args.heads, args.kv_heads, args.kv_heads))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        share = args.heads // args.kv_heads
        scores = torch.baddbmm(future, q, k.repeat_interleave(share, 0).transpose(1, 2), alpha=head_dim**-0.5)
        mixed = scores.softmax(-1) @ v.repeat_interleave(share, 0)
        x = x + self.out(mixed.transpose(0, 1).reshape(rows, args.width))
        gate, up = self.gate_up(norm(x, self.norm2)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


embedding = nn.Parameter(torch.randn(args.vocab, args.width) * 0.02)
last_norm = nn.Parameter(torch.ones(args.width))
layers = nn.ModuleList(Layer() for _ in range(args.layers))
parameters = [embedding, last_norm, *layers.parameters()]
optimiser = torch.optim.AdamW(parameters, lr=1e-4)
angles = torch.outer(torch.arange(args.context).float(), 1e-4 ** (torch.arange(0, head_dim, 2).float() / head_dim))
cos, sin = angles.cos(), angles.sin()
future = torch.full((args.context, args.context), float("-inf")).triu(1)
tokens = torch.randint(0, args.vocab, (args.batch, args.context + 1))

for _ in range(args.steps):
    start = time.perf_counter()
    total = 0.0
    for row in tokens:
        x = embedding[row[:-1]]
        for layer in layers:
            x = layer(x, cos, sin, future)
        loss = F.cross_entropy(norm(x, last_norm) @ embedding.t(), row[1:]) / args.batch
        loss.backward()
        total += loss.item()
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    print(json.dumps({"seconds": time.perf_counter() - start, "loss": total}), flush=True)
