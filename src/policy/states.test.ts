/** Every public method in every state (idle, sampling, training, closed), the order of overlapping calls, abort, and bad input. */
import { describe, expect, it } from "vitest";
import { goldenDir, random, randomTokens, temporaryFolder } from "../../test/support/policy.js";
import { Policy, type PolicyOptions } from "./policy.js";
import type { PolicyLoss, PolicyRow } from "./types.js";

const load = (options: PolicyOptions = {}) => Policy.load(goldenDir("qwen2-tied"), { kvCacheMiB: 8, ...options });
const prompt = randomTokens(random(1), 30, 384);
const rows = Array.from({ length: 60 }, (_, i) => ({ tokens: randomTokens(random(i), 60, 384), responseStart: 20 }));
const row = { tokens: Int32Array.from([5, 6, 7, 8]), responseStart: 2 };
const nll = { kind: "weighted-nll" } as const;

/** Each public method that returns a promise, called once with valid arguments. */
const methods: Record<string, (policy: Policy, dir: string) => Promise<unknown>> = {
  sample: (p) => p.sample(prompt, { maxTokens: 3, seed: 1 }),
  score: (p) => p.score([row]),
  train: (p) => p.train([row], nll),
  update: (p) => p.train([row], nll).then(() => p.update({ lr: 1e-3 })),
  zeroGradients: (p) => p.zeroGradients(),
  save: (p, dir) => p.save(dir),
  saveOptimiser: (p, dir) => p.saveOptimiser(`${dir}/optimiser.safetensors`),
  loadOptimiser: (p, dir) => p.saveOptimiser(`${dir}/o.safetensors`).then(() => p.loadOptimiser(`${dir}/o.safetensors`)),
  readTensor: (p) => p.readTensor("model.norm.weight"),
  readGradient: (p) => p.readGradient("model.norm.weight"),
};

describe.each(Object.entries(methods))("%s", (_, call) => {
  it("works while idle, while sampling and while training, and says so when closed", async () => {
    const policy = await load();
    const dir = await temporaryFolder();
    await call(policy, dir);
    const sampling = policy.sample(prompt, { maxTokens: 60, seed: 2, stop: [] });
    await call(policy, dir);
    expect((await sampling).tokens.length).toBe(60);
    const training = policy.train(rows, nll);
    await call(policy, dir);
    await training;
    await policy.close();
    await expect(call(policy, dir)).rejects.toMatchObject({ code: "SIRI_CLOSED" });
  });
});

it("close() may be called again and at any time; what is unfinished fails with SIRI_CLOSED", async () => {
  const policy = await load();
  const pending = [
    policy.sample(prompt, { maxTokens: 3000, seed: 1, stop: [] }),
    policy.train(Array.from({ length: 50 }, () => rows).flat(), nll),
    policy.update({ lr: 1 }),
  ];
  const settled = Promise.allSettled(pending);
  const closing = policy.close();
  await Promise.all([closing, policy.close()]);
  for (const r of await settled) expect(r).toMatchObject({ status: "rejected", reason: { code: "SIRI_CLOSED" } });
  await policy.close();
  expect(policy.stats().parameters).toBe(policy.parameters);
  expect(policy.tensorNames()[0]).toBe("model.embed_tokens.weight");
});

describe("order of overlapping calls", () => {
  it("requests in flight when update() is called finish with the old weights, later ones use the new", async () => {
    const reference = await load();
    const options = { maxTokens: 40, seed: 9, stop: [] };
    const old = await reference.sample(prompt, options);
    await reference.train(rows, nll);
    await reference.update({ lr: 1e-2 });
    const fresh = await reference.sample(prompt, options);
    expect([...fresh.tokens]).not.toEqual([...old.tokens]);

    const policy = await load();
    const [before, , , after] = await Promise.all([
      policy.sample(prompt, options),
      policy.train(rows, nll),
      policy.update({ lr: 1e-2 }),
      policy.sample(prompt, options),
    ]);
    expect([...before.tokens]).toEqual([...old.tokens]);
    expect([...after.tokens]).toEqual([...fresh.tokens]);
    await reference.close();
    await policy.close();
  });

  it("requests wait for cache memory and all get done", async () => {
    // 0.25 MiB: 32 blocks of 16 tokens; each request needs 7.
    const small = await load({ kvCacheMiB: 0.25 });
    expect(small.cacheTokens).toBe(512);
    const large = await load();
    const ask = (p: Policy, i: number) => p.sample(prompt.slice(i % 7), { maxTokens: 70, seed: i, stop: [] });
    const many = Array.from({ length: 30 }, (_, i) => i);
    const a = await Promise.all(many.map((i) => ask(small, i)));
    const b = await Promise.all(many.map((i) => ask(large, i)));
    expect(a.map((s) => [...s.tokens])).toEqual(b.map((s) => [...s.tokens]));
    await small.close();
    await large.close();
  });
});

