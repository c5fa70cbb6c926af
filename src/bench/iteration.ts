/**
 * Whole iterations of the default run, in a process of its own as a user starts it: the time of a run of three iterations less that of a
 * run of one, so that start and end fall out. No evaluation in between.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { COMPUTE_TYPES, packageRoot } from "../native.js";
import { type Measurement, peakMiB } from "./report.js";

const run = promisify(execFile);
const MORE = 2;

async function secondsOf(iterations: number, dtype: string, device: string, threads: number): Promise<number> {
  const root = await mkdtemp(join(tmpdir(), "siri-bench-"));
  try {
    const settings = [`run.root=${JSON.stringify(root)}`, `iterations=${iterations}`, "evaluation.every=0", "evaluation.at=[]"];
    const flags = [...settings, `model.dtype=${dtype}`, `model.device=${device}`, `model.threads=${threads}`].flatMap((text) => [
      "--set",
      text,
    ]);
    const start = performance.now();
    await run(process.execPath, [join(packageRoot(), "bin", "siri.mjs"), "train", "--name", "bench", ...flags], { maxBuffer: 1 << 26 });
    return (performance.now() - start) / 1000;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

export async function benchIterations(options: { device: string; threads: number; repetitions: number }): Promise<Measurement[]> {
  const found: Measurement[] = [];
  for (const dtype of COMPUTE_TYPES) {
    const values: number[] = [];
    for (let i = 0; i < options.repetitions; i++) {
      const short = await secondsOf(1, dtype, options.device, options.threads);
      values.push(((await secondsOf(1 + MORE, dtype, options.device, options.threads)) - short) / MORE);
    }
    found.push({ name: `iteration/household-tiny ${dtype}`, unit: "s", better: "less", values, memoryMiB: peakMiB() });
  }
  return found;
}
