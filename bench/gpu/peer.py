"""The table of bench/gpu: what `siri_check --bench` measured beside straightforward PyTorch, eager and compiled, in the same run.

  python3 bench/gpu/peer.py BENCH.JSONL [--device cuda|cpu]

Reads one JSON object a line (native/check/bench.h), measures the same work at the same sizes and type, and the device's copy and product at
their best for the shares of a floor. Prints markdown. `straightforward`: what one would write first, with PyTorch's own fused pieces
(scaled_dot_product_attention, fused AdamW), logits kept whole.
"""
import argparse
import json
import platform
import time

import torch
from torch.nn import functional as F

flags = argparse.ArgumentParser()
flags.add_argument("bench")
flags.add_argument("--device", default="cuda")
args = flags.parse_args()
device = torch.device(args.device)
torch.manual_seed(0)

# Milliseconds of the issue, by (name, width); for the others a share of what the device can do.
TARGET_MS = {("logprob forward", 1536): 5.8, ("logprob forward and backward", 1536): 18.0,
             ("logprob forward", 3584): 13.0, ("logprob forward and backward", 3584): 40.0}
TARGET_BANDWIDTH = {"decode step": 0.60}
TARGET_PRODUCT = {"training step": 0.45}
TARGET_RATIO = 1.5


def wait():
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds(work, rounds=5):
    """Median; two calls first, in which compilers and caches warm up."""
    times = []
    for i in range(rounds + 2):
        wait()
        begin = time.perf_counter()
        work()
        wait()
        if i >= 2:
            times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2]


def head(record, backward):
    dtype = getattr(torch, record["dtype"])
    n, d, v = (record["shape"][key] for key in ("rows", "width", "vocab"))
    x = torch.randn(n, d, device=device, dtype=dtype, requires_grad=backward)
    w = (torch.randn(v, d, device=device, dtype=dtype) * 0.02).requires_grad_(backward)
    target = torch.randint(0, v, (n, 1), device=device)

    def forward(x, w):
        logp = F.log_softmax(F.linear(x, w).float(), -1)
        return logp.gather(1, target).squeeze(1), -(logp.exp() * logp).sum(-1)

    def scored(f):
        def work():
            with torch.no_grad():
                f(x, w)
        return work

    def trained(f):
        def work():
            x.grad = w.grad = None
            (-f(x, w)[0]).sum().backward()
        return work
    return forward, trained if backward else scored


def adamw(record):
    p = torch.full((record["shape"]["n"],), 0.5, device=device)
    p.grad = torch.full_like(p, 0.1)
    optimiser = torch.optim.AdamW([p], lr=1e-5, **({"fused": True} if device.type == "cuda" else {}))
    return None, lambda _: optimiser.step


