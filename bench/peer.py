"""PyTorch on the CPU as the peer of `siri bench`: reads one JSON request a line, does it, answers with the seconds it took.

The process stays, so that ours and theirs alternate within one run. Each operation is written for PyTorch's best speed here. Requests:
  {"op": "gemm", "kind": "forward" | "input" | "weight", "rows", "in", "out", "dtype", "times"}
  {"op": "head", "rows", "width", "vocab"}                one gradient of the log-probs of `rows` targets, logits in chunks
  {"op": "train", "layers", "width", "heads", "kv_heads", "inner", "context", "vocab", "batch", "dtype"}   one step, AdamW included
  {"op": "decode", "sequences", "prompt", "tokens", "dtype"}   greedy decoding with a key-value cache; shape: see Decoder
Answers: {"seconds": ..., "cpu": ...} or {"error": ...}. The first line says {"torch": version, "threads": n}.
"""
import argparse
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

flags = argparse.ArgumentParser()
flags.add_argument("--threads", type=int, default=2)
args = flags.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)
torch.set_grad_enabled(False)
made = {}


def once(key, make):
    if key not in made:
        made[key] = make()
    return made[key]


def gemm(r):
    dtype = getattr(torch, r["dtype"])
    n, k, m = r["rows"], r["in"], r["out"]
    if r["kind"] == "weight":
        n, k, m = m, n, k
    x, w, y = once(("gemm", r["kind"], n, k, m, dtype), lambda: (
        torch.randn(k, n).to(dtype).t() if r["kind"] == "weight" else torch.randn(n, k).to(dtype),
        torch.randn(m, k).to(dtype).t() if r["kind"] == "forward" else torch.randn(k, m).to(dtype),
        torch.empty(n, m, dtype=dtype),
    ))

    def work():
        torch.mm(x, w, out=y)
    return work


def head(r):
    n, d, v, chunk = r["rows"], r["width"], r["vocab"], 256
    x, w, target, dx, dw = once(("head", n, d, v), lambda: (
        torch.randn(n, d), torch.randn(v, d) * 0.02, torch.randint(0, v, (n,)), torch.empty(n, d), torch.zeros(v, d)))
    ones = torch.ones(chunk, 1)

    def work():
        for i in range(0, n, chunk):
            rows, y = x[i:i + chunk], target[i:i + chunk, None]
            z = rows @ w.t()
            z.sub_(torch.logsumexp(z, -1, keepdim=True))
            z.gather(1, y)
            z.exp_().neg_().scatter_add_(1, y, ones[:len(z)])
            torch.mm(z, w, out=dx[i:i + chunk])
            dw.addmm_(z.t(), rows)
    return work


class Decoder:
    """Qwen2 form: 4 layers of width 128, 4 query and 2 key heads of 32, inner width 320, 896 tokens, tied head."""
    layers, width, heads, kv_heads, inner, vocab, size = 4, 128, 4, 2, 320, 896, 32

    def __init__(self, dtype):
        make = lambda *shape: (torch.randn(*shape) * 0.05).to(dtype)
        qkv = (self.heads + 2 * self.kv_heads) * self.size
        self.embedding = make(self.vocab, self.width)
        self.parts = [(make(qkv, self.width), make(qkv), make(self.width, self.width), make(2 * self.inner, self.width),
                       make(self.width, self.inner), torch.ones(self.width, dtype=dtype), torch.ones(self.width, dtype=dtype))
                      for _ in range(self.layers)]
        angles = torch.outer(torch.arange(1024).float(), 1e-4 ** (torch.arange(0, self.size, 2).float() / self.size))
        self.cos, self.sin = angles.cos().to(dtype), angles.sin().to(dtype)

    def norm(self, x, weight):
        return x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6).to(x.dtype) * weight

    def rotate(self, x, begin, end):
        cos, sin = self.cos[begin:end], self.sin[begin:end]
        a, b = x.chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def forward(self, tokens, caches, begin):
        """tokens [sequences, n] at positions [begin, begin + n): logits of the last one."""
        count, n = tokens.shape
        end = begin + n
        x = self.embedding[tokens]
        share = self.heads // self.kv_heads
        future = torch.full((n, end), float("-inf"), dtype=x.dtype).triu(begin + 1) if n > 1 else None
        for (qkv, bias, out, gate_up, down, norm1, norm2), (keys, values) in zip(self.parts, caches):
            h = F.linear(self.norm(x, norm1), qkv, bias).view(count, n, -1, self.size).transpose(1, 2)
            q, k, v = h.split((self.heads, self.kv_heads, self.kv_heads), 1)
            q = self.rotate(q, begin, end)
            keys[:, :, begin:end] = self.rotate(k, begin, end)
            values[:, :, begin:end] = v
            # The query heads of a key head side by side: no copy of the keys.
            q = q.reshape(count * self.kv_heads, share * n, self.size)
            k, v = (t[:, :, :end].reshape(count * self.kv_heads, end, self.size) for t in (keys, values))
            scores = torch.bmm(q, k.transpose(1, 2)).mul_(self.size**-0.5)
            if future is not None:
                scores.view(-1, share, n, end).add_(future)
            mixed = torch.bmm(scores.softmax(-1), v).view(count, self.heads, n, self.size)
            x = x + F.linear(mixed.transpose(1, 2).reshape(count, n, self.width), out)
            gate, up = F.linear(self.norm(x, norm2), gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, down)
        return F.linear(self.norm(x[:, -1], norm2), self.embedding)


