/** The whole loop on the fake world: all phases, and a run that is killed anywhere and resumed. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { corridor, FakePolicy, fakeParts } from "../../test/support/fakes.js";
import { type Config, type ConfigInput, configSchema } from "../config/schema.js";
import { RunDirectory } from "../run/run-directory.js";
import type { ProgressEvent } from "../run/progress.js";
import { METRICS } from "./metrics.js";
import { policyWriter } from "./mine.js";
import { CHECKPOINT_OPTIMISER, CHECKPOINT_POLICY } from "./open.js";
import { Trainer, type TrainSummary } from "./trainer.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "siri-trainer-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const settings: ConfigInput = {
  environment: { name: "corridor" },
  model: { path: "none" },
  iterations: 10,
  rollout: { groups: 4, groupSize: 4 },
  agent: { maxSteps: 6 },
  advantage: { normalisation: "mean_norm", scale: 0.2 },
  update: { miniBatchRows: 24, klCoef: 0.01 },
  optimiser: { lr: 0.3 },
  warmup: { successes: 6, maxIterations: 3 },
  mining: { interval: 2, trajectories: 3, maxTokens: 80, minActive: 1, minIterations: 2, maxIterations: 3 },
  bank: { minEvaluations: 1, promoteAbove: -1 },
  internalise: { lambdaMax: 1, rampIterations: 2, gateUtility: false },
  evaluation: { temperature: 1, every: 0 },
};

function configOf(change: ConfigInput | Record<string, unknown> = {}): Config {
  return configSchema.parse({ ...settings, ...change });
}

interface Options {
  readonly resume?: boolean;
  readonly report?: (event: ProgressEvent) => void;
  readonly signal?: AbortSignal;
  /** Breaks the run off when the policy is asked for its n-th reply. */
  readonly dieAt?: number;
  /** Milliseconds each reply is held back by, at random. */
  readonly jitter?: number;
}

async function runOnce(
  config: Config,
  name: string,
  options: Options = {},
): Promise<{ summary: TrainSummary; policy: FakePolicy; dir: string }> {
  const run = await RunDirectory.open({ root, name, config, resume: options.resume ?? false });
  try {
    const checkpoint = run.latestCheckpoint();
    const policy = checkpoint
      ? await FakePolicy.load(join(checkpoint.dir, CHECKPOINT_POLICY), join(checkpoint.dir, CHECKPOINT_OPTIMISER))
      : new FakePolicy();
    let calls = 0;
    policy.before = async () => {
      if (++calls === options.dieAt) throw new Error("killed");
      if (options.jitter) await new Promise((resolve) => setTimeout(resolve, Math.random() * options.jitter!));
    };
    const module = corridor();
    const parts = fakeParts(policy, module);
    const trainer = new Trainer(config, {
      ...parts,
      reference: new FakePolicy(),
      writer: policyWriter(parts, config.mining, config.seed),
      trainTasks: await module.tasks("train"),
      evalTasks: await module.tasks("held-out"),
      evalSplit: "held-out",
      run,
      saved: checkpoint?.state ?? null,
      report: options.report,
      signal: options.signal,
    });
    return { summary: await trainer.run(), policy, dir: run.dir };
  } finally {
    run.close();
  }
}

