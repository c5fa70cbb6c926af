/** The engine against numbers computed in float64 (test/goldens/model): four architectures. */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { goldenCases, goldenDir, readAll } from "../../test/support/policy.js";
import { Policy } from "./policy.js";

// The numbers come from float64. A straightforward float32 computation is off by some 1e-6 itself; we allow 1e-5 in all.
const TOLERANCE = 1e-5;

function worst(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length);
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(found[i]! - expected[i]!);
    if (!(d <= most)) most = d;
  }
  return most;
}

async function golden(name: string) {
  const t = await readAll(`${goldenDir(name)}/expected.safetensors`);
  const get = <T extends Float32Array | Int32Array>(key: string) => t.get(key) as T;
  const tokens = get<Int32Array>("tokens");
  const advantage = get<Float32Array>("advantage");
  const starts = get<Int32Array>("response_start");
  const sequences: { tokens: Int32Array; advantage: Float32Array; start: number }[] = [];
  let at = 0;
  for (const [i, n] of get<Int32Array>("lengths").entries()) {
    sequences.push({ tokens: tokens.slice(at, at + n), advantage: advantage.slice(at, at + n), start: Math.min(starts[i]!, n) });
    at += n;
  }
  const trainRows = sequences.map((s) => ({ tokens: s.tokens, responseStart: s.start, weights: s.advantage.slice(s.start) }));
  return { get, sequences, trainRows };
}

function rootMeanSquare(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length);
  let sum = 0;
  for (let i = 0; i < expected.length; i++) sum += (found[i]! - expected[i]!) ** 2;
  return Math.sqrt(sum / expected.length);
}

/** What the straightforward bfloat16 formula is off by, root mean square (test/goldens/bfloat16.py). */
async function bfloat16Errors(name: string): Promise<Record<string, number>> {
  return JSON.parse(await readFile(`${goldenDir(name)}/bfloat16.json`, "utf8")) as Record<string, number>;
}

/** Float32 error of one gradient entry, after clipping. */
const GRADIENT_ERROR = 2e-8;