def decode(r):
    dtype = getattr(torch, r["dtype"])
    model = once(("decoder", dtype), lambda: Decoder(dtype))
    count, prompt, tokens = r["sequences"], r["prompt"], r["tokens"]
    ids = torch.randint(0, model.vocab, (count, prompt))

    def work():
        shape = (count, model.kv_heads, prompt + tokens, model.size)
        caches = [(torch.empty(shape, dtype=dtype), torch.empty(shape, dtype=dtype)) for _ in range(model.layers)]
        logits = model.forward(ids, caches, 0)
        filled = time.perf_counter()
        for step in range(tokens):
            distribution = logits.float().softmax(-1)
            chosen = torch.multinomial(distribution, 1)
            distribution.gather(1, chosen).log()
            if step + 1 < tokens:
                logits = model.forward(chosen, caches, prompt + step)
        return {"decode": time.perf_counter() - filled}
    return work


class Trainer:
    """A Qwen2-form decoder with tied head; one sequence at a time, so that score matrices stay in the cache. bfloat16: autocast."""

    def __init__(self, r):
        self.r, self.size = r, r["width"] // r["heads"]
        make = lambda *shape: nn.Parameter(torch.randn(*shape) * 0.02)
        kv, width, inner = r["kv_heads"] * self.size, r["width"], r["inner"]
        self.embedding, self.last = make(r["vocab"], width), nn.Parameter(torch.ones(width))
        self.layers = [(make(width + 2 * kv, width), make(width + 2 * kv), make(width, width), make(2 * inner, width), make(width, inner),
                        nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))) for _ in range(r["layers"])]
        self.optimiser = torch.optim.AdamW([self.embedding, self.last, *(p for layer in self.layers for p in layer)], lr=1e-4)
        angles = torch.outer(torch.arange(r["context"]).float(), 1e-4 ** (torch.arange(0, self.size, 2).float() / self.size))
        self.cos, self.sin = angles.cos(), angles.sin()
        self.future = torch.full((r["context"], r["context"]), float("-inf")).triu(1)
        self.tokens = torch.randint(0, r["vocab"], (r["batch"], r["context"] + 1))

    def norm(self, x, weight):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight

    def rotate(self, x):
        a, b = x.chunk(2, -1)
        return torch.cat((a * self.cos - b * self.sin, b * self.cos + a * self.sin), -1)

    def logits(self, tokens):
        heads, kv = self.r["heads"], self.r["kv_heads"]
        x = self.embedding[tokens]
        for qkv, bias, out, gate_up, down, norm1, norm2 in self.layers:
            h = F.linear(self.norm(x, norm1), qkv, bias).view(len(tokens), -1, self.size).transpose(0, 1)
            q, k, v = h.split((heads, kv, kv))
            q, k = self.rotate(q), self.rotate(k)
            k, v = k.repeat_interleave(heads // kv, 0), v.repeat_interleave(heads // kv, 0)
            scores = torch.bmm(q, k.transpose(1, 2)) * self.size**-0.5 + self.future
            mixed = torch.bmm(scores.softmax(-1), v).transpose(0, 1).reshape(len(tokens), -1)
            x = x + F.linear(mixed, out)
            gate, up = F.linear(self.norm(x, norm2), gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, down)
        return F.linear(self.norm(x, self.last), self.embedding)

    def step(self):
        with torch.enable_grad():
            for row in self.tokens:
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.r["dtype"] == "bfloat16"):
                    logits = self.logits(row[:-1])
                (F.cross_entropy(logits.float(), row[1:]) / len(self.tokens)).backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)


def train(r):
    return once(("train", r["dtype"]), lambda: Trainer(r)).step


print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
operations = {"gemm": gemm, "head": head, "train": train, "decode": decode}
for line in sys.stdin:
    try:
        request = json.loads(line)
        work = operations[request["op"]](request)
        more = {}
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(request.get("times", 1)):
            more = work() or {}
        answer = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu, **more}
    except Exception as error:  # an operation that this PyTorch lacks is an answer, not the end
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
