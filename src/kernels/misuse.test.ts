// What the kernels refuse, each time as a SiriError: inputs that are no objects, and numbers that would make a whole gradient NaN.
import { describe, expect, test } from "vitest";
import * as kernels from "../kernels.js";

const refused = (work: () => unknown, text: RegExp) => {
  let error: unknown;
  try {
    work();
  } catch (e) {
    error = e;
  }
  expect(error).toMatchObject({ name: "SiriError", code: "SIRI_ARGUMENT", message: expect.stringMatching(text) });
};

const head = {
  hidden: Float32Array.of(1, 2, 3, 4),
  head: Float32Array.of(1, 0, 0, 1, 1, 1),
  width: 2,
  vocab: 3,
  target: Int32Array.of(0, 2),
};
const ready = { logits: Float32Array.of(1, 2, 3, 4, 5, 6), vocab: 3, target: Int32Array.of(0, 2) };
const tokens = { oldLogprob: Float32Array.of(-1, -2), refLogprob: Float32Array.of(-1, -1), advantage: Float32Array.of(1, -1) };
const plain = { ...tokens, logprob: Float32Array.of(-1, -1), entropy: Float32Array.of(1, 1) };

test.each([undefined, null, 5, "text", []])("%s is no input", (value) => {
  const calls = [
    kernels.selectedLogProbs,
    kernels.selectedLogProbsBackward,
    kernels.policyLoss,
    kernels.policyLossThroughHead,
    kernels.policyLossOnLogits,
    kernels.distillationLoss,
  ];
  for (const call of calls) refused(() => (call as (input: unknown) => unknown)(value), /input is/);
});

describe("NaN", () => {
  const broken = Float32Array.of(Number.NaN, 1);
  const firstMasked = { mask: Float32Array.of(0, 1) };

  test.each(["oldLogprob", "refLogprob", "advantage", "logprob", "entropy"] as const)("as %s of a token, unless it is masked", (name) => {
    const values = Float32Array.of(Number.NaN, plain[name][1]!);
    refused(() => kernels.policyLoss({ ...plain, [name]: values }), new RegExp(`${name}\\[0\\] is NaN`));
    const clean = kernels.policyLoss({ ...plain, ...firstMasked });
    expect(kernels.policyLoss({ ...plain, ...firstMasked, [name]: values })).toMatchObject({ loss: clean.loss, dlogprob: clean.dlogprob });
  });

  test.each(["oldLogprob", "refLogprob", "advantage"])("as %s through a head and on logits", (name) => {
    refused(() => kernels.policyLossThroughHead({ ...head, ...tokens, [name]: broken }), new RegExp(`${name}\\[0\\] is NaN`));
    refused(() => kernels.policyLossOnLogits({ ...ready, ...tokens, [name]: broken }), new RegExp(`${name}\\[0\\] is NaN`));
  });

  test("and infinity as an advantage", () => {
    refused(() => kernels.policyLoss({ ...plain, advantage: Float32Array.of(1, Number.POSITIVE_INFINITY) }), /advantage\[1\] is Infinity/);
    const internalise = { ...head, divergence: "internalise", gate: Float32Array.of(1, 0), advantage: broken } as const;
    refused(() => kernels.distillationLoss(internalise), /advantage\[0\] is NaN/);
    expect(kernels.distillationLoss({ ...internalise, gate: Float32Array.of(0, 1) }).loss).toBeGreaterThan(0);
  });
});

test("trajectories that are none", () => {
  const good = { group: 1, anchors: ["a", "b"], rewards: [0, 1] };
  const advantages = kernels.groupAdvantages as (trajectories: unknown, options?: unknown) => unknown;
  for (const value of [undefined, null, 5, "text", {}, [null], [5]]) refused(() => advantages(value), /trajectories/);
  for (const field of [{ anchors: "ab" }, { anchors: null }, { rewards: null }, { rewards: "01" }, { valid: "ab" }, { group: Number.NaN }])
    refused(() => advantages([{ ...good, ...field }]), new RegExp(Object.keys(field)[0]!));
  for (const options of [null, 5]) refused(() => advantages([good], options), /options/);
});
