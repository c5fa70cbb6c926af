/**
 * A training step of a 6-layer decoder here and in PyTorch on the CPU, in turns, so that both meet the same machine. The peer is
 * bench/peer_train_step.py under Debian's own Python (python3-torch); without it there is nothing to compare with.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { packageRoot } from "../native.js";
import { Policy } from "../policy/policy.js";
import { median } from "./report.js";

const run = promisify(execFile);
const SHAPE = { layers: 6, width: 256, heads: 8, kvHeads: 2, inner: 1024, context: 512, vocab: 2048, batch: 8 };

export interface PeerBench {
  readonly threads: number;
  readonly tokensPerStep: number;
  /** Seconds of each step after a first one that warms up. */
  readonly ours: readonly number[];
  readonly peer: readonly number[];
}

/** Why the peer cannot run, or null. */
async function missingPeer(python: string, script: string): Promise<string | null> {
  if (!existsSync(script)) return `${script} is not there (it is part of the repository, not of the npm package)`;
  try {
    await run(python, ["-c", "import torch"]);
    return null;
  } catch {
    return `${python} has no torch; apt-get install python3-torch libopenblas0-openmp`;
  }
}

/** The measurement, or a line that says why there is none. */
export async function benchPeer(options: { threads: number; rounds: number; python?: string }): Promise<PeerBench | string> {
  const python = options.python ?? "/usr/bin/python3";
  const script = join(packageRoot(), "bench", "peer_train_step.py");
  const missing = await missingPeer(python, script);
  if (missing) return `peer benchmark skipped: ${missing}`;

  const policy = await Policy.create(
    {
      model_type: "qwen2",
      hidden_size: SHAPE.width,
      intermediate_size: SHAPE.inner,
      num_hidden_layers: SHAPE.layers,
      num_attention_heads: SHAPE.heads,
      num_key_value_heads: SHAPE.kvHeads,
      vocab_size: SHAPE.vocab,
      max_position_embeddings: SHAPE.context + 1,
      rms_norm_eps: 1e-6,
      tie_word_embeddings: true,
    },
    { threads: options.threads, kvCacheMiB: 16, seed: 1 },
  );
  const rows = Array.from({ length: SHAPE.batch }, (_, i) => ({
    tokens: Int32Array.from({ length: SHAPE.context + 1 }, (_, j) => (i * 7919 + j * 104729) % SHAPE.vocab),
    responseStart: 1,
  }));
  const ours: number[] = [];
  const peer: number[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const { stdout } = await run(python, [script, "--threads", String(options.threads), "--steps", "3"]);
    const steps = stdout.trim().split("\n").slice(1);
    for (const line of steps) peer.push((JSON.parse(line) as { seconds: number }).seconds);
    for (let step = 0; step <= steps.length; step++) {
      const start = performance.now();
      await policy.train(rows, { kind: "weighted-nll" });
      await policy.update({ lr: 1e-4 });
      if (step > 0) ours.push((performance.now() - start) / 1000);
    }
  }
  await policy.close();
  return { threads: options.threads, tokensPerStep: SHAPE.batch * SHAPE.context, ours, peer };
}

export function peerReport(b: PeerBench): string {
  const line = (name: string, seconds: readonly number[]) =>
    `  ${name}  ${(b.tokensPerStep / median(seconds)).toFixed(0)} tokens/s (${median(seconds).toFixed(3)} s/step; ${Math.min(...seconds).toFixed(3)} to ${Math.max(...seconds).toFixed(3)})`;
  return [
    `training step, 6 layers of width 256, context 512, batch 8, ${b.threads} threads (medians of ${b.ours.length}, in turns)`,
    line("siri   ", b.ours),
    line("PyTorch", b.peer),
    `  ratio    ${(median(b.peer) / median(b.ours)).toFixed(2)}`,
  ].join("\n");
}
