/**
 * train() against the formulas written out in JavaScript, its gradients against finite differences, and its means over all rows
 * whatever the micro-batches.
 */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  bits,
  floats,
  fromFloats,
  goldenDir,
  random,
  randomTokens,
  readRaw,
  temporaryFolder,
  writeRaw,
} from "../../test/support/policy.js";
import { Policy } from "./policy.js";
import type { DistillLoss, DistillRow, PolicyLoss, PolicyRow, TrainResult, WeightedLoss, WeightedRow } from "./types.js";

const model = "qwen3-tied";
const vocab = 300;
const options = { kvCacheMiB: 4 };
const next = random(77);
const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
const array = (n: number, f: () => number) => Float32Array.from({ length: n }, f);

/** Rows of odd lengths: one response token, one prompt token, a fully masked row, different temperatures. */
async function policyRows(policy: Policy): Promise<PolicyRow[]> {
  const shapes = [
    [2, 1],
    [33, 7],
    [5, 1],
    [64, 40],
    [17, 16],
    [50, 1],
  ] as const;
  const rows = shapes.map(([n, start], i) => ({
    tokens: randomTokens(next, n, vocab),
    responseStart: start,
    temperature: [1, 0.7, 1.4][i % 3]!,
  }));
  const { logprobs } = await policy.score(rows);
  return rows.map((row, i) => ({
    ...row,
    advantage: i === 1 ? -1.25 : array(logprobs[i]!.length, normal),
    oldLogprobs: logprobs[i]!.map((lp) => lp + 0.3 * normal()),
    refLogprobs: logprobs[i]!.map((lp) => lp + 0.5 * normal()),
    mask: array(logprobs[i]!.length, () => (i === 4 ? 0 : Number(next() > 0.2))),
  }));
}

function expectedPolicy(rows: readonly PolicyRow[], loss: PolicyLoss, logprobs: Float32Array[], entropies: Float32Array[]) {
  const counted = rows.flatMap((r) => [...r.mask!]).reduce((a, b) => a + b, 0);
  const total = { loss: 0, policyLoss: 0, kl: 0, entropy: 0, clipFraction: 0, approxKl: 0, klMax: 0 };
  for (const [i, row] of rows.entries()) {
    const inRow = row.mask!.reduce((a, b) => a + b, 0);
    for (const [j, lp] of logprobs[i]!.entries()) {
      const m = row.mask![j]!;
      if (m === 0) continue;
      const c = {
        "token-mean": m / counted,
        "seq-mean-token-sum": m / rows.length,
        "seq-mean-token-mean": m / Math.max(1, inRow) / rows.length,
      }[loss.aggregation];
      const a = typeof row.advantage === "number" ? row.advantage : row.advantage[j]!;
      const ratio = Math.exp(lp - row.oldLogprobs[j]!);
      const clipped = Math.min(Math.max(ratio, 1 - loss.clipLow), 1 + loss.clipHigh);
      let pg = Math.max(-a * ratio, -a * clipped);
      if (a < 0 && loss.dualClip > 0) pg = Math.min(pg, -a * loss.dualClip);
      const d = row.refLogprobs![j]! - lp;
      const k3 = Math.min(Math.exp(d) - d - 1, 10);
      total.loss += c * (pg + loss.klCoef * k3 - loss.entropyCoef * entropies[i]![j]!);
      total.policyLoss += c * pg;
      total.kl += (m * k3) / counted;
      total.klMax = Math.max(total.klMax, k3);
      total.entropy += (m * entropies[i]![j]!) / counted;
      total.clipFraction += (a > 0 ? ratio > 1 + loss.clipHigh : a < 0 && ratio < 1 - loss.clipLow) ? m / counted : 0;
      total.approxKl += (m * (ratio - 1 - (lp - row.oldLogprobs[j]!))) / counted;
    }
  }
  return { ...total, loss: total.loss * (loss.scale ?? 1), tokens: counted };
}

const policyLoss: PolicyLoss = {
  kind: "policy",
  clipLow: 0.2,
  clipHigh: 0.28,
  dualClip: 3,
  klCoef: 0.01,
  entropyCoef: 0.001,
  aggregation: "token-mean",
};

describe("policy loss", () => {
  it.each(["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"] as const)(
    "%s is exact over any micro-batches",
    async (aggregation) => {
      const loss = { ...policyLoss, aggregation, scale: 0.7 };
      let gradient: Float32Array | undefined;
      for (const maxBatchTokens of [2048, 60, 1]) {
        const policy = await Policy.load(goldenDir(model), { ...options, maxBatchTokens });
        const rows = await policyRowsOnce(policy);
        const { logprobs, entropies } = await policy.score(rows);
        const expected = expectedPolicy(rows, loss, logprobs, entropies);
        const result = await policy.train(rows, loss);
        for (const [key, value] of Object.entries(expected)) expect(result[key as keyof TrainResult], key).toBeCloseTo(value, 9);
        expect(result.totalTokens).toBe(rows.reduce((n, r) => n + r.tokens.length - 1, 0));
        for (const [i, l] of logprobs.entries()) expect(bits(result.logprobs[i]!)).toEqual(bits(l));
        const g = await policy.readGradient("model.layers.0.mlp.gate_proj.weight");
        if (gradient) for (const [i, x] of g.entries()) expect(Math.abs(x - gradient[i]!)).toBeLessThan(1e-6);
        gradient = g;
        await policy.close();
      }
    },
  );
});

