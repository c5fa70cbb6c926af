/**
 * The promise that there is one log-prob: what was recorded when a token was sampled is, bit for bit, what scoring and training
 * compute for it, whatever the batch, the threads and the state of the cache. And a reply depends on its seed alone.
 */
import { describe, expect, it } from "vitest";
import { bits, goldenCases, goldenDir, random, randomTokens } from "../../test/support/policy.js";
import { COMPUTE_TYPES, INSTRUCTION_SETS } from "../native.js";
import { Policy, type PolicyOptions } from "./policy.js";
import type { Row, Sample, SampleOptions } from "./types.js";

interface Request {
  readonly prompt: Int32Array;
  readonly options: SampleOptions;
}

/** Requests of mixed lengths and settings; many share a prefix, some are equal but for the seed. */
function requests(count: number, vocab: number): Request[] {
  const next = random(5);
  const stems = [20, 33, 64].map((n) => randomTokens(next, n, vocab));
  return Array.from({ length: count }, (_, i) => {
    const stem = stems[i % 4];
    const tail = randomTokens(next, 1 + Math.floor(next() * 30), vocab);
    const prompt = stem ? Int32Array.from([...stem, ...(i % 5 === 0 ? [] : tail)]) : tail;
    const [temperature, topK, topP] = (
      [
        [1, 0, 1],
        [0.7, 0, 1],
        [1.3, 20, 1],
        [1, 0, 0.9],
        [0.9, 40, 0.8],
        [0, 0, 1],
      ] as const
    )[i % 6]!;
    return { prompt, options: { maxTokens: 1 + Math.floor(next() * 40), temperature, topK, topP, stop: [3, 4], seed: 1000 + i } };
  });
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const next = random(seed);
  return items
    .map((item) => ({ item, key: next() }))
    .sort((a, b) => a.key - b.key)
    .map((x) => x.item);
}

const rowOf = (r: Request, s: Sample): Row => ({
  tokens: Int32Array.from([...r.prompt, ...s.tokens]),
  responseStart: r.prompt.length,
  temperature: r.options.temperature!,
  topK: r.options.topK!,
  topP: r.options.topP!,
});

async function sampleAll(policy: Policy, order: readonly Request[], gaps: boolean): Promise<Map<Request, Sample>> {
  const found = new Map<Request, Sample>();
  const running: Promise<void>[] = [];
  for (const [i, r] of order.entries()) {
    running.push(policy.sample(r.prompt, r.options).then((s) => void found.set(r, s)));
    // Let some requests join a batch that is already under way.
    if (gaps && i % 7 === 6) await new Promise((done) => setTimeout(done, 1));
  }
  await Promise.all(running);
  return found;
}

const inBothTypes = goldenCases.flatMap((name) => COMPUTE_TYPES.map((dtype) => [name, dtype] as const));

it.each(inBothTypes)("%s, %s: sampled, scored and trained log-probs have the same bits", async (name, dtype) => {
  const options = (o: PolicyOptions): PolicyOptions => ({ kvCacheMiB: 32, dtype, ...o });
  const first = await Policy.load(goldenDir(name), options({ threads: 1 }));
  const all = requests(240, first.vocabSize);
  const reference = new Map<Request, Sample>();
  // One at a time: no batch at all, a cache that fills up.
  for (const r of all.slice(0, 60)) reference.set(r, await first.sample(r.prompt, r.options));
  for (const [r, s] of await sampleAll(first, all.slice(60), false)) reference.set(r, s);

  // The second one's cache is too small for all requests: they wait, and blocks are evicted.
  for (const [threads, maxBatchTokens, kvCacheMiB, seed] of [
    [1, 2048, 32, 1],
    [2, 100, 0.5, 2],
    [3, 2048, 32, 3],
  ] as const) {
    const policy = await Policy.load(goldenDir(name), options({ threads, maxBatchTokens, kvCacheMiB }));
    for (const warm of [false, true]) {
      const found = await sampleAll(policy, shuffled(all, seed + (warm ? 10 : 0)), !warm);
      for (const r of all) {
        expect([...found.get(r)!.tokens]).toEqual([...reference.get(r)!.tokens]);
        expect(bits(found.get(r)!.logprobs)).toEqual(bits(reference.get(r)!.logprobs));
      }
    }
    if (kvCacheMiB > 1) expect(policy.stats().prefillTokensSaved).toBeGreaterThan(10_000);

    const order = shuffled(all, 99 + seed);
    const rows = order.map((r) => rowOf(r, reference.get(r)!));
    const { logprobs } = await policy.score(rows);
    const trained = await policy.train(rows, { kind: "weighted-nll", promptCoef: threads === 3 ? 0.5 : 0 });
    for (const [i, r] of order.entries()) {
      expect(bits(logprobs[i]!)).toEqual(bits(reference.get(r)!.logprobs));
      expect(bits(trained.logprobs[i]!)).toEqual(bits(reference.get(r)!.logprobs));
    }
    await policy.close();
  }
  await first.close();
});

