/**
 * A training step of a 6-layer decoder here and in PyTorch on the CPU, step by step in turns, so that both meet the same machine: float32
 * against float32, bfloat16 against autocast (bench/peer.py).
 */
import { COMPUTE_TYPES } from "../native.js";
import { Policy } from "../policy/policy.js";
import { type Measurement, peakMiB, ratiosOf } from "./report.js";
import type { Torch } from "./torch.js";

const SHAPE = { layers: 6, width: 256, heads: 8, kv_heads: 2, inner: 1024, context: 512, vocab: 2048, batch: 8 };

export async function benchTrain(torch: Torch, options: { device: string; threads: number; rounds: number }): Promise<Measurement[]> {
  const rows = Array.from({ length: SHAPE.batch }, (_, i) => ({
    tokens: Int32Array.from({ length: SHAPE.context + 1 }, (_, j) => (i * 7919 + j * 104729) % SHAPE.vocab),
    responseStart: 1,
  }));
  const found: Measurement[] = [];
  for (const dtype of COMPUTE_TYPES) {
    const policy = await Policy.create(
      {
        model_type: "qwen2",
        hidden_size: SHAPE.width,
        intermediate_size: SHAPE.inner,
        num_hidden_layers: SHAPE.layers,
        num_attention_heads: SHAPE.heads,
        num_key_value_heads: SHAPE.kv_heads,
        vocab_size: SHAPE.vocab,
        max_position_embeddings: SHAPE.context + 1,
        rms_norm_eps: 1e-6,
        tie_word_embeddings: true,
      },
      { device: options.device, threads: options.threads, dtype, kvCacheMiB: 16, seed: 1 },
    );
    const mine: number[] = [];
    const theirs: number[] = [];
    const perStep = SHAPE.batch * SHAPE.context;
    for (let round = 0; round <= options.rounds; round++) {
      const peer = await torch.ask({ op: "train", dtype, ...SHAPE });
      const start = performance.now();
      await policy.train(rows, { kind: "weighted-nll" });
      await policy.update({ lr: 1e-4 });
      const own = (performance.now() - start) / 1000;
      if (round === 0) continue;
      mine.push(perStep / own);
      theirs.push(perStep / peer.seconds);
    }
    await policy.close();
    found.push({
      name: `train/step, 6 layers of 256, context 512, batch 8, ${dtype}`,
      unit: "tokens/s",
      better: "more",
      values: mine,
      peer: theirs,
      ratios: ratiosOf(mine, theirs, "more"),
      target: 1.8,
      memoryMiB: peakMiB(),
    });
  }
  return found;
}
