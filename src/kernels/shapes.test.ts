// Odd shapes, masks and settings of the loss kernels against float64 formulas written out here; independence of threads and of the
// rows around a row, bit for bit, on every instruction set of the machine; and what a wrong argument is told.
import { afterAll, describe, expect, test } from "vitest";
import { availableIsas } from "../../test/support/isas.js";
import {
  distillationLoss,
  kernelEngine,
  policyLoss,
  policyLossOnLogits,
  policyLossThroughHead,
  selectedLogProbs,
  selectedLogProbsBackward,
} from "../kernels.js";

const original = kernelEngine();
afterAll(() => {
  kernelEngine({ threads: original.threads, isa: "" });
});

/** A small generator of normal-looking numbers. */
function numbers(seed: number) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return {
    uniform,
    normals: (n: number, scale = 1) =>
      Float32Array.from({ length: n }, () => (uniform() + uniform() + uniform() + uniform() - 2) * Math.sqrt(3) * scale),
    below: (n: number, limit: number) => Int32Array.from({ length: n }, () => Math.floor(uniform() * limit)),
  };
}

function problem(rows: number, width: number, vocab: number) {
  const r = numbers(rows * 7919 + width * 31 + vocab);
  const input = { hidden: r.normals(rows * width), head: r.normals(vocab * width, 1 / Math.sqrt(width)), width, vocab };
  return { ...input, target: r.below(rows, vocab), dlogprob: r.normals(rows), dentropy: r.normals(rows) };
}

interface Truth {
  logprob: number[];
  entropy: number[];
  dhidden: Float64Array;
  dhead: Float64Array;
}

/** In float64, from the definitions. */
function truth(p: ReturnType<typeof problem>, temperature: number): Truth {
  const rows = p.target.length;
  const out: Truth = { logprob: [], entropy: [], dhidden: new Float64Array(p.hidden.length), dhead: new Float64Array(p.head.length) };
  for (let i = 0; i < rows; i++) {
    const z = Array.from({ length: p.vocab }, (_, v) => {
      let sum = 0;
      for (let k = 0; k < p.width; k++) sum += p.hidden[i * p.width + k]! * p.head[v * p.width + k]!;
      return sum / temperature;
    });
    const max = Math.max(...z);
    const lse = max + Math.log(z.reduce((s, x) => s + Math.exp(x - max), 0));
    const entropy = z.reduce((s, x) => s - Math.exp(x - lse) * (x - lse), 0);
    out.logprob.push(z[p.target[i]!]! - lse);
    out.entropy.push(entropy);
    for (let v = 0; v < p.vocab; v++) {
      const logp = z[v]! - lse;
      const prob = Math.exp(logp);
      const one = v === p.target[i] ? 1 : 0;
      const dz = (p.dlogprob[i]! * (one - prob) - p.dentropy[i]! * prob * (logp + entropy)) / temperature;
      for (let k = 0; k < p.width; k++) {
        out.dhidden[i * p.width + k]! += dz * p.head[v * p.width + k]!;
        out.dhead[v * p.width + k]! += dz * p.hidden[i * p.width + k]!;
      }
    }
  }
  return out;
}

function near(actual: ArrayLike<number>, expected: ArrayLike<number>, name: string): void {
  expect(actual.length, name).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!) / Math.max(1, Math.abs(expected[i]!));
    if (!(error <= worst)) worst = error;
  }
  expect(worst, name).toBeLessThanOrEqual(1e-5);
}