describe.each(goldenCases)("%s", (name) => {
  it("gives the expected log-probs and entropies of every token", async () => {
    const g = await golden(name);
    const policy = await Policy.load(goldenDir(name));
    const { logprobs, entropies } = await policy.score(g.sequences.map((s) => ({ tokens: s.tokens, responseStart: 1 })));
    expect(worst(Float32Array.from(logprobs.flatMap((a) => [...a])), g.get("logprob"))).toBeLessThan(TOLERANCE);
    expect(worst(Float32Array.from(entropies.flatMap((a) => [...a])), g.get("entropy"))).toBeLessThan(TOLERANCE);
    await policy.close();
  });

  it("gives the expected logits at the end of a sequence and inside it", async () => {
    const g = await golden(name);
    const policy = await Policy.load(goldenDir(name));
    const logits = g.get<Float32Array>("logits");
    const sequence = g.sequences[0]!.tokens;
    const vocab = policy.vocabSize;
    for (const position of [0, 7, sequence.length - 1]) {
      const expected = logits.subarray(position * vocab, (position + 1) * vocab);
      const logSumExp = Math.log(expected.reduce((sum, z) => sum + Math.exp(z), 0));
      const candidates = Array.from({ length: vocab }, (_, v) => ({
        tokens: Int32Array.from([...sequence.subarray(0, position + 1), v]),
        responseStart: position + 1,
      }));
      const { logprobs } = await policy.score(candidates);
      expect(
        worst(
          logprobs.map((lp) => lp[0]! + logSumExp),
          expected,
        ),
      ).toBeLessThan(TOLERANCE);
    }
    await policy.close();
  });

  it("gives the expected loss, gradients and gradient norm", async () => {
    const g = await golden(name);
    // Two cuts into micro-batches: the means are over all rows in both.
    for (const maxBatchTokens of [2048, 40]) {
      const policy = await Policy.load(goldenDir(name), { maxBatchTokens });
      const result = await policy.train(g.trainRows, { kind: "weighted-nll" });
      expect(Math.abs(result.loss - g.get("loss")[0]!)).toBeLessThan(TOLERANCE);
      for (const tensor of policy.tensorNames())
        expect(worst(await policy.readGradient(tensor), g.get(`grad.${tensor}`)), tensor).toBeLessThan(TOLERANCE);
      const { gradNorm, step } = await policy.update({ lr: 0 });
      expect(Math.abs(gradNorm - g.get("grad_norm")[0]!)).toBeLessThan(TOLERANCE);
      expect(step).toBe(1);
      await policy.close();
    }
  });

  it("gives the expected weights after two AdamW steps with one gradient", async () => {
    const g = await golden(name);
    const lr = 1e-2;
    const decay = 0.1;
    const adamw = { lr, weightDecay: decay, maxGradNorm: 1 };
    // The golden holds the gradient while the weights move. AdamW is w <- w (1 - lr decay) - lr u(step), so step 2's u is found by a
    // policy whose first step had lr 0, and step 1's weights by one that stopped after it.
    const once = await Policy.load(goldenDir(name));
    await once.train(g.trainRows, { kind: "weighted-nll" });
    await once.update(adamw);
    const second = await Policy.load(goldenDir(name));
    await second.train(g.trainRows, { kind: "weighted-nll" });
    await second.update({ ...adamw, lr: 0 });
    await second.train(g.trainRows, { kind: "weighted-nll" });
    expect((await second.update(adamw)).step).toBe(2);
    const original = await readAll(`${goldenDir(name)}/model.safetensors`);
    const scale = Math.min(1, 1 / (g.get("grad_norm")[0]! + 1e-6));
    for (const tensor of once.tensorNames()) {
      const matrix = !tensor.endsWith("norm.weight") && !tensor.endsWith(".bias");
      const keep = matrix ? 1 - lr * decay : 1;
      const w0 = original.get(tensor)!;
      const w1 = await once.readTensor(tensor);
      const w = await second.readTensor(tensor);
      const expected = g.get<Float32Array>(`adamw2.${tensor}`);
      const gradient = g.get<Float32Array>(`grad.${tensor}`);
      for (let i = 0; i < w.length; i++) {
        const found = w1[i]! * keep + (w[i]! - w0[i]! * keep);
        // A step is lr g / (|g| + eps). What a gradient's own float32 error does to the two of them is the slope times that error,
        // and 4 lr (a turned sign, twice) where the gradient is no larger than its error.
        const size = Math.abs(gradient[i]!) * scale;
        const slope = size > GRADIENT_ERROR ? 1e-8 / ((size + 1e-8) * (size - GRADIENT_ERROR + 1e-8)) : Number.POSITIVE_INFINITY;
        const noise = Math.min(4 * lr, 2 * lr * slope * GRADIENT_ERROR);
        const allowed = gradient[i] === 0 ? 1e-6 : 1e-6 + noise;
        if (!(Math.abs(found - expected[i]!) <= allowed))
          expect.fail(`${tensor}[${i}]: ${found}, expected ${expected[i]} (gradient ${gradient[i]})`);
      }
    }
    await once.close();
    await second.close();
  });

  it("in bfloat16 is no further off than the straightforward formula", async () => {
    const g = await golden(name);
    const errors = await bfloat16Errors(name);
    const policy = await Policy.load(goldenDir(name), { dtype: "bfloat16" });
    const check = (key: string, found: ArrayLike<number>, expected = g.get(key)) =>
      expect(rootMeanSquare(found, expected), key).toBeLessThan(errors[key]! + TOLERANCE);
    const { logprobs, entropies } = await policy.score(g.sequences.map((s) => ({ tokens: s.tokens, responseStart: 1 })));
    check("logprob", Float32Array.from(logprobs.flatMap((a) => [...a])));
    check("entropy", Float32Array.from(entropies.flatMap((a) => [...a])));
    check("loss", [(await policy.train(g.trainRows, { kind: "weighted-nll" })).loss]);
    for (const tensor of policy.tensorNames()) check(`grad.${tensor}`, await policy.readGradient(tensor));
    check("grad_norm", [(await policy.update({ lr: 0 })).gradNorm]);
    // Far from float32: it was bfloat16 that was measured.
    expect(worst(Float32Array.from(logprobs.flatMap((a) => [...a])), g.get("logprob"))).toBeGreaterThan(100 * TOLERANCE);
    await policy.close();
  });

  it("continues greedily as expected", async () => {
    const g = await golden(name);
    const policy = await Policy.load(goldenDir(name));
    const greedy = g.get<Int32Array>("greedy");
    const sample = await policy.sample(greedy.slice(0, 3), { maxTokens: 24, temperature: 0, stop: [], seed: 0 });
    expect([...sample.tokens]).toEqual([...greedy.slice(3)]);
    expect(sample.finish).toBe("length");
    await policy.close();
  });
});