const onAllKernels = INSTRUCTION_SETS.flatMap((isa) => COMPUTE_TYPES.map((dtype) => [isa, dtype] as const));

it.each(onAllKernels)("holds on the %s kernels too, %s", async (isa, dtype) => {
  const policy = await Policy.load(goldenDir("qwen2-untied"), { isa, dtype, threads: 2, maxBatchTokens: 300, kvCacheMiB: 8 }).catch(
    (e: Error) => e,
  );
  if (policy instanceof Error) {
    expect(policy.message).toMatch(/this machine lacks|not in this build/);
    return;
  }
  const all = requests(60, policy.vocabSize);
  const found = await sampleAll(policy, all, true);
  const rows = all.map((r) => rowOf(r, found.get(r)!));
  const scored = await policy.score(rows);
  const trained = await policy.train(rows, { kind: "weighted-nll" });
  for (const [i, r] of all.entries()) {
    expect(bits(scored.logprobs[i]!)).toEqual(bits(found.get(r)!.logprobs));
    expect(bits(trained.logprobs[i]!)).toEqual(bits(found.get(r)!.logprobs));
  }
  await policy.close();
});

it("the members of a group share one prefill", async () => {
  const policy = await Policy.load(goldenDir("qwen2-tied"), { threads: 1, kvCacheMiB: 8 });
  const prompt = randomTokens(random(6), 100, policy.vocabSize);
  await Promise.all(Array.from({ length: 8 }, (_, i) => policy.sample(prompt, { maxTokens: 5, seed: i, stop: [] })));
  // 96 tokens of 6 full blocks once, the last 4 for each.
  expect(policy.stats().prefillTokens).toBe(96 + 8 * 4);
  expect(policy.stats().prefillTokensSaved).toBe(7 * 96);
  await policy.close();
});

