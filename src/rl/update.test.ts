import { describe, expect, it } from "vitest";
import { FakePolicy } from "../../test/support/fakes.js";
import type { PolicyRow, WeightedRow } from "../policy/types.js";
import { batchCount, evenBounds } from "./batch.js";
import { type ExtraLoss, optimise, type UpdateSettings } from "./update.js";

/** Rows told apart by their first token. */
function rows(n: number): PolicyRow[] {
  return Array.from({ length: n }, (_, i) => ({
    tokens: Int32Array.of(i, 7, 8),
    responseStart: 1,
    advantage: i,
    oldLogprobs: new Float32Array(2),
  }));
}

/** Keeps what it is asked to do. */
class Recorder extends FakePolicy {
  readonly calls: string[] = [];

  override async train(...[batch, loss]: Parameters<FakePolicy["train"]>) {
    this.calls.push(`${loss.kind} ${batch.map((row) => row.tokens[0]).join(",")}`);
    const logprobs = batch.map(() => Float32Array.of(-1, -2));
    return {
      loss: 6,
      tokens: 2 * batch.length,
      totalTokens: 3 * batch.length,
      savedTokens: batch.length,
      policyLoss: 1,
      entropy: batch.length,
      clipFraction: 0.5,
      approxKl: 0.1,
      kl: 0.2,
      logprobs,
    };
  }

  override async update() {
    this.calls.push("update");
    return { gradNorm: this.calls.length, step: 0 };
  }
}

const settings: UpdateSettings = {
  miniBatchRows: 4,
  epochs: 1,
  shuffle: false,
  loss: { clipLow: 0.2, clipHigh: 0.2, dualClip: 3, klCoef: 0, entropyCoef: 0, aggregation: "token-mean" },
  optimiser: { lr: 1 },
  seed: (epoch) => BigInt(epoch),
};

it("compares sampled and trained log-probs before the first step, and not after", async () => {
  const policy = new Recorder(); // answers -1 and -2
  const sampled = rows(8).map((row, i) => ({ ...row, oldLogprobs: Float32Array.of(-1, i === 0 ? -2.5 : i < 4 ? -2 : -9) }));
  const { logprobGap, logprobGapMax } = await optimise(policy, null, sampled, null, settings);
  expect(logprobGap).toBe(0.5 / 8);
  expect(logprobGapMax).toBe(0.5);
});

describe("mini-batches", () => {
  it("are as even as they can be, hold every row once, and end with a step each", async () => {
    const policy = new Recorder();
    await optimise(policy, null, rows(10), null, settings);
    expect(policy.calls).toEqual(["policy 0,1,2", "update", "policy 3,4,5", "update", "policy 6,7,8,9", "update"]);
  });

  it.each([
    [10, 4, 3],
    [8, 4, 2],
    [1, 4, 1],
    [9, 0, 1],
  ])("%i rows in batches of %i: %i", (n, size, batches) => {
    expect(batchCount(n, size)).toBe(batches);
    const sizes = evenBounds(n, batches).map((bound, i, all) => (i === 0 ? 0 : bound - all[i - 1]!));
    expect(sizes.reduce((a, b) => a + b)).toBe(n);
    expect(Math.max(...sizes.slice(1)) - Math.min(...sizes.slice(1))).toBeLessThanOrEqual(1);
  });

  it("shuffles by the seed of the pass, each row once per pass", async () => {
    const policy = new Recorder();
    await optimise(policy, null, rows(10), null, { ...settings, shuffle: true, epochs: 2, miniBatchRows: 0 });
    const passes = policy.calls.filter((call) => call !== "update").map((call) => call.slice(7).split(",").map(Number));
    for (const pass of passes) expect([...pass].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(passes[0]).not.toEqual(passes[1]);
    const again = new Recorder();
    await optimise(again, null, rows(10), null, { ...settings, shuffle: true, epochs: 2, miniBatchRows: 0 });
    expect(again.calls).toEqual(policy.calls);
  });
});

describe("optimise", () => {
  it("spreads an added loss over the mini-batches, inside their steps", async () => {
    const policy = new Recorder();
    const extra: ExtraLoss<WeightedRow> = {
      rows: Array.from({ length: 5 }, (_, i) => ({ tokens: Int32Array.of(100 + i, 1), responseStart: 1 })),
      scale: 0.5,
      loss: (batch) => ({ kind: "weighted-nll", normaliser: batch.length, scale: 0.5 }),
    };
    const statistics = await optimise(policy, null, rows(8), extra as ExtraLoss, settings);
    expect(policy.calls).toEqual([
      "policy 0,1,2,3",
      "weighted-nll 100,101",
      "update",
      "policy 4,5,6,7",
      "weighted-nll 102,103,104",
      "update",
    ]);
    expect(statistics.extraLoss).toBe(12);
    expect(statistics.optimiserSteps).toBe(2);
  });

  it("weighs means by tokens and gives the norm of the steps", async () => {
    const statistics = await optimise(new Recorder(), null, rows(10), null, settings);
    // Entropies 3, 3, 4 over 6, 6, 8 tokens.
    expect(statistics.entropy).toBeCloseTo((3 * 6 + 3 * 6 + 4 * 8) / 20, 12);
    expect(statistics).toMatchObject({
      tokens: 20,
      totalTokens: 30,
      savedTokens: 10,
      gradNorm: 4,
      gradNormMax: 6,
      policyLoss: 1,
      kl: null,
      klMax: null,
      extraLoss: null,
    });
  });

  it("asks the base policy once, and tells the quantile and the maximum of k3", async () => {
    const policy = new Recorder();
    const reference = new FakePolicy();
    let asked = 0;
    reference.score = async (scored) => {
      asked++;
      expect(scored[0]).toEqual({ tokens: Int32Array.of(0, 7, 8), responseStart: 1 });
      return { logprobs: scored.map((_, i) => Float32Array.of(-1, i === 3 ? -4 : -2)), entropies: [] };
    };
    const statistics = await optimise(policy, reference, rows(10), null, { ...settings, loss: { ...settings.loss, klCoef: 0.01 } });
    expect(asked).toBe(1);
    expect(statistics.kl).toBeCloseTo(0.2, 12);
    expect(statistics.klMax).toBeCloseTo(Math.exp(-2) + 2 - 1, 6); // one token of twenty: log-prob -2 against -4
    expect(statistics.klQ99).toBe(0);
  });

  it("refuses a KL term without a base policy", async () => {
    const loss = { ...settings.loss, klCoef: 0.01 };
    await expect(optimise(new Recorder(), null, rows(2), null, { ...settings, loss })).rejects.toMatchObject({ code: "NO_REFERENCE" });
  });
});
