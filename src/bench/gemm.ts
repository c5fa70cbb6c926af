/**
 * Matrix products against oneDNN through PyTorch, in turns: the three products of a linear layer over the shapes of a small decoder, in
 * both types. One call each until it has run for ROUND_SECONDS, round by round; the ratio of a shape is the median over rounds.
 */
import { COMPUTE_TYPES, type ComputeType } from "../native.js";
import { type Measurement, median, peakMiB, ratiosOf } from "./report.js";
import type { Torch } from "./torch.js";
import { flops, workload } from "./workload.js";

/** rows, out, in: tokens by outputs by inputs. */
const SHAPES = [
  [512, 256, 256],
  [512, 1024, 256],
  [2048, 256, 256],
  [2048, 1024, 256],
  [2048, 256, 1024],
  [2048, 1024, 1024],
  [8192, 256, 256],
  [8192, 1024, 256],
  [8192, 256, 1024],
  [8192, 1024, 1024],
] as const;
const KINDS = { forward: "linear", input: "linear_backward_input", weight: "linear_backward_weight" } as const;
const TARGET: Record<ComputeType, number> = { float32: 0.95, bfloat16: 0.9 };
const ROUND_SECONDS = 0.02;

export interface GemmOptions {
  readonly threads: number;
  readonly rounds: number;
  /** Count processor time instead of the clock's: for a machine shared with others, with one thread (waiting threads burn it too). */
  readonly processorTime?: boolean;
  readonly kinds?: readonly (keyof typeof KINDS)[];
  readonly dtypes?: readonly ComputeType[];
  readonly onProgress?: (m: Measurement) => void;
}

/** One measurement a shape, and one "all shapes" a type and kind whose repetitions are the shapes' median ratios. */
export async function benchGemm(torch: Torch, options: GemmOptions): Promise<Measurement[]> {
  const found: Measurement[] = [];
  for (const dtype of options.dtypes ?? COMPUTE_TYPES)
    for (const kind of options.kinds ?? (["forward", "input", "weight"] as const)) {
      const ofKind: Measurement[] = [];
      for (const [rows, out, width] of SHAPES) {
        const shape = { rows, in: width, out };
        const spec = { op: KINDS[kind], threads: options.threads, dtype, ...shape };
        const ours = workload(spec);
        const times = Math.max(1, Math.round((3 * ROUND_SECONDS) / ours(3).cpu));
        const request = { op: "gemm", kind, dtype, ...shape, times };
        await torch.ask(request);
        const mine: number[] = [];
        const theirs: number[] = [];
        const work = (flops(spec) * times) / 1e9;
        for (let round = 0; round < options.rounds; round++) {
          const own = ours(times);
          mine.push(work / (options.processorTime ? own.cpu : own.wall));
          const peer = await torch.ask(request);
          theirs.push(work / (options.processorTime ? peer.cpu : peer.seconds));
        }
        const m: Measurement = {
          name: `gemm/${kind} ${rows}x${out}x${width} ${dtype}`,
          unit: "GFLOP/s",
          better: "more",
          values: mine,
          peer: theirs,
          ratios: ratiosOf(mine, theirs, "more"),
          memoryMiB: peakMiB(),
        };
        ofKind.push(m);
        options.onProgress?.(m);
      }
      const all: Measurement = {
        name: `gemm/${kind} median of the shapes ${dtype}`,
        unit: "GFLOP/s",
        better: "more",
        values: ofKind.map((m) => median(m.values)),
        peer: ofKind.map((m) => median(m.peer!)),
        ratios: ofKind.map((m) => median(m.ratios!)),
        target: TARGET[dtype],
        memoryMiB: peakMiB(),
      };
      options.onProgress?.(all);
      found.push(...ofKind, all);
    }
  return found;
}