describe.each(COMPUTE_TYPES)("whatever the cache holds, a reply has the same bits, %s", (dtype) => {
  const SETTINGS = { maxTokens: 6, temperature: 0.9, stop: [], seed: 77 };
  const BLOCK = 16;

  /** Samples with a policy that shares nothing, then with one in a given state; returns the prompt tokens that the state saved. */
  async function saved(prompt: Int32Array, options: PolicyOptions, before: (policy: Policy) => Promise<unknown>): Promise<number> {
    const plain = await Policy.load(goldenDir("qwen3-tied"), { dtype, threads: 1, kvCacheMiB: 8, sharePrefixes: false });
    const policy = await Policy.load(goldenDir("qwen3-tied"), { dtype, threads: 2, kvCacheMiB: 8, ...options });
    await before(policy);
    const start = policy.stats();
    const [expected, found] = [await plain.sample(prompt, SETTINGS), await policy.sample(prompt, SETTINGS)];
    const end = policy.stats();
    expect([...found.tokens]).toEqual([...expected.tokens]);
    expect(bits(found.logprobs)).toEqual(bits(expected.logprobs));
    const row = { tokens: Int32Array.from([...prompt, ...found.tokens]), responseStart: prompt.length, temperature: 0.9 };
    expect(bits((await policy.score([row])).logprobs[0]!)).toEqual(bits(expected.logprobs));
    expect(plain.stats().prefillTokensSaved).toBe(0);
    await Promise.all([plain.close(), policy.close()]);
    const hit = end.prefillTokensSaved - start.prefillTokensSaved;
    expect(end.prefillTokens - start.prefillTokens).toBe(prompt.length - hit);
    return hit;
  }

  const prompt = randomTokens(random(51), 5 * BLOCK + 3, 300);
  const sampled = (tokens: Int32Array) => (policy: Policy) => policy.sample(tokens, { ...SETTINGS, seed: 5 });

  it("nothing", async () => expect(await saved(prompt, {}, async () => {})).toBe(0));
  it("all of the prompt", async () => expect(await saved(prompt, {}, sampled(prompt))).toBe(5 * BLOCK));
  // A prompt that ends with a block computes that block: its last state is what the first token is drawn from.
  it.each([-1, 0, 1])("all of a prompt that ends %i tokens from the edge of a block", async (offset) => {
    const edge = prompt.slice(0, 4 * BLOCK + offset);
    expect(await saved(edge, {}, sampled(edge))).toBe(Math.floor((edge.length - 1) / BLOCK) * BLOCK);
  });
  it.each([1, BLOCK - 1, BLOCK, BLOCK + 1, 40])("the first %i tokens", async (common) => {
    const other = Int32Array.from([...prompt.slice(0, common), (prompt[common]! + 1) % 300, ...prompt.slice(common + 1)]);
    expect(await saved(prompt, {}, sampled(other))).toBe(Math.floor(common / BLOCK) * BLOCK);
  });
  it("the prompt before, and the reply to it", async () => {
    let longer = prompt;
    const hit = await saved(prompt, {}, async (policy) => {
      const first = prompt.slice(0, 3 * BLOCK);
      const { tokens } = await policy.sample(first, { ...SETTINGS, maxTokens: 2 * BLOCK + 1 });
      longer = Int32Array.from([...first, ...tokens, 9, 8, 7]);
    });
    expect(hit).toBe(3 * BLOCK);
    expect(
      await saved(longer, {}, async (policy) => policy.sample(longer.slice(0, 3 * BLOCK), { ...SETTINGS, maxTokens: 2 * BLOCK + 1 })),
    ).toBe(5 * BLOCK);
  });
  it("the beginning of it, the end evicted", async () => {
    // Blocks for one request of this length and one more; the requests between take the least recently used.
    const policy = await Policy.load(goldenDir("qwen3-tied"), { dtype, kvCacheMiB: 8 });
    const blocks = policy.cacheTokens / BLOCK;
    await policy.close();
    const kvCacheMiB = (8 / blocks) * 9.5;
    const hit = await saved(prompt, { kvCacheMiB }, async (small) => {
      expect(small.cacheTokens).toBe(9 * BLOCK);
      await small.sample(prompt, SETTINGS);
      await small.sample(randomTokens(random(52), 5 * BLOCK, 300), SETTINGS); // 6 blocks: 4 were free, 2 of the prompt's 5 go
    });
    expect(hit).toBe(3 * BLOCK);
  });
  it("what it had before an update", async () => {
    // An update without a step changes the version of the weights and nothing else.
    const hit = await saved(prompt, {}, async (policy) => {
      await policy.sample(prompt, SETTINGS);
      const version = policy.stats().weightVersion;
      await policy.train([{ tokens: prompt, responseStart: 1 }], { kind: "weighted-nll" });
      await policy.update({ lr: 0 });
      expect(policy.stats().weightVersion).toBe(version + 1);
    });
    expect(hit).toBe(0);
  });
  it("nothing because it is switched off", async () => expect(await saved(prompt, { sharePrefixes: false }, sampled(prompt))).toBe(0));
});

it.each(COMPUTE_TYPES)("gradients and weights do not depend on the number of threads, %s", async (dtype) => {
  const next = random(8);
  const rows = Array.from({ length: 40 }, () => ({ tokens: randomTokens(next, 10 + Math.floor(next() * 60), 300), responseStart: 5 }));
  const results: number[][] = [];
  for (const threads of [1, 2, 3]) {
    const policy = await Policy.load(goldenDir("qwen3-tied"), { threads, dtype });
    await policy.train(rows, { kind: "weighted-nll" });
    const gradients = await Promise.all(policy.tensorNames().map((n) => policy.readGradient(n)));
    await policy.update({ lr: 1e-3, weightDecay: 0.1, maxGradNorm: 1 });
    const weights = await Promise.all(policy.tensorNames().map((n) => policy.readTensor(n)));
    results.push([...gradients, ...weights].flatMap((t) => bits(t)));
    await policy.close();
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
});

it("an update makes cached prefixes stale", async () => {
  const policy = await Policy.load(goldenDir("qwen2-tied"));
  const prompt = randomTokens(random(4), 100, policy.vocabSize);
  const options = { maxTokens: 8, seed: 1, stop: [] };
  await policy.sample(prompt, options);
  const before = policy.stats().prefillTokensSaved;
  await policy.sample(prompt, options);
  expect(policy.stats().prefillTokensSaved - before).toBe(96);
  await policy.train([{ tokens: prompt, responseStart: 1 }], { kind: "weighted-nll" });
  await policy.update({ lr: 1e-2 });
  const saved = policy.stats().prefillTokensSaved;
  const after = await policy.sample(prompt, options);
  expect(policy.stats().prefillTokensSaved).toBe(saved);
  const row = { tokens: Int32Array.from([...prompt, ...after.tokens]), responseStart: prompt.length };
  expect(bits((await policy.score([row])).logprobs[0]!)).toEqual(bits(after.logprobs));
  await policy.close();
});
