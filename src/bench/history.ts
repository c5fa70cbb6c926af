/** What was measured, where and on which commit: one JSON line a benchmark in bench/history.jsonl. Only ever appended to. */
import { execFile } from "node:child_process";
import { appendFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { native, packageRoot, resolveIsa } from "../native.js";
import { kernelEngine } from "../kernels.js";
import { type Measurement, median, quantile, spread } from "./report.js";

const run = promisify(execFile);

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly isa: string;
}

export function machine(): Machine {
  native();
  const isa = resolveIsa(undefined);
  return { processor: cpus()[0]?.model.trim() ?? "unknown", cores: cpus().length, isa: isa === "" ? kernelEngine().isa : isa };
}

/** The commit that is checked out, "+" when files differ from it; "" outside a repository. */
export async function commit(): Promise<string> {
  const git = async (...args: string[]) => (await run("git", args, { cwd: packageRoot() })).stdout.trim();
  try {
    const hash = await git("rev-parse", "--short=12", "HEAD");
    return (await git("status", "--porcelain", "--untracked-files=no")) === "" ? hash : `${hash}+`;
  } catch {
    return "";
  }
}

const round = (value: number) => Number(value.toPrecision(5));

export async function appendHistory(
  measurements: readonly Measurement[],
  threads: number,
  path = join(packageRoot(), "bench", "history.jsonl"),
): Promise<string> {
  const shared = { time: new Date().toISOString(), commit: await commit(), ...machine(), threads, load: round(loadavg()[0]!) };
  const lines = measurements.map((m) =>
    JSON.stringify({
      ...shared,
      name: m.name,
      unit: m.unit,
      median: round(median(m.values)),
      quartiles: [round(quantile(m.values, 0.25)), round(quantile(m.values, 0.75))],
      count: m.values.length,
      ...(m.peer && m.ratios ? { peer: round(median(m.peer)), ratio: round(median(m.ratios)), ratioSpread: round(spread(m.ratios)) } : {}),
      memoryMiB: m.memoryMiB,
    }),
  );
  await appendFile(path, `${lines.join("\n")}\n`);
  return path;
}
