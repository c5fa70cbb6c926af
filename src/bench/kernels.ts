/**
 * Every operation of the engine that costs time, alone, on the shapes of a training step: what share of the machine's peak it reaches. The
 * package `benchmark` decides how often to repeat (a devDependency: benchmarks run from the repository).
 */
import { SiriError } from "../errors.js";
import { type Measurement, peakMiB } from "./report.js";
import { bytes, flops, workload, type WorkloadSpec } from "./workload.js";

export const KERNEL_SHAPES: readonly Omit<WorkloadSpec, "threads">[] = [
  ...(["float32", "bfloat16"] as const).flatMap((dtype) => [
    { op: "linear" as const, dtype, rows: 2048, in: 256, out: 1024 },
    { op: "linear_backward_input" as const, dtype, rows: 2048, in: 256, out: 1024 },
    { op: "linear_backward_weight" as const, dtype, rows: 2048, in: 256, out: 1024 },
    { op: "linear" as const, dtype, rows: 64, in: 256, out: 1024 },
    { op: "linear" as const, dtype, rows: 1, in: 256, out: 1024 },
    { op: "pack" as const, dtype, in: 256, out: 1024 },
    { op: "head_train" as const, dtype, rows: 512, in: 256, out: 2048 },
    { op: "head_sample" as const, dtype, rows: 64, in: 256, out: 2048 },
  ]),
  { op: "attention", rows: 4, in: 256, out: 512 },
  { op: "attention_backward", rows: 4, in: 256, out: 512 },
  { op: "rms_norm", rows: 2048, in: 256 },
  { op: "rms_norm_backward", rows: 2048, in: 256 },
  { op: "swiglu", rows: 2048, in: 1024 },
  { op: "swiglu_backward", rows: 2048, in: 1024 },
  { op: "adamw", rows: 1 << 20 },
];

export function kernelName({ op, dtype, rows, in: width, out }: Omit<WorkloadSpec, "threads">): string {
  return [op, [rows, out, width].filter((n) => n !== undefined).join("x"), dtype].filter(Boolean).join(" ");
}

export async function benchKernels(options: { threads: number; seconds: number; processorTime: boolean }): Promise<Measurement[]> {
  const { default: Benchmark } = await import("benchmark").catch(() => {
    throw new SiriError("SIRI_BENCH", "the package benchmark is not installed; run npm ci in the repository (it is a devDependency)");
  });
  return KERNEL_SHAPES.map((shape) => {
    const spec = { ...shape, threads: options.threads };
    const run = workload(spec);
    run(1);
    const processor: number[] = [];
    const once = () => void processor.push(run(1).cpu);
    const timed = new Benchmark(shape.op, once, { maxTime: options.seconds, minSamples: 5 }).run({ async: false });
    const samples = options.processorTime ? processor.slice(1) : timed.stats.sample;
    const work = flops(spec);
    const [unit, amount] = work > 0 ? (["GFLOP/s", work] as const) : (["GB/s", bytes(spec)] as const);
    return {
      name: `kernel/${kernelName(shape)}`,
      unit,
      better: "more" as const,
      values: samples.map((s) => amount / s / 1e9),
      memoryMiB: peakMiB(),
    };
  });
}