class Decoder(torch.nn.Module):
    """Qwen2 form. forward(tokens [rows, n], caches, begin): hidden states; with caches only the new tokens are run."""

    def __init__(self, layers, width, heads, kv_heads, size, inner, vocab, positions, dtype):
        super().__init__()
        make = lambda *shape: torch.nn.Parameter(torch.randn(*shape, device=device, dtype=dtype) * 0.02)
        ones = lambda: torch.nn.Parameter(torch.ones(width, device=device, dtype=dtype))
        self.heads, self.kv_heads, self.size = heads, kv_heads, size
        self.embedding, self.last = make(vocab, width), ones()
        qkv = (heads + 2 * kv_heads) * size
        self.layers = torch.nn.ModuleList(torch.nn.ParameterList(
            [make(qkv, width), make(qkv), make(width, heads * size), make(2 * inner, width), make(width, inner), ones(), ones()])
            for _ in range(layers))
        angles = torch.outer(torch.arange(positions, device=device).float(),
                             1e-6 ** (torch.arange(0, size, 2, device=device).float() / size))
        self.register_buffer("cos", angles.cos().to(dtype))
        self.register_buffer("sin", angles.sin().to(dtype))

    def norm(self, x, weight):
        return x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6).to(x.dtype) * weight

    def rotate(self, x, begin, end):
        cos, sin = self.cos[begin:end], self.sin[begin:end]
        a, b = x.chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def forward(self, tokens, caches=None, begin=0):
        rows, n = tokens.shape
        end = begin + n
        x = F.embedding(tokens, self.embedding)
        for i, (qkv, bias, out, gate_up, down, norm1, norm2) in enumerate(self.layers):
            h = F.linear(self.norm(x, norm1), qkv, bias).view(rows, n, -1, self.size).transpose(1, 2)
            q, k, v = h.split((self.heads, self.kv_heads, self.kv_heads), 1)
            q, k = self.rotate(q, begin, end), self.rotate(k, begin, end)
            if caches is not None:
                caches[i][0][:, :, begin:end], caches[i][1][:, :, begin:end] = k, v
                k, v = caches[i][0][:, :, :end], caches[i][1][:, :, :end]
            k, v = (t.repeat_interleave(self.heads // self.kv_heads, 1) for t in (k, v))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=caches is None)
            x = x + F.linear(mixed.transpose(1, 2).reshape(rows, n, -1), out)
            gate, up = F.linear(self.norm(x, norm2), gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, down)
        return self.norm(x, self.last)


def model_for(record, dtype):
    small = record["shape"].get("context", record["shape"].get("length")) < 1000  # the sizes of bench.cpp
    return (Decoder(2, 64, 4, 2, 32, 96, 1000, 256, dtype) if small else Decoder(28, 1536, 12, 2, 128, 8960, 151936, 4096, dtype)), small


def decode(record):
    dtype = getattr(torch, record["dtype"])
    count, context = record["shape"]["sequences"], record["shape"]["context"]
    model, small = model_for(record, dtype)
    layers = len(model.layers)
    shape = (count, model.kv_heads, context + 1, model.size)
    caches = [(torch.randn(shape, device=device, dtype=dtype), torch.randn(shape, device=device, dtype=dtype)) for _ in range(layers)]
    tokens = torch.randint(0, model.embedding.shape[0], (count, 1), device=device)

    def step(tokens):
        return F.linear(model(tokens, caches, context)[:, -1], model.embedding).float().softmax(-1)

    def work(f):
        def run():
            with torch.no_grad():
                distribution = f(tokens)
                chosen = torch.multinomial(distribution, 1)
                distribution.gather(1, chosen).log().cpu()
        return run
    return step, work


def train(record):
    count, length = record["shape"]["rows"], record["shape"]["length"]
    model, _ = model_for(record, torch.float32)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-6, **({"fused": True} if device.type == "cuda" else {}))
    tokens = torch.randint(0, model.embedding.shape[0], (count, length), device=device)
    bfloat16 = record["dtype"] == "bfloat16"

    def loss(rows):
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            logits = F.linear(model(rows[:, :-1]), model.embedding)
        return F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())

    def work(f):
        def run():
            for i in range(0, count, 4):  # logits of all rows at once would take 20 GB and more
                (f(tokens[i:i + 4]) * (4 / count)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return run
    return loss, work


OPERATIONS = {"logprob forward": lambda r: head(r, False), "logprob forward and backward": lambda r: head(r, True),
              "adamw": adamw, "decode step": decode, "training step": train}


def peers(record):
    """Seconds eager and compiled, or why not."""
    if record["name"] not in OPERATIONS:
        return "no peer", "no peer"
    found = []
    for compiled in (False, True):
        try:
            if compiled and not hasattr(torch, "compile"):
                raise RuntimeError("this PyTorch has no torch.compile")
            function, work = OPERATIONS[record["name"]](record)
            if compiled and function is None:
                found.append("the same")
                continue
            found.append(seconds(work(torch.compile(function) if compiled else function)))
        except Exception as error:  # what PyTorch cannot do at this size is an entry of the table, not its end
            found.append(f"{type(error).__name__}: {str(error).splitlines()[0][:60]}")
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return tuple(found)


def peaks():
    size = 1 << (28 if device.type == "cuda" else 22)
    a, b = torch.empty(size, device=device), torch.empty(size, device=device)
    copy = 8 * size / seconds(lambda: a.copy_(b))
    side = 8192 if device.type == "cuda" else 512
    x = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    return copy, 2 * side**3 / seconds(lambda: x @ x)


def text(value):
    return f"{value * 1e3:.3f}" if isinstance(value, float) else value


records = [json.loads(line) for line in open(args.bench) if line.strip()]
copy, product = peaks()
name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
print(f"# {name} beside PyTorch {torch.__version__}\n\nMilliseconds, medians. Measured in the same run: copy {copy / 1e12:.3f} TB/s, "
      f"bfloat16 product {product / 1e12:.2f} TFLOP/s.\n")
print("| what | type | size | ours | eager | compiled | times the better peer | of the floor | target | met |\n|---|---|---|---:|---:|---:|---:|---:|---|---|")
for record in records:
    ours, what = record["seconds"], record["name"]
    found = peers(record)
    best = min((t for t in found if isinstance(t, float)), default=None)
    ratio = best / ours if best else None
    floor = max(record["bytes"] / copy, record["flops"] / product)
    share = floor / ours if floor else None
    target, met = "", []
    limit = TARGET_MS.get((what, record["shape"].get("width"))) if record["dtype"] == "bfloat16" else None
    if limit:
        target = f"{limit} ms"
        met.append(ours * 1e3 <= limit)
    for shares in (TARGET_BANDWIDTH, TARGET_PRODUCT):
        if what in shares and record["dtype"] == "bfloat16":
            target = f"{shares[what]:.0%} of the floor"
            met.append(share >= shares[what])
    if ratio and record["dtype"] == "bfloat16" and (target or what in OPERATIONS):
        target += f"{', ' if target else ''}{TARGET_RATIO} times"
        met.append(ratio >= TARGET_RATIO)
    size = " ".join(f"{key} {value}" for key, value in record["shape"].items())
    print(f"| {what} | {record['dtype']} | {size} | {ours * 1e3:.3f} | {text(found[0])} | {text(found[1])} | "
          f"{f'{ratio:.2f}' if ratio else ''} | {f'{share:.0%}' if share else ''} | {target} | {'' if not met else 'yes' if all(met) else 'NO'} |", flush=True)
