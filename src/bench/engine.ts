/**
 * Speed of the engine on the shape of the shipped policy: training and scoring tokens per second on packed step rows, and the time to
 * sample a group of replies. Weights and tokens are random: speed does not depend on them.
 */
import { COMPUTE_TYPES, type ComputeType } from "../native.js";
import { Policy, type PolicyOptions } from "../policy/policy.js";
import type { PolicyRow } from "../policy/types.js";
import { type Measurement, peakMiB } from "./report.js";

export const TINY = {
  model_type: "qwen2",
  hidden_size: 128,
  intermediate_size: 320,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 896,
  max_position_embeddings: 1024,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: true,
};

const TRAIN_TARGET: Record<ComputeType, number> = { float32: 40_000, bfloat16: 65_000 };
const SAMPLE_TARGET = 0.09;

/** Repeatable tokens: a linear congruential sequence is enough here. */
export function tokens(n: number, seed: number, vocab: number): Int32Array {
  let s = seed * 2654435761 + 1;
  return Int32Array.from({ length: n }, () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return (s >>> 8) % vocab;
  });
}

/** Step rows of 137 to 157 tokens (mean 147), 11 of them the response. */
export function stepRows(count: number, vocab: number): PolicyRow[] {
  return Array.from({ length: count }, (_, i) => {
    const n = 137 + (i % 21);
    return {
      tokens: tokens(n, i + 1, vocab),
      responseStart: n - 11,
      advantage: i % 2 ? 1 : -0.5,
      oldLogprobs: new Float32Array(11).fill(-6.8),
    };
  });
}

export const POLICY_LOSS = {
  kind: "policy",
  clipLow: 0.2,
  clipHigh: 0.2,
  dualClip: 3,
  klCoef: 0,
  entropyCoef: 0.001,
  aggregation: "token-mean",
} as const;

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

async function ofType(dtype: ComputeType, options: PolicyOptions & { rows: number; repetitions: number }): Promise<Measurement[]> {
  const policy = await Policy.create(TINY, { ...options, dtype, seed: 1 });
  const rows = stepRows(options.rows, TINY.vocab_size);
  const total = rows.reduce((n, r) => n + r.tokens.length, 0);
  const train: number[] = [];
  const score: number[] = [];
  const sample: number[] = [];
  for (let i = 0; i <= options.repetitions; i++) {
    const trained = await seconds(async () => {
      await policy.train(rows, POLICY_LOSS);
      await policy.update({ lr: 1e-5, maxGradNorm: 1 });
    });
    const scored = await seconds(() => policy.score(rows));
    const sampled = await seconds(() =>
      Promise.all(
        Array.from({ length: 64 }, (_, k) =>
          policy.sample(tokens(130, 1000 * i + k + 7, TINY.vocab_size), { maxTokens: 20, stop: [], seed: k }),
        ),
      ),
    );
    // The first repetition warms memory and caches up.
    if (i === 0) continue;
    train.push(total / trained);
    score.push(total / scored);
    sample.push(sampled);
  }
  await policy.close();
  const memoryMiB = peakMiB();
  const name = (what: string) => `engine/${what} ${dtype}`;
  return [
    { name: name("train"), unit: "tokens/s", better: "more", values: train, target: TRAIN_TARGET[dtype], memoryMiB },
    { name: name("score"), unit: "tokens/s", better: "more", values: score, memoryMiB },
    { name: name("sample 64 rows of 130+20"), unit: "s", better: "less", values: sample, target: SAMPLE_TARGET, memoryMiB },
  ];
}

export async function benchEngine(options: PolicyOptions & { rows: number; repetitions: number }): Promise<Measurement[]> {
  const found: Measurement[] = [];
  for (const dtype of COMPUTE_TYPES) found.push(...(await ofType(dtype, options)));
  return found;
}