async function leftBy(dir: string): Promise<Record<string, string>> {
  const files = ["metrics.jsonl", "skills.jsonl", "final/weights.json"];
  const trajectories = (await readdir(join(dir, "trajectories"), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .sort();
  const all = [...files, ...trajectories];
  return Object.fromEntries(await Promise.all(all.map(async (file) => [file, await readFile(join(dir, file), "utf8")] as const)));
}

type Line = Record<string, number | string>;
const lines = (text: string): Line[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("Trainer", () => {
  it("goes through all phases, learns, and internalises what the skills brought", async () => {
    const { summary, dir, policy } = await runOnce(configOf(), "whole");
    const left = await leftBy(dir);
    const metrics = lines(left["metrics.jsonl"]!);
    expect(metrics.map(({ iteration }) => iteration)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const phases = metrics.slice(1).map(({ phase }) => phase);
    expect([...new Set(phases)]).toEqual(["warmup", "mining", "internalise"]);
    expect(summary.finished).toBe(true);
    expect(policy.weights.plain).toBeGreaterThan(0.5);
    const last = metrics.at(-1)!;
    expect(last["eval/plain/success"]).toBeGreaterThan(metrics[0]!["eval/plain/success"] as number);
    expect(last["internalise/tokens"]).toBeGreaterThan(0);
    expect(last["internalise/lambda"]).toBe(1);
    // Evaluated as the base, after warm-up with skills just mined, and at the end.
    const evaluated = metrics.filter((line) => "eval/plain/success" in line).map(({ iteration }) => iteration);
    expect(evaluated).toEqual([0, phases.indexOf("mining"), 10]);
    expect("eval/with_skills/success" in metrics[0]!).toBe(false);
    expect(metrics[phases.indexOf("mining")]!["eval/with_skills/shown"]).toBeGreaterThan(0);
    expect(summary.evaluations.filter(({ mode }) => mode === "plain").map(({ after }) => after)).toEqual(["start", "warmup", "end"]);
    // The base had no skills at the start: it plays with the final ones at the end.
    expect(summary.evaluations.at(-1)).toMatchObject({ iteration: 0, mode: "with_skills", success: last["eval/base_with_skills/success"] });
    const events = lines(left["skills.jsonl"]!).map(({ event }) => event);
    expect([...new Set(events)].sort()).toEqual(["compared", "dropped", "evaluated", "mined", "promoted"]);
  });

  it("writes documented names only, and nothing a clock decides", async () => {
    const { dir } = await runOnce(configOf(), "names");
    const metrics = lines(await readFile(join(dir, "metrics.jsonl"), "utf8"));
    const patterns = Object.keys(METRICS).map(
      (name) =>
        new RegExp(`^${name.replaceAll("/", "\\/").replace("<mode>", "(plain|with_skills|base_with_skills)").replace("<type>", "\\w+")}$`),
    );
    const names = new Set(metrics.flatMap((line) => Object.keys(line)));
    expect([...names].filter((name) => !patterns.some((pattern) => pattern.test(name)))).toEqual([]);
    const unused = patterns.filter((pattern) => ![...names].some((name) => pattern.test(name)));
    expect(unused).toEqual([]);
    for (const line of metrics) for (const value of Object.values(line)) expect(value).not.toBeNull();
  });

  it("is the same run whatever arrives first", async () => {
    const one = await runOnce(configOf(), "quiet");
    const two = await runOnce(configOf(), "jitter", { jitter: 2 });
    expect(await leftBy(two.dir)).toEqual(await leftBy(one.dir));
    const other = await runOnce(configOf({ seed: 1 }), "other");
    expect(await leftBy(other.dir)).not.toEqual(await leftBy(one.dir));
  });

  it("leaves the same bytes when it is killed again and again", async () => {
    for (const every of [1, 3]) {
      const config = configOf({ run: { checkpointEvery: every } });
      const expected = await leftBy((await runOnce(config, `never-${every}`)).dir);
      let deaths = 0;
      for (let dieAt = 50; ; dieAt += 67) {
        try {
          const { dir } = await runOnce(config, `killed-${every}`, { resume: deaths > 0, dieAt });
          expect(await leftBy(dir)).toEqual(expected);
          break;
        } catch (error) {
          expect((error as Error).message).toBe("killed");
          deaths++;
        }
      }
      expect(deaths).toBeGreaterThan(2);
    }
  });

  it("finishes the iteration when it is asked to stop, and goes on from there", async () => {
    const expected = await leftBy((await runOnce(configOf(), "straight")).dir);
    const stop = new AbortController();
    const config = configOf({ run: { checkpointEvery: 5 } });
    const report = (event: ProgressEvent) => {
      if (event.kind === "activity" && event.doing === "update") stop.abort();
    };
    const { summary } = await runOnce(config, "stopped", { signal: stop.signal, report });
    expect(summary).toMatchObject({ finished: false, iteration: 1 });
    const resumed = await runOnce(config, "stopped", { resume: true });
    expect(resumed.summary.finished).toBe(true);
    expect(await leftBy(resumed.dir)).toEqual(expected);
  });

  it("does nothing more to a finished run", async () => {
    const { dir, summary } = await runOnce(configOf(), "done");
    const before = await leftBy(dir);
    const again = await runOnce(configOf(), "done", { resume: true });
    expect(again.summary).toEqual(summary);
    expect(await leftBy(dir)).toEqual(before);
  });

  it("reports what it does", async () => {
    const events: ProgressEvent[] = [];
    await runOnce(configOf(), "told", { report: (event) => events.push(event) });
    expect(events[0]).toEqual({ kind: "start", from: 0, iterations: 10, phase: "warmup" });
    expect(events.at(-1)).toMatchObject({ kind: "end", finished: true, iteration: 10 });
    expect(events.filter(({ kind }) => kind === "iteration")).toHaveLength(10);
    expect(events.filter(({ kind }) => kind === "checkpoint")).toHaveLength(10);
    expect(events.flatMap((event) => (event.kind === "phase" ? [event.phase] : []))).toEqual(["mining", "internalise"]);
    const doing = new Set(events.flatMap((event) => (event.kind === "activity" ? [event.doing] : [])));
    expect([...doing].sort()).toEqual(["evaluation, plain", "evaluation, with skills", "rollout", "update"]);
  });

  describe("baselines and ablations by configuration alone", () => {
    const phasesOf = async (name: string, change: Record<string, unknown>) => {
      const { dir } = await runOnce(configOf(change), name);
      return lines(await readFile(join(dir, "metrics.jsonl"), "utf8")).slice(1);
    };

    it.each(["grpo", "gigpo"])("%s mines nothing and shows nothing", async (method) => {
      const metrics = await phasesOf(method, { method });
      expect(new Set(metrics.map(({ phase }) => phase))).toEqual(new Set(["rl"]));
      for (const line of metrics) expect(Object.keys(line).filter((key) => /skill|mining|internalise|buffer/.test(key))).toEqual([]);
    });

    it("no warm-up", async () => {
      const metrics = await phasesOf("no-warmup", { warmup: { enabled: false }, mining: { ...settings.mining, maxIterations: 5 } });
      expect(metrics[0]!.phase).toBe("mining");
      expect(metrics.some((line) => (line["mining/mined"] as number) > 0)).toBe(true);
    });

    it("skills stay in the prompt", async () => {
      const metrics = await phasesOf("kept", { internalise: { enabled: false } });
      expect(metrics.at(-1)!.phase).toBe("mining");
      expect(metrics.at(-1)!).toHaveProperty("eval/with_skills/success");
      expect(metrics.some((line) => "internalise/lambda" in line)).toBe(false);
    });

    it("no validation", async () => {
      const metrics = await phasesOf("unproved", { bank: { validate: false } });
      expect(metrics.some((line) => (line["skills/active"] as number) > 0)).toBe(true);
      for (const line of metrics) expect(line["skills/candidate"] ?? 0).toBe(0);
    });

    it("no gate", async () => {
      const metrics = await phasesOf("open", { internalise: { ...settings.internalise, gateActive: false } });
      expect(metrics.at(-1)!["internalise/gated"]).toBe(1);
    });
  });
});
