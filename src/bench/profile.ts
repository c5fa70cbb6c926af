/**
 * Where the time of a run file's iterations goes: by part, the share in which JavaScript's main thread was at work, and the tokens that
 * shared prefixes saved. Plays the first iterations of the run in a folder of its own, which is removed; no evaluation.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../config/schema.js";
import { RunDirectory } from "../run/run-directory.js";
import { train } from "../siri/trainer.js";

/** Sums over the iterations. */
export interface Profile {
  readonly iterations: number;
  /** By part: wall-clock seconds, and those in which the main thread was at work. */
  readonly parts: Readonly<Record<string, { readonly seconds: number; readonly mainThread: number }>>;
  readonly prefillTokens: number;
  readonly prefillTokensSaved: number;
  readonly trainTokens: number;
  readonly trainTokensSaved: number;
}

interface Timing {
  readonly seconds: Record<string, number>;
  readonly mainThread: Record<string, number>;
  readonly prefillTokens: number;
  readonly prefillTokensSaved: number;
}

async function lines<T>(path: string): Promise<T[]> {
  const text = await readFile(path, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}

export async function profileRun(config: Config, iterations: number): Promise<Profile> {
  const root = await mkdtemp(join(tmpdir(), "siri-profile-"));
  try {
    const short: Config = { ...config, iterations, evaluation: { ...config.evaluation, at: [], every: 0 } };
    const run = await RunDirectory.open({ root, name: "profile", config: short, resume: false });
    await train({ config: short, run });
    const timings = await lines<Timing>(join(run.dir, "timings.jsonl"));
    const metrics = await lines<Record<string, number>>(join(run.dir, "metrics.jsonl"));
    const parts: Record<string, { seconds: number; mainThread: number }> = {};
    for (const { seconds, mainThread } of timings)
      for (const [name, value] of Object.entries(seconds)) {
        parts[name] ??= { seconds: 0, mainThread: 0 };
        parts[name].seconds += value;
        parts[name].mainThread += mainThread[name]!;
      }
    const sum = <T>(list: readonly T[], pick: (item: T) => number | undefined) =>
      list.reduce((total, item) => total + (pick(item) ?? 0), 0);
    return {
      iterations,
      parts,
      prefillTokens: sum(timings, (t) => t.prefillTokens),
      prefillTokensSaved: sum(timings, (t) => t.prefillTokensSaved),
      trainTokens: sum(metrics, (m) => m["update/tokens"]),
      trainTokensSaved: sum(metrics, (m) => m["update/prefix_tokens_saved"]),
    };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

export function profileReport(profile: Profile): string {
  const percent = (part: number, whole: number) => `${(whole === 0 ? 0 : (100 * part) / whole).toFixed(1)}%`;
  const all = Object.values(profile.parts).reduce(
    (sum, part) => ({ seconds: sum.seconds + part.seconds, mainThread: sum.mainThread + part.mainThread }),
    { seconds: 0, mainThread: 0 },
  );
  const shown = Object.entries(profile.parts).filter(([, { seconds }]) => seconds >= 0.0005);
  const rows = [...shown, ["all", all] as const].map(
    ([name, { seconds, mainThread }]) =>
      `  ${name.padEnd(10)} ${seconds.toFixed(3).padStart(9)} ${mainThread.toFixed(3).padStart(12)} ${percent(mainThread, seconds).padStart(7)}`,
  );
  const saved = (what: string, ran: number, spared: number) =>
    `${what}: ${ran + spared} tokens, ${spared} of them shared (${percent(spared, ran + spared)})`;
  return [
    `${profile.iterations} iterations; seconds, and those in which JavaScript's main thread was at work`,
    `  ${"part".padEnd(10)} ${"wall".padStart(9)} ${"main thread".padStart(12)} ${"share".padStart(7)}`,
    ...rows,
    saved("prompts sampled from", profile.prefillTokens, profile.prefillTokensSaved),
    saved("rows trained on", profile.trainTokens, profile.trainTokensSaved),
  ].join("\n");
}