describe("abort", () => {
  it("ends a request that runs, one that waits, and leaves the others", async () => {
    const policy = await load();
    const control = new AbortController();
    const reason = new Error("enough");
    const other = policy.sample(prompt, { maxTokens: 50, seed: 1, stop: [] });
    const running = policy.sample(prompt, { maxTokens: 3000, seed: 1, stop: [], signal: control.signal });
    const waiting = policy.score(rows, { signal: control.signal });
    const settled = Promise.allSettled([running, waiting]);
    control.abort(reason);
    expect((await settled)[0]).toMatchObject({ status: "rejected", reason });
    expect((await other).tokens.length).toBe(50);
    await expect(policy.sample(prompt, { maxTokens: 3, seed: 1, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect((await policy.sample(prompt, { maxTokens: 3, seed: 1 })).tokens.length).toBeGreaterThan(0);
    await policy.close();
  });

  it("of train() clears the gradients", async () => {
    const policy = await load({ maxBatchTokens: 64 });
    await policy.train([row], nll);
    const control = new AbortController();
    const training = policy.train(Array.from({ length: 200 }, () => rows).flat(), nll, { signal: control.signal });
    setTimeout(() => control.abort(), 20);
    await expect(training).rejects.toMatchObject({ name: "AbortError" });
    expect(Math.max(...(await policy.readGradient("model.norm.weight")).map(Math.abs))).toBe(0);
    await expect(policy.update({ lr: 1 })).rejects.toMatchObject({ code: "SIRI_STATE" });
    await policy.close();
  });
});

describe("numbers that are not finite", () => {
  it("a loss of infinity is an error, clears the gradients and leaves the weights", async () => {
    const policy = await load();
    const before = await policy.readTensor("model.embed_tokens.weight");
    // Token 1 of 384 kept: the response is almost surely outside, its log-prob -inf.
    const cut = rows.map((r) => ({ ...r, topK: 1 }));
    await expect(policy.train(cut, nll)).rejects.toMatchObject({ code: "SIRI_NOT_FINITE" });
    await expect(policy.update({ lr: 1 })).rejects.toMatchObject({ code: "SIRI_STATE" });
    expect(await policy.readTensor("model.embed_tokens.weight")).toEqual(before);
    await policy.train(rows, nll);
    await policy.update({ lr: 1e-3 });
    await policy.close();
  });

  it("a gradient norm of infinity is an error and leaves the weights", async () => {
    const policy = await load();
    const before = await policy.readTensor("model.embed_tokens.weight");
    await policy.train(rows, { kind: "weighted-nll", scale: 1e30 });
    for (let i = 0; i < 4; i++) await policy.train(rows, { kind: "weighted-nll", scale: 1e30, normaliser: 1e-9 });
    await expect(policy.update({ lr: 1 })).rejects.toMatchObject({ code: "SIRI_NOT_FINITE" });
    expect(await policy.readTensor("model.embed_tokens.weight")).toEqual(before);
    await policy.zeroGradients();
    await policy.train(rows, nll);
    expect((await policy.update({ lr: 1e-3 })).step).toBe(1);
    await policy.close();
  });
});

describe("bad input is named with value and limit", () => {
  const cases: [string, (p: Policy) => Promise<unknown>, string, RegExp][] = [
    ["empty prompt", (p) => p.sample([], { maxTokens: 1, seed: 0 }), "SIRI_ARGUMENT", /prompt is empty/],
    ["token too large", (p) => p.sample([5, 384], { maxTokens: 1, seed: 0 }), "SIRI_ARGUMENT", /prompt\[1\] is 384.*0 to 383/],
    ["negative token", (p) => p.sample([-1], { maxTokens: 1, seed: 0 }), "SIRI_ARGUMENT", /prompt\[0\] is -1/],
    ["fractional token", (p) => p.sample([1.5], { maxTokens: 1, seed: 0 }), "SIRI_ARGUMENT", /prompt\[0\] is 1.5/],
    ["maxTokens 0", (p) => p.sample([1], { maxTokens: 0, seed: 0 }), "SIRI_ARGUMENT", /maxTokens is 0/],
    ["too long for the model", (p) => p.sample([1, 2], { maxTokens: 4095, seed: 0 }), "SIRI_TOO_LONG", /= 4097 exceeds.*4096/],
    ["temperature", (p) => p.sample([1], { maxTokens: 1, seed: 0, temperature: -1 }), "SIRI_ARGUMENT", /temperature is -1/],
    ["temperature NaN", (p) => p.sample([1], { maxTokens: 1, seed: 0, temperature: Number.NaN }), "SIRI_ARGUMENT", /temperature is NaN/],
    ["topP 0", (p) => p.sample([1], { maxTokens: 1, seed: 0, topP: 0 }), "SIRI_ARGUMENT", /topP is 0/],
    ["topK", (p) => p.sample([1], { maxTokens: 1, seed: 0, topK: -2 }), "SIRI_ARGUMENT", /topK is -2/],
    ["seed", (p) => p.sample([1], { maxTokens: 1, seed: -3 }), "SIRI_ARGUMENT", /seed is -3/],
    ["big seed", (p) => p.sample([1], { maxTokens: 1, seed: 1n << 64n }), "SIRI_ARGUMENT", /seed is 18446744073709551616/],
    ["stop token", (p) => p.sample([1], { maxTokens: 1, seed: 0, stop: [999] }), "SIRI_ARGUMENT", /stop\[0\] is 999/],
    ["responseStart 0", (p) => p.score([{ ...row, responseStart: 0 }]), "SIRI_ARGUMENT", /rows\[0\]\.responseStart is 0/],
    ["responseStart past the end", (p) => p.score([row, { ...row, responseStart: 5 }]), "SIRI_ARGUMENT", /rows\[1\]\.responseStart is 5/],
    ["row too long", (p) => p.score([{ tokens: new Int32Array(4097), responseStart: 1 }]), "SIRI_TOO_LONG", /4097 tokens.*4096/],
    [
      "row token",
      (p) => p.train([{ ...row, tokens: Int32Array.from([1, 2, 400]) }], nll),
      "SIRI_ARGUMENT",
      /rows\[0\]\.tokens\[2\] is 400/,
    ],
    [
      "weights length",
      (p) => p.train([{ ...row, weights: new Float32Array(3) }], nll),
      "SIRI_ARGUMENT",
      /weights has 3 values.*2 response/,
    ],
    ["weights NaN", (p) => p.train([{ ...row, weights: Float32Array.of(1, Number.NaN) }], nll), "SIRI_ARGUMENT", /weights\[1\] is NaN/],
    ["loss kind", (p) => p.train([row], { kind: "x" } as never), "SIRI_ARGUMENT", /loss kind "x"/],
    ["lr", (p) => p.update({ lr: Number.NaN }), "SIRI_ARGUMENT", /lr is NaN/],
    ["beta", (p) => p.update({ lr: 1, beta1: 1 }), "SIRI_ARGUMENT", /beta1 is 1/],
    ["nothing trained", (p) => p.update({ lr: 1 }), "SIRI_STATE", /call train\(\) first/],
    ["tensor name", (p) => p.readTensor("model.x"), "SIRI_ARGUMENT", /no tensor named "model.x"/],
    ["gradient name", (p) => p.readGradient(""), "SIRI_ARGUMENT", /no tensor named ""/],
    ["dtype", (p) => p.save("unused", { dtype: "int8" as never }), "SIRI_ARGUMENT", /dtype is "int8"/],
    ["unwritable file", (p) => p.saveOptimiser("/nonexistent/folder/file"), "SIRI_FILE", /cannot create \/nonexistent\/folder\/file/],
    ["unreadable file", (p) => p.loadOptimiser("/nonexistent/file"), "SIRI_FILE", /\/nonexistent\/file: cannot open/],
  ];
  it.each(cases)("%s", async (_, call, code, message) => {
    const policy = await load();
    const error = await call(policy).then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).toMatchObject({ name: "SiriError", code });
    expect((error as Error).message).toMatch(message);
    // It is as usable as before.
    expect((await policy.score([row])).logprobs[0]!.length).toBe(2);
    await policy.close();
  });

  const loss: PolicyLoss = {
    kind: "policy",
    clipLow: 0.2,
    clipHigh: 0.2,
    dualClip: 3,
    klCoef: 0,
    entropyCoef: 0,
    aggregation: "token-mean",
  };
  const good: PolicyRow = { ...row, advantage: 1, oldLogprobs: new Float32Array(2) };
  const policyCases: [string, PolicyRow, Partial<PolicyLoss>, RegExp][] = [
    ["advantage NaN", { ...good, advantage: Number.NaN }, {}, /rows\[0\]\.advantage is NaN/],
    ["advantage length", { ...good, advantage: new Float32Array(1) }, {}, /advantage has 1 values/],
    ["old log-probs", { ...good, oldLogprobs: Float32Array.of(-1, Number.NEGATIVE_INFINITY) }, {}, /oldLogprobs\[1\] is -Infinity/],
    ["no reference", good, { klCoef: 0.1 }, /refLogprobs is missing/],
    ["negative mask", { ...good, mask: Float32Array.of(1, -1) }, {}, /mask\[1\] is -1/],
    ["clip", good, { clipLow: -0.1 }, /clipLow is -0.1/],
    ["dual clip", good, { dualClip: 0.5 }, /dualClip is 0.5/],
    ["aggregation", good, { aggregation: "mean" as never }, /aggregation is "mean"/],
    ["scale", good, { scale: Number.POSITIVE_INFINITY }, /scale is Infinity/],
  ];
  it.each(policyCases)("policy loss: %s", async (_, bad, change, message) => {
    const policy = await load();
    const error = await policy.train([bad], { ...loss, ...change }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "SIRI_ARGUMENT" });
    expect((error as Error).message).toMatch(message);
    await policy.close();
  });

  it("a request that can never fit the cache is an error with both numbers", async () => {
    const policy = await load({ kvCacheMiB: 0.25 });
    const error = await policy.sample(prompt, { maxTokens: 600, seed: 0 }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "SIRI_TOO_LONG" });
    expect((error as Error).message).toMatch(/needs 629 cache positions, the KV cache has 512; raise kvCacheMiB/);
    await policy.close();
  });

  it.each([
    [{ threads: 0 }, /threads .*is 0/],
    [{ isa: "sse9" }, /isa .*"sse9"/],
    [{ maxBatchTokens: 0 }, /maxBatchTokens is 0/],
    [{ kvCacheMiB: -1 }, /kvCacheMiB is -1/],
    [{ kvCacheMiB: 0.001 }, /smaller than one block/],
  ] as [PolicyOptions, RegExp][])("options %j", async (options, message) => {
    await expect(load(options)).rejects.toThrow(message);
  });
});

it("empty calls and rows without a response are allowed", async () => {
  const policy = await load();
  expect(await policy.score([])).toEqual({ logprobs: [], entropies: [] });
  const { logprobs } = await policy.score([{ tokens: Int32Array.of(4), responseStart: 1 }, row]);
  expect(logprobs.map((l) => l.length)).toEqual([0, 2]);
  expect(await policy.train([], nll)).toMatchObject({ loss: 0, tokens: 0, totalTokens: 0 });
  const masked = await policy.train([{ ...row, mask: new Float32Array(2) }], nll);
  expect(masked).toMatchObject({ loss: 0, tokens: 0 });
  expect((await policy.update({ lr: 1e-3 })).gradNorm).toBe(0);
  await policy.close();
});

it("the result and its buffers are the caller's own", async () => {
  const policy = await load();
  const tokens = Int32Array.from(prompt);
  const pending = policy.score([{ tokens, responseStart: 1 }]);
  tokens.fill(0);
  const changed = await pending;
  const same = await policy.score([{ tokens: prompt, responseStart: 1 }]);
  expect(changed).toEqual(same);
  await policy.close();
});
