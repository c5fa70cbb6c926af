/**
 * The head: log-probs of 4096 targets over 32,000 tokens from width 256, forward and backward, against PyTorch in chunks with the gradient
 * made in place (its fastest form), in turns.
 */
import { COMPUTE_TYPES } from "../native.js";
import { type Measurement, peakMiB, ratiosOf } from "./report.js";
import type { Torch } from "./torch.js";
import { workload } from "./workload.js";

const SHAPE = { rows: 4096, width: 256, vocab: 32000 } as const;

export async function benchHead(
  torch: Torch,
  options: { threads: number; rounds: number; processorTime?: boolean },
): Promise<Measurement[]> {
  const theirs: number[] = [];
  const found: Measurement[] = [];
  const runs = COMPUTE_TYPES.map((dtype) => ({
    dtype,
    run: workload({ op: "head_train", threads: options.threads, dtype, rows: SHAPE.rows, in: SHAPE.width, out: SHAPE.vocab }),
    values: [] as number[],
  }));
  for (let round = 0; round <= options.rounds; round++) {
    const peer = await torch.ask({ op: "head", ...SHAPE });
    const own = runs.map(({ run }) => run(1));
    // The first round warms memory and caches up.
    if (round === 0) continue;
    theirs.push(options.processorTime ? peer.cpu : peer.seconds);
    for (const [i, elapsed] of own.entries()) runs[i]!.values.push(options.processorTime ? elapsed.cpu : elapsed.wall);
  }
  for (const { dtype, values } of runs)
    found.push({
      name: `head/log-probs and gradient 4096x32000x256 ${dtype}, peer float32`,
      unit: "s",
      better: "less",
      values,
      peer: theirs,
      ratios: ratiosOf(values, theirs, "less"),
      target: 2,
      memoryMiB: peakMiB(),
    });
  return found;
}