let cachedRows: PolicyRow[] | undefined;
async function policyRowsOnce(policy: Policy): Promise<PolicyRow[]> {
  cachedRows ??= await policyRows(policy);
  return cachedRows;
}

describe("weighted-nll", () => {
  it("follows its formula, with mask, normaliser, scale and prompt loss", async () => {
    const policy = await Policy.load(goldenDir(model), options);
    const base = await policyRowsOnce(policy);
    const rows: WeightedRow[] = base.map((r) => ({ ...r, weights: array(r.tokens.length - r.responseStart, normal) }));
    const { logprobs } = await policy.score(rows);
    const prompts = await policy.score(rows.map((r) => ({ tokens: r.tokens.slice(0, r.responseStart), responseStart: 1 })));
    const counted = rows.flatMap((r) => [...r.mask!]).reduce((a, b) => a + b, 0);
    let sum = 0;
    let nll = 0;
    for (const [i, row] of rows.entries())
      for (const [j, lp] of logprobs[i]!.entries()) {
        sum -= row.weights![j]! * row.mask![j]! * lp;
        nll -= row.mask![j]! * lp;
      }
    const promptLogprobs = prompts.logprobs.flatMap((l) => [...l]);
    const promptNll = -promptLogprobs.reduce((a, b) => a + b, 0) / promptLogprobs.length;
    const cases: [Partial<WeightedLoss>, number][] = [
      [{}, sum / counted],
      [{ normaliser: 12, scale: -2 }, (-2 * sum) / 12],
      [{ promptCoef: 0.3 }, sum / counted + 0.3 * promptNll],
    ];
    for (const [loss, value] of cases) {
      const result = await policy.train(rows, { kind: "weighted-nll", ...loss });
      expect(result.loss).toBeCloseTo(value, 9);
      expect(result.nll).toBeCloseTo(nll / counted, 9);
      expect(result.tokens).toBe(counted);
      if (loss.promptCoef) expect(result.promptNll).toBeCloseTo(promptNll, 9);
      else expect(result.promptNll).toBeUndefined();
    }
    await policy.close();
  });
});

async function distillRows(): Promise<DistillRow[]> {
  return [
    [20, 5, 9],
    [4, 3, 1],
    [31, 30, 2],
  ].map(([n, start, teacherPrompt]) => {
    const tokens = randomTokens(next, n!, vocab);
    const teacher = Int32Array.from([...randomTokens(next, teacherPrompt!, vocab), ...tokens.slice(start)]);
    return {
      tokens,
      responseStart: start!,
      teacher: { tokens: teacher, responseStart: teacherPrompt! },
      weights: array(n! - start!, () => Math.abs(normal())),
    };
  });
}

/** The model's full distribution after each prompt-and-response prefix, [positions][vocab] log-probs. */
async function distributions(policy: Policy, tokens: Int32Array, start: number, temperature: number): Promise<Float64Array[]> {
  const out: Float64Array[] = [];
  for (let p = start; p < tokens.length; p++) {
    const rows = Array.from({ length: vocab }, (_, v) => ({
      tokens: Int32Array.from([...tokens.subarray(0, p), v]),
      responseStart: p,
      temperature,
    }));
    const { logprobs } = await policy.score(rows);
    out.push(Float64Array.from(logprobs.map((l) => l[0]!)));
  }
  return out;
}

/** The distillation loss as documented, from full distributions. */
async function distillation(student: Policy, teacher: Policy, rows: readonly DistillRow[], loss: DistillLoss): Promise<number> {
  const { divergence, beta = 0.5, temperature = 1 } = loss;
  let sum = 0;
  let weights = 0;
  for (const row of rows) {
    const teachers = await distributions(teacher, row.teacher.tokens, row.teacher.responseStart, temperature);
    for (const [j, s] of (await distributions(student, row.tokens, row.responseStart, temperature)).entries()) {
      let d = 0;
      for (let v = 0; v < vocab; v++) {
        const ls = s[v]!;
        const lt = teachers[j]![v]!;
        const m = Math.log(beta * Math.exp(lt) + (1 - beta) * Math.exp(ls));
        if (divergence === "forward-kl") d += Math.exp(lt) * (lt - ls);
        else if (divergence === "reverse-kl") d += Math.exp(ls) * (ls - lt);
        else d += beta * Math.exp(lt) * (lt - m) + (1 - beta) * Math.exp(ls) * (ls - m);
      }
      sum += row.weights![j]! * d;
      weights += row.weights![j]!;
    }
  }
  return sum / weights;
}