describe.each(availableIsas)("on %s", (isa) => {
  // Tile rows are 14 and 6, panels 32, 16 and 8 columns, blocks of the sums 512.
  test.each([
    [0, 5, 7],
    [1, 1, 1],
    [1, 16, 31],
    [5, 15, 32],
    [6, 17, 33],
    [7, 3, 8],
    [13, 33, 15],
    [14, 32, 16],
    [15, 31, 17],
    [29, 8, 511],
    [3, 520, 513],
  ])("%i rows, width %i, vocabulary %i", (rows, width, vocab) => {
    kernelEngine({ isa, threads: 2 });
    const p = problem(rows, width, vocab);
    for (const temperature of [1, 0.7]) {
      const want = truth(p, temperature);
      const scored = selectedLogProbs({ ...p, temperature });
      near(scored.logprob, want.logprob, "logprob");
      near(scored.entropy, want.entropy, "entropy");
      const back = selectedLogProbsBackward({ ...p, temperature });
      near(back.dhidden, want.dhidden, "dhidden");
      near(back.dhead, want.dhead, "dhead");
    }
  });

  test("a row's bits depend on neither the rows around it nor the threads", () => {
    const p = problem(47, 70, 301);
    const outcomes = [1, 2, 3].map((threads) => {
      kernelEngine({ isa, threads });
      return { ...selectedLogProbs(p), ...selectedLogProbsBackward(p) };
    });
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[2]).toEqual(outcomes[0]);
    for (const i of [0, 13, 14, 46]) {
      const alone = {
        ...p,
        hidden: p.hidden.slice(i * 70, (i + 1) * 70),
        target: p.target.slice(i, i + 1),
        dlogprob: p.dlogprob.slice(i, i + 1),
        dentropy: p.dentropy.slice(i, i + 1),
      };
      const one = selectedLogProbs(alone);
      expect(one.logprob[0]).toBe(outcomes[0]!.logprob[i]);
      expect(one.entropy[0]).toBe(outcomes[0]!.entropy[i]);
      expect(selectedLogProbsBackward(alone).dhidden).toEqual(outcomes[0]!.dhidden.slice(i * 70, (i + 1) * 70));
    }
  });

  test("a divergence through the head: teacher states or their logits, and zero to itself", () => {
    kernelEngine({ isa, threads: 2 });
    const p = problem(9, 20, 77);
    const teacher = numbers(5).normals(9 * 20);
    const teacherLogits = new Float32Array(9 * 77);
    for (let i = 0; i < 9; i++)
      for (let v = 0; v < 77; v++) for (let k = 0; k < 20; k++) teacherLogits[i * 77 + v]! += teacher[i * 20 + k]! * p.head[v * 20 + k]!;
    for (const divergence of ["forward-kl", "reverse-kl", "jsd"] as const) {
      const states = distillationLoss({ ...p, divergence, teacherHidden: teacher, temperature: 1.5 });
      const logits = distillationLoss({ ...p, divergence, teacherLogits, temperature: 1.5 });
      expect(states.loss).toBeGreaterThan(0.01);
      near([states.loss], [logits.loss], "loss");
      near(states.row, logits.row, "row");
      near(states.dhidden, logits.dhidden, "dhidden");
      near(states.dhead, logits.dhead, "dhead");
      const self = distillationLoss({ ...p, divergence, teacherHidden: p.hidden });
      near([self.loss, ...self.dhidden], new Float64Array(1 + 9 * 20), "to itself");
    }
  });
});

const settings = { klCoef: 0.01, entropyCoef: 0.001 };

describe("masks", () => {
  const p = problem(4, 6, 11);
  const tokens = {
    oldLogprob: Float32Array.of(-1, -2, -1, -3),
    refLogprob: Float32Array.of(-1, -2, -1, -3),
    advantage: Float32Array.of(1, -1, 2, 0.5),
    sequence: Int32Array.of(0, 0, 1, 1),
  };
  const input = { ...p, ...tokens, ...settings };

  test.each(["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"] as const)(
    "all rows masked, %s: loss and gradients 0",
    (aggregation) => {
      const { loss, dhidden, dhead } = policyLossThroughHead({ ...input, aggregation, mask: new Float32Array(4) });
      expect(loss).toBe(0);
      expect(dhidden.every((d) => d === 0) && dhead.every((d) => d === 0)).toBe(true);
    },
  );
  test("one masked row: no gradient to it, and the rest as if it were not there", () => {
    const masked = policyLossThroughHead({ ...input, mask: Float32Array.of(1, 0, 1, 1) });
    const rest = [0, 2, 3];
    const pick = (a: Float32Array, width = 1) => Float32Array.from(rest.flatMap((i) => Array.from(a.slice(i * width, (i + 1) * width))));
    const without = policyLossThroughHead({
      ...input,
      hidden: pick(p.hidden, 6),
      target: Int32Array.from(rest, (i) => p.target[i]!),
      oldLogprob: pick(tokens.oldLogprob),
      refLogprob: pick(tokens.refLogprob),
      advantage: pick(tokens.advantage),
      sequence: Int32Array.from(rest, (i) => tokens.sequence[i]!),
    });
    expect(masked.loss).toBeCloseTo(without.loss, 12);
    expect(masked.dhidden.slice(6, 12).every((d) => d === 0)).toBe(true);
    expect(pick(masked.dhidden, 6)).toEqual(without.dhidden);
    near(masked.dhead, without.dhead, "dhead");
  });
  test("a masked token that is not finite spoils nothing", () => {
    const logprob = Float32Array.of(-1, Number.NaN);
    const { loss, dlogprob } = policyLoss({
      ...{ logprob, oldLogprob: logprob, advantage: Float32Array.of(2, 2), mask: Float32Array.of(1, 0) },
      ...{ klCoef: 0, entropyCoef: 0 },
    });
    expect(loss).toBe(-2);
    expect(Array.from(dlogprob)).toEqual([-2, 0]);
  });
  test("no open gate, or weights that are all 0: loss and gradients 0", () => {
    const shut = distillationLoss({ ...p, divergence: "internalise", gate: new Float32Array(4), advantage: tokens.advantage });
    const light = distillationLoss({ ...p, divergence: "forward-kl", teacherLogits: new Float32Array(44), rowWeight: new Float32Array(4) });
    for (const { loss, dhidden, dhead } of [shut, light]) {
      expect(loss).toBe(0);
      expect(dhidden.every((d) => d === 0) && dhead.every((d) => d === 0)).toBe(true);
    }
  });
  test("no tokens at all", () => {
    const none = new Float32Array();
    const empty = { logprob: none, oldLogprob: none, advantage: none, klCoef: 0, entropyCoef: 0 };
    expect(policyLoss(empty)).toEqual({ loss: 0, pg: none, kl: none, clipped: new Uint8Array(), dlogprob: none, dentropy: none });
    expect(policyLossOnLogits({ logits: none, vocab: 3, target: new Int32Array(), ...empty }).dlogits).toEqual(none);
  });
});

