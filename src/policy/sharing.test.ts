/**
 * What rows begin with in common is computed once: log-probs keep their bits, gradients are those of rows by themselves, and the
 * engine runs one token for each distinct prefix.
 */
import { describe, expect, it } from "vitest";
import { bits, goldenCases, goldenDir, random, randomTokens } from "../../test/support/policy.js";
import { Policy } from "./policy.js";
import type { DistillLoss, DistillRow, PolicyLoss, PolicyRow, Row, TrainResult, WeightedLoss, WeightedRow } from "./types.js";

const join = (...parts: readonly (Int32Array | readonly number[])[]): Int32Array => Int32Array.from(parts.flatMap((part) => [...part]));

/** Every way in which rows can share: see the comments. */
function family(vocab: number): Row[] {
  const next = random(21);
  const fresh = (n: number) => randomTokens(next, n, vocab);
  const [stem, prompt, reply, other] = [fresh(23), fresh(40), fresh(9), fresh(12)] as const;
  const row = (tokens: Int32Array, responseStart: number, rest: Partial<Row> = {}): Row => ({ tokens, responseStart, ...rest });
  const whole = join(stem, prompt, reply);
  const start = stem.length + prompt.length;
  return [
    row(whole, start),
    row(whole, start), // the same row again
    row(whole, start, { temperature: 0.7 }), // the same tokens under another distribution
    row(whole, start, { topK: 20 }),
    row(join(stem, prompt, other), start), // equal prompts
    row(join(stem, prompt, reply.slice(0, 4), other), start), // replies that part inside
    row(join(stem, prompt, reply.slice(0, 4), other.slice(0, 1)), start), // one that ends where another goes on
    row(join(stem, prompt, reply, other, fresh(17)), start + reply.length + other.length), // a prompt that holds another row's reply
    row(join(stem, fresh(31)), stem.length + 20), // only the first part in common
    row(join(stem, fresh(1)), stem.length),
    row(join(prompt.slice(0, 1), fresh(30)), 16), // nothing but a first token, if that
    row(fresh(50), 1),
    row(fresh(1), 1), // no response
    row(join(stem, prompt), start), // no response, all of it shared
    row(fresh(2), 1),
  ];
}

const inputsOf = (rows: readonly Row[], withPrompt = false) =>
  rows.filter((r) => r.tokens.length > (withPrompt ? 1 : r.responseStart)).map((r) => [...r.tokens.slice(0, -1)]);

function distinctPrefixes(inputs: readonly (readonly number[])[]): number {
  return new Set(inputs.flatMap((row) => row.map((_, i) => row.slice(0, i + 1).join(",")))).size;
}

const POLICY: PolicyLoss = {
  kind: "policy",
  clipLow: 0.2,
  clipHigh: 0.2,
  dualClip: 3,
  klCoef: 0.1,
  entropyCoef: 0.01,
  aggregation: "seq-mean-token-mean",
};

interface Outcome {
  readonly trained: TrainResult;
  readonly gradients: Map<string, Float32Array>;
}

async function outcome(
  policy: Policy,
  rows: readonly (PolicyRow | WeightedRow | DistillRow)[],
  loss: PolicyLoss | WeightedLoss | DistillLoss,
): Promise<Outcome> {
  const trained = await policy.train(rows, loss);
  const gradients = new Map<string, Float32Array>();
  for (const name of policy.tensorNames()) gradients.set(name, await policy.readGradient(name));
  await policy.zeroGradients();
  return { trained, gradients };
}

/** Largest difference of two gradients of a tensor, in units of the tensor's largest entry. */
function difference(a: Float32Array, b: Float32Array): number {
  const size = b.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0) / Math.max(size, 1e-12);
}