it.each([
  ["forward-kl", 1],
  ["reverse-kl", 1],
  ["jsd", 1],
  ["jsd", 2],
] as const)("distillation by %s at temperature %d follows its formula", async (divergence, temperature) => {
  const policy = await Policy.load(goldenDir(model), options);
  const rows = await distillRows();
  const loss = { kind: "distill", divergence, beta: 0.3, temperature } as const;
  const result = await policy.train(rows, loss);
  expect(Math.abs(result.loss - (await distillation(policy, policy, rows, loss)))).toBeLessThan(1e-5);
  expect(result.divergence).toBeCloseTo(result.loss, 9);
  const scored = await policy.score(rows);
  for (const [i, l] of scored.logprobs.entries()) expect(bits(result.logprobs[i]!)).toEqual(bits(l));
  await policy.close();
});

describe("gradients agree with finite differences", () => {
  const losses: [string, PolicyLoss | WeightedLoss | DistillLoss][] = [
    // Clip ranges that no token reaches: a kink has no derivative.
    ["policy", { ...policyLoss, clipLow: 1, clipHigh: 100, dualClip: 0, klCoef: 0.1, entropyCoef: 0.05 }],
    ["weighted with prompt", { kind: "weighted-nll", promptCoef: 0.5 }],
    ["forward-kl", { kind: "distill", divergence: "forward-kl" }],
    ["reverse-kl", { kind: "distill", divergence: "reverse-kl", temperature: 1.5 }],
    ["jsd", { kind: "distill", divergence: "jsd", beta: 0.3 }],
  ];

  /** The model in `base`, moved by `distance` along a direction. */
  async function moved(base: string, direction: ReadonlyMap<string, Float32Array>, distance: number): Promise<Policy> {
    const dir = await temporaryFolder();
    await cp(join(base, "config.json"), join(dir, "config.json"));
    const tensors = await readRaw(join(base, "model.safetensors"));
    await writeRaw(
      join(dir, "model.safetensors"),
      tensors.map((t) =>
        fromFloats(
          t,
          floats(t).map((w, i) => w + distance * direction.get(t.name)![i]!),
        ),
      ),
    );
    return Policy.load(dir, options);
  }

  it.each(losses)("%s", async (name, loss) => {
    const base = await temporaryFolder();
    const center = await Policy.create(
      {
        model_type: name === "policy" ? "qwen2" : "qwen3",
        hidden_size: 35,
        intermediate_size: 51,
        num_hidden_layers: 3,
        num_attention_heads: 6,
        num_key_value_heads: 2,
        head_dim: 10,
        vocab_size: vocab,
        max_position_embeddings: 128,
        rms_norm_eps: 1e-6,
        initializer_range: 0.15,
        tie_word_embeddings: name !== "jsd",
      },
      { ...options, seed: 3 },
    );
    await center.save(base);
    const rows = loss.kind === "distill" ? await distillRows() : await policyRows(center);
    await center.train(rows, loss);
    // Along the gradient, each element stretched by a random factor: no part can hide behind another.
    const direction = new Map<string, Float32Array>();
    let slope = 0;
    let norm = 0;
    const stretch = random(5);
    for (const tensor of center.tensorNames()) {
      const g = await center.readGradient(tensor);
      direction.set(
        tensor,
        g.map((x) => 2 * stretch() * x),
      );
      for (const [i, d] of direction.get(tensor)!.entries()) {
        slope += g[i]! * d;
        norm += d * d;
      }
    }
    const h = 2e-3 / Math.sqrt(norm);
    const [up, down] = await Promise.all([moved(base, direction, h), moved(base, direction, -h)]);
    const at = async (policy: Policy) =>
      // The teacher is a constant of the gradient: it must not move along.
      loss.kind === "distill" ? distillation(policy, center, rows as DistillRow[], loss) : (await policy.train(rows, loss)).loss;
    const numeric = ((await at(up)) - (await at(down))) / (2 * h);
    expect(Math.abs(numeric / slope - 1)).toBeLessThan(5e-4);
    for (const p of [center, up, down]) await p.close();
  });
});

it("a token outside its row's top k is a finite loss and finite statistics", async () => {
  const policy = await Policy.load(goldenDir(model), options);
  const tokens = Int32Array.from([1, 2, ...randomTokens(next, 6, vocab)]);
  const row = { tokens, responseStart: 2, topK: 1 };
  const { logprobs } = await policy.score([row]);
  expect(logprobs[0]).toContain(Number.NEGATIVE_INFINITY);
  const oldLogprobs = new Float32Array(6).fill(-1);
  const loss = { clipLow: 0.2, clipHigh: 0.2, dualClip: 3, klCoef: 0.01, entropyCoef: 0.001, aggregation: "token-mean" } as const;
  const result = await policy.train([{ ...row, oldLogprobs, refLogprobs: oldLogprobs, advantage: 1 }], { kind: "policy", ...loss });
  for (const value of [result.loss, result.policyLoss, result.kl, result.entropy, result.approxKl])
    expect(value).toSatisfy(Number.isFinite);
  expect((await policy.update({ lr: 1e-3 })).gradNorm).toSatisfy(Number.isFinite);
  await policy.close();
});
