// Every number of test/goldens/losses (float64 truth, stored as float32) against the kernels. Bar: an absolute error of 1e-5, relative
// for values above 1. The file "wide" holds no teacher logits, so its divergences cannot be computed again.
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { availableIsas } from "../test/support/isas.js";
import {
  distillationLoss,
  kernelEngine,
  policyLoss,
  policyLossOnLogits,
  policyLossThroughHead,
  selectedLogProbs,
  selectedLogProbsBackward,
} from "./kernels.js";
import { SafetensorsFile } from "./policy/safetensors.js";

const folder = fileURLToPath(new URL("../test/goldens/losses/", import.meta.url));
const AGGREGATIONS = ["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"] as const;
const DIVERGENCES = [
  ["forward-kl", { divergence: "forward-kl" }],
  ["reverse-kl", { divergence: "reverse-kl" }],
  ["jsd-0.1", { divergence: "jsd", beta: 0.1 }],
  ["jsd-0.5", { divergence: "jsd", beta: 0.5 }],
] as const;

class Golden {
  readonly checked = new Set<string>();
  constructor(
    readonly names: ReadonlySet<string>,
    readonly tensors: ReadonlyMap<string, Float32Array | Int32Array>,
    readonly width: number,
    readonly vocab: number,
  ) {}
  f(name: string): Float32Array {
    return this.tensors.get(name) as Float32Array;
  }
  i(name: string): Int32Array {
    return this.tensors.get(name) as Int32Array;
  }
  /** Compares where the file has the tensor. */
  same(name: string, actual: ArrayLike<number>): void {
    if (!this.names.has(name)) return;
    this.checked.add(name);
    near(actual, this.f(name), name);
  }
}

function near(actual: ArrayLike<number>, expected: ArrayLike<number>, name: string): void {
  expect(actual.length, name).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!) / Math.max(1, Math.abs(expected[i]!));
    if (!(error <= worst)) worst = error;
  }
  expect(worst, `${name}: largest error`).toBeLessThanOrEqual(1e-5);
}

async function golden(name: string): Promise<Golden> {
  const file = await SafetensorsFile.open(`${folder}${name}.safetensors`);
  const tensors = new Map<string, Float32Array | Int32Array>();
  for (const { name, dtype } of file.entries.values())
    tensors.set(name, dtype === "I32" ? await file.readInt32(name) : await file.readFloat32(name));
  const { shape } = file.entries.get("head")!;
  await file.close();
  return new Golden(new Set(tensors.keys()), tensors, shape[1]!, shape[0]!);
}

const original = kernelEngine();
afterAll(() => {
  kernelEngine({ threads: original.threads, isa: "" });
});

describe.each(availableIsas)("kernels on %s", (isa) => {
  test.each(["small", "aligned", "peaked", "wide"])("%s", async (name) => {
    kernelEngine({ isa, threads: 2 });
    const g = await golden(name);
    const { width, vocab } = g;
    const target = g.i("target");
    const head = { hidden: g.f("hidden"), head: g.f("head"), width, vocab };
    const ready = g.names.has("logits") ? { logits: g.f("logits"), vocab } : null;

    const scored = selectedLogProbs({ ...head, target });
    g.same("logprob", scored.logprob);
    g.same("entropy", scored.entropy);
    g.same("logsumexp", scored.logsumexp);

    const tokens = {
      oldLogprob: g.f("old_logprob"),
      refLogprob: g.f("ref_logprob"),
      advantage: g.f("advantage"),
      mask: g.f("mask"),
      sequence: g.i("sequence"),
    };
    for (const aggregation of AGGREGATIONS) {
      const key = `policy.${aggregation}`;
      const through = policyLossThroughHead({ ...head, ...tokens, target, aggregation });
      near([through.loss], g.f(`${key}.loss`), `${key}.loss through the head`);
      g.same("logprob", through.logprob);
      g.same("entropy", through.entropy);
      g.same("policy.pg", through.pg);
      g.same("policy.kl", through.kl);
      g.same("policy.clipped", through.clipped);
      g.same(`${key}.dhidden`, through.dhidden);
      g.same(`${key}.dhead`, through.dhead);

      const plain = policyLoss({ ...tokens, logprob: g.f("logprob"), entropy: g.f("entropy"), aggregation });
      g.same(`${key}.loss`, [plain.loss]);
      g.same("policy.pg", plain.pg);
      g.same("policy.kl", plain.kl);
      g.same("policy.clipped", plain.clipped);
      const back = selectedLogProbsBackward({ ...head, target, dlogprob: plain.dlogprob, dentropy: plain.dentropy });
      g.same(`${key}.dhidden`, back.dhidden);
      g.same(`${key}.dhead`, back.dhead);

      if (ready) {
        const onLogits = policyLossOnLogits({ ...ready, ...tokens, target, aggregation });
        g.same(`${key}.loss`, [onLogits.loss]);
        g.same("logprob", onLogits.logprob);
        g.same(`${key}.dlogits`, onLogits.dlogits);
      }
    }

    const gated = { divergence: "internalise", gate: g.f("internalise.gate"), advantage: g.f("advantage"), target } as const;
    const internalised = distillationLoss({ ...head, ...gated });
    g.same("internalise.loss", [internalised.loss]);
    g.same("internalise.dhidden", internalised.dhidden);
    g.same("internalise.dhead", internalised.dhead);
    g.same("logprob", internalised.row);

    if (ready) {
      const weights = { teacherLogits: g.f("teacher_logits"), rowWeight: g.f("row_weight") };
      for (const [label, divergence] of DIVERGENCES)
        for (const temperature of [1, 2]) {
          const key = `distill.${label}.T${temperature}`;
          const through = distillationLoss({ ...head, ...weights, ...divergence, temperature });
          g.same(`${key}.row`, through.row);
          g.same(`${key}.loss`, [through.loss]);
          g.same(`${key}.dhidden`, through.dhidden);
          const onLogits = distillationLoss({ ...ready, ...weights, ...divergence, temperature });
          g.same(`${key}.row`, onLogits.row);
          g.same(`${key}.loss`, [onLogits.loss]);
          g.same(`${key}.dlogits`, onLogits.dlogits);
        }
    }

    const inputs = [
      ...["hidden", "head", "target", "old_logprob", "ref_logprob", "advantage", "mask", "sequence", "logits"],
      ...["internalise.gate", "teacher_logits", "row_weight"],
    ];
    const left = [...g.names].filter((key) => !g.checked.has(key) && !inputs.includes(key));
    expect(left.filter((key) => ready || !key.startsWith("distill."))).toEqual([]);
  });
});