describe.each(goldenCases)("%s", (name) => {
  // A micro-batch for all, several, and one for nearly every row.
  it.each([4096, 150, 40])("gives the gradients of rows by themselves, %i tokens a pass", async (maxBatchTokens) => {
    const alone = await Policy.load(goldenDir(name), { sharePrefixes: false, maxBatchTokens });
    const shared = await Policy.load(goldenDir(name), { maxBatchTokens });
    const base = family(shared.vocabSize);
    const next = random(22);
    const { logprobs } = await alone.score(base);
    const scored = await shared.score(base);
    expect(scored.logprobs.map(bits)).toEqual(logprobs.map(bits));
    expect(scored.entropies.map(bits)).toEqual((await alone.score(base)).entropies.map(bits));

    // A response token that its row's topK leaves out has log-prob -inf: it must not count.
    const counting = (i: number) => logprobs[i]!.map((lp) => (Number.isFinite(lp) ? 1 : 0));
    const near = (i: number) => logprobs[i]!.map((lp) => (Number.isFinite(lp) ? lp + 0.3 * (next() - 0.5) : 0));
    const policyRows = base.map((r, i) => ({
      ...r,
      mask: counting(i),
      advantage: 2 * next() - 1,
      oldLogprobs: near(i),
      refLogprobs: near(i),
    }));
    const weightedRows = base.map((r, i) => ({ ...r, mask: counting(i), weights: logprobs[i]!.map(() => next()) }));
    const distillRows = base.map((r, i) => {
      const teacherPrompt = i % 2 === 0 ? [5, 6, 7, 8] : [5, 6, 9];
      return { ...r, teacher: { tokens: join(teacherPrompt, r.tokens.slice(r.responseStart)), responseStart: teacherPrompt.length } };
    });
    for (const [rows, loss] of [
      [policyRows, POLICY],
      [weightedRows, { kind: "weighted-nll" }],
      [weightedRows, { kind: "weighted-nll", promptCoef: 0.5 }],
      [distillRows, { kind: "distill", divergence: "reverse-kl" }],
    ] as const) {
      const expected = await outcome(alone, rows, loss);
      const found = await outcome(shared, rows, loss);
      expect(found.trained.logprobs.map(bits)).toEqual(expected.trained.logprobs.map(bits));
      expect(found.trained.loss).toBeCloseTo(expected.trained.loss, 5);
      expect(expected.trained.savedTokens).toBe(0);
      expect(found.trained.totalTokens + found.trained.savedTokens).toBe(expected.trained.totalTokens);
      for (const [tensor, gradient] of found.gradients)
        expect(difference(gradient, expected.gradients.get(tensor)!), `${loss.kind} ${tensor}`).toBeLessThan(1e-5);
    }
    await alone.close();
    await shared.close();
  });

  it("keeps the bits of log-probs in bfloat16", async () => {
    const alone = await Policy.load(goldenDir(name), { dtype: "bfloat16", sharePrefixes: false });
    const shared = await Policy.load(goldenDir(name), { dtype: "bfloat16", maxBatchTokens: 150 });
    const rows = family(shared.vocabSize).map(({ topK: _, ...row }) => row);
    const { logprobs } = await alone.score(rows);
    expect((await shared.score(rows)).logprobs.map(bits)).toEqual(logprobs.map(bits));
    expect((await shared.train(rows, { kind: "weighted-nll" })).logprobs.map(bits)).toEqual(logprobs.map(bits));
    await alone.close();
    await shared.close();
  });
});

it("runs one token for each distinct prefix", async () => {
  const policy = await Policy.load(goldenDir("qwen2-tied"), { maxBatchTokens: 4096 });
  const rows = family(policy.vocabSize).map(({ topK: _, ...row }) => row); // random tokens are outside a top k
  const inputs = inputsOf(rows);
  const trained = await policy.train(rows, { kind: "weighted-nll", normaliser: 1e6 });
  expect(trained.totalTokens).toBe(distinctPrefixes(inputs));
  expect(trained.savedTokens).toBe(inputs.flat().length - distinctPrefixes(inputs));
  const before = policy.stats().savedTokens;
  expect(before).toBe(trained.savedTokens);
  await policy.score(rows);
  expect(policy.stats().savedTokens - before).toBe(trained.savedTokens);
  const prompt = await policy.train(rows, { kind: "weighted-nll", promptCoef: 1, normaliser: 1e6 });
  expect(prompt.totalTokens).toBe(distinctPrefixes(inputsOf(rows, true)));
  await policy.close();
});

it("keeps sharing rows together, whatever order they come in", async () => {
  const policy = await Policy.load(goldenDir("qwen2-tied"), { maxBatchTokens: 128 });
  const next = random(31);
  const stems = Array.from({ length: 6 }, () => randomTokens(next, 60, policy.vocabSize));
  // 8 rows of 60 + 5 tokens a stem: 60 + 8 * 4 inputs fit a pass, two stems do not.
  const rows = Array.from({ length: 48 }, (_, i) => ({
    tokens: join(stems[i % 6]!, randomTokens(next, 5, policy.vocabSize)),
    responseStart: 60,
  }));
  const trained = await policy.train(rows, { kind: "weighted-nll" });
  expect(trained.totalTokens).toBe(distinctPrefixes(inputsOf(rows)));
  await policy.close();
});

it("holds as many predictions in memory as tokens, however many rows are one", async () => {
  const policy = await Policy.load(goldenDir("qwen2-tied"), { maxBatchTokens: 100 });
  const tokens = randomTokens(random(32), 40, policy.vocabSize);
  const rows = Array.from({ length: 25 }, () => ({ tokens, responseStart: 20 }));
  // 5 rows of 20 response tokens fill a pass.
  expect((await policy.train(rows, { kind: "weighted-nll" })).totalTokens).toBe(5 * 39);
  await policy.close();
});

it("says what sharePrefixes may be", async () => {
  const odd = { sharePrefixes: "no" } as unknown as { sharePrefixes: boolean };
  await expect(Policy.load(goldenDir("qwen2-tied"), odd)).rejects.toMatchObject({ code: "SIRI_ARGUMENT", message: /sharePrefixes is no/ });
});