/** One token: ratio and advantage in, loss and d loss / d logprob out. */
function one(ratio: number, advantage: number, options: { dualClip?: number } = {}) {
  const { loss, dlogprob, clipped } = policyLoss({
    logprob: Float32Array.of(Math.log(ratio)),
    oldLogprob: Float32Array.of(0),
    advantage: Float32Array.of(advantage),
    ...{ klCoef: 0, entropyCoef: 0, ...options },
  });
  return { loss, slope: dlogprob[0]!, clipped: clipped[0]! };
}

test.each([
  [1.5, 1, -1.2, 0, 1],
  [0.5, 1, -0.5, -0.5, 0],
  [1.1, 2, -2.2, -2.2, 0],
  [1.5, -1, 1.5, 1.5, 0],
  [0.5, -1, 0.8, 0, 1],
  [4, -1, 3, 0, 0],
  [4, 1, -1.2, 0, 1],
])("example C: ratio %f, advantage %f", (ratio, advantage, loss, slope, clipped) => {
  const result = one(ratio, advantage);
  expect(result.loss).toBeCloseTo(loss, 6);
  expect(result.slope).toBeCloseTo(slope, 6);
  expect(result.clipped).toBe(clipped);
});

test("without dual clip a negative advantage has no bound", () => expect(one(4, -1, { dualClip: 0 }).loss).toBeCloseTo(4, 5));

test.each([
  [-1, -1, 0, 0],
  [-1, -1.2, 0.018731, 1 - Math.exp(-0.2)],
  [-1.2, -1, 0.021403, 1 - Math.exp(0.2)],
  [-0.5, -3, 1.582085, 1 - Math.exp(-2.5)],
  [-5, -0.5, 10, 0],
])("example C2: k3 of %f to %f, clamped at 10 without gradient", (logprob, ref, kl, slope) => {
  const result = policyLoss({
    ...{ logprob: Float32Array.of(logprob), oldLogprob: Float32Array.of(logprob), refLogprob: Float32Array.of(ref) },
    ...{ advantage: Float32Array.of(0), klCoef: 1, entropyCoef: 0 },
  });
  expect(result.kl[0]).toBeCloseTo(kl, 5);
  expect(result.loss).toBeCloseTo(kl, 5);
  expect(result.dlogprob[0]).toBeCloseTo(slope, 6);
});

test.each([
  ["token-mean", 5 / 6],
  ["seq-mean-token-sum", 2.5],
  ["seq-mean-token-mean", 1],
] as const)("example D: %s", (aggregation, loss) => {
  const logprob = new Float32Array(6);
  const result = policyLoss({
    ...{ logprob, oldLogprob: logprob, advantage: Float32Array.of(-1, -2, -0.5, -0.5, -0.5, -0.5) },
    ...{ sequence: Int32Array.of(70, 70, -3, -3, -3, -3), aggregation, klCoef: 0, entropyCoef: 0 },
  });
  expect(result.loss).toBeCloseTo(loss, 6);
});

test("internalisation: gate, clipped weights and divisor of the specification's example", () => {
  // Log-probs of the four rows' tokens on a vocabulary of two.
  const logprobs = [-0.2, -0.5, -1, -0.1, -0.4, -0.3, -0.7, -0.9];
  const logits = Float32Array.from(logprobs.flatMap((lp) => [lp, Math.log1p(-Math.exp(lp))]));
  const input = {
    ...({ divergence: "internalise", logits, vocab: 2, target: new Int32Array(8) } as const),
    advantage: Float32Array.of(1.950796, 1.950796, 0.3, 0.3, 0.3, -0.421854, 7, 7),
    gate: Float32Array.of(1, 1, 1, 1, 1, 1, 0, 0),
  };
  expect(distillationLoss(input).loss).toBeCloseTo(0.3025929, 6);
  expect(distillationLoss({ ...input, normaliser: 8 }).loss).toBeCloseTo(0.2269447, 6);
  expect(distillationLoss({ ...input, maxWeight: 1 }).loss).toBeCloseTo((0.7 + 0.45) / 6, 6);
});

describe("wrong arguments", () => {
  const p = problem(2, 3, 5);
  const policy = { logprob: new Float32Array(2), oldLogprob: new Float32Array(2), advantage: new Float32Array(2), ...settings };
  test.each<[string, () => unknown, RegExp]>([
    ["sizes", () => selectedLogProbs({ ...p, width: 4 }), /hidden holds 6 numbers; rows x width \(2 x 4\) makes 8/],
    ["head", () => selectedLogProbs({ ...p, vocab: 6 }), /head holds 15 numbers; vocab x width \(6 x 3\) makes 18/],
    [
      "type",
      () => selectedLogProbs({ ...p, hidden: new Float64Array(6) as unknown as Float32Array }),
      /hidden is Float64Array; it must be a Float32Array/,
    ],
    ["target", () => selectedLogProbs({ ...p, target: Int32Array.of(0, 5) }), /target\[1\] is 5; a token is from 0 to 4/],
    ["temperature", () => selectedLogProbs({ ...p, temperature: 0 }), /temperature is 0; it must be a number above 0/],
    ["dlogprob", () => selectedLogProbsBackward({ ...p, dlogprob: new Float32Array(1) }), /dlogprob holds 1 numbers; one per row makes 2/],
    ["reference", () => policyLoss({ ...policy, entropyCoef: 0 }), /refLogprob is missing and klCoef is 0.01; give .* or set klCoef to 0/],
    ["entropy", () => policyLoss({ ...policy, klCoef: 0 }), /entropy is missing and entropyCoef is 0.001/],
    ["sequence", () => policyLoss({ ...policy, klCoef: 0, entropyCoef: 0, aggregation: "seq-mean-token-sum" }), /sequence is missing/],
    [
      "aggregation",
      () => policyLoss({ ...policy, klCoef: 0, entropyCoef: 0, aggregation: "mean" as "token-mean" }),
      /must be one of "token-mean"/,
    ],
    ["mask", () => policyLoss({ ...policy, klCoef: 0, entropyCoef: 0, mask: Float32Array.of(1, 0.5) }), /mask\[1\] is 0.5; a token counts/],
    ["dual clip", () => policyLoss({ ...policy, klCoef: 0, entropyCoef: 0, dualClip: 1 }), /dualClip is 1; it must be above 1, or 0/],
    [
      "beta",
      () => distillationLoss({ ...p, divergence: "jsd", beta: 1, teacherHidden: p.hidden }),
      /beta is 1; it must be between 0 and 1/,
    ],
    ["no teacher", () => distillationLoss({ ...p, divergence: "jsd" }), /one of teacherLogits and teacherHidden must be given/],
    ["rows", () => distillationLoss({ ...p, width: 4, divergence: "jsd", teacherHidden: p.hidden }), /no whole number of rows of 4/],
    [
      "weight",
      () => distillationLoss({ ...p, divergence: "jsd", teacherHidden: p.hidden, rowWeight: Float32Array.of(1, -1) }),
      /rowWeight\[1\] is -1/,
    ],
    [
      "gate",
      () => distillationLoss({ ...p, divergence: "internalise", gate: Float32Array.of(2, 0), advantage: p.dlogprob }),
      /gate\[0\] is 2/,
    ],
    ["threads", () => kernelEngine({ threads: 0 }), /threads is 0; it must be a whole number from 1 to 1024/],
    ["isa", () => kernelEngine({ isa: "sse" as "avx2" }), /isa is "sse"; it must be "avx512bf16", "avx512", "avx2", "portable"/],
  ])("%s", (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(expect.objectContaining({ name: "SiriError", code: "SIRI_ARGUMENT" }));
  });
});
