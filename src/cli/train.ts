/** `siri train`: a run file, overrides and a run's folder in; all phases of the training out. The trainer itself is siri/trainer.ts. */
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import type { Command } from "commander";
import { configForFolder, loadConfig } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { type Difference, RunDirectory } from "../run/run-directory.js";
import { train } from "../siri/trainer.js";
import { dataOverride, defaultConfig, deviceOverride, withConfig, wholeNumber } from "./options.js";
import { stopOnSignals } from "./stop.js";
import { evaluationTable } from "./view/evaluations.js";
import { lineView } from "./view/lines.js";
import { TerminalView } from "./view/terminal.js";

interface Options {
  readonly config?: string;
  readonly set: readonly string[];
  readonly data?: string;
  readonly device?: string;
  readonly seed?: number;
  readonly name?: string;
  readonly resume?: boolean;
}

export function register(program: Command): void {
  withConfig(program.command("train"))
    .description("train a policy through all phases; leaves everything in runs/NAME")
    .option("--seed <n>", "seed of everything random", wholeNumber(0))
    .option("-n, --name <name>", "name of the run and of its folder")
    .option("-r, --resume", "go on with the run of that name where it was interrupted")
    .action(async (options: Options) => {
      const config = trainConfig(options);
      const { finished, dir } = await trainRun(config, options.resume ?? false);
      const name = relative(process.cwd(), dir) || dir;
      if (finished) console.log(`Done. The policy is in ${join(name, "final")}, the numbers in ${join(name, "metrics.jsonl")}.`);
      else console.log(`Stopped and saved. Go on with: ${resumeCommand(options, config)}`);
    });
}

/**
 * The configuration of a run. A run that is resumed without `--config` takes the one in its own folder, so that only its name is needed.
 */
export function trainConfig(options: Options): Config {
  const set = [...options.set, ...dataOverride(options.data), ...deviceOverride(options.device)];
  const overrides = { set, ...(options.seed === undefined ? {} : { seed: options.seed }) };
  const named = options.name === undefined ? {} : { name: options.name };
  if (options.resume && options.config === undefined) {
    // Where the run lies is said by the run section alone; the other overrides may only fit its own configuration.
    const place = options.set.filter((text) => text.startsWith("run."));
    const { root, name } = loadConfig({ file: defaultConfig(), set: place, ...named }).run;
    const stored = join(root, name, "config.yaml");
    if (existsSync(stored)) {
      return loadConfig({ file: stored, ...overrides, set: [`run.root=${JSON.stringify(root)}`, ...set], name });
    }
  }
  return loadConfig({ file: options.config ?? defaultConfig(), ...overrides, ...named });
}

/** Runs a training in its folder, shows it, and stops on Ctrl-C after the iteration. */
export async function trainRun(config: Config, resume: boolean): Promise<{ finished: boolean; dir: string }> {
  const { root, name, keepLast, keepEvery } = config.run;
  const run = await RunDirectory.open({
    root,
    name,
    config: configForFolder(config, join(root, name)),
    resume,
    mayDiffer: mayDifferOnResume,
    retention: { keepLast, keepEvery },
  });
  const terminal = process.stdout.isTTY ? new TerminalView(process.stdout) : null;
  const report = terminal?.report ?? lineView(console.log);
  const tell = (text: string) => report({ kind: "note", level: "info", text });
  const stop = stopOnSignals("finishing the iteration and saving", tell, () => terminal?.close());
  try {
    const done = run.latestCheckpoint()?.step ?? 0;
    if (run.finished && done >= config.iterations) {
      tell(`The run ${name} is finished: all ${done} iterations are done.`);
      return { finished: true, dir: run.dir };
    }
    for (const text of run.notes) report({ kind: "note", level: "warning", text });
    const result = await train({ config, run, signal: stop.signal, report });
    for (const text of evaluationTable(result)) tell(text);
    return { finished: result.finished, dir: run.dir };
  } finally {
    stop.release();
    terminal?.close();
    run.close();
  }
}

/** Keys that change what is watched or how fast it goes, not what is learnt; and a longer run. */
function mayDifferOnResume({ key, stored, given }: Difference): boolean {
  if (key === "iterations") return typeof stored === "number" && typeof given === "number" && given > stored;
  const free = [
    "run",
    "evaluation",
    "model.device",
    "model.threads",
    "model.kvCacheMiB",
    "rollout.concurrency",
    "rollout.environmentTimeout",
    "rollout.retries",
    "environment.options.data",
  ];
  const endpoint = ["writer.url", "writer.apiKeyEnv", "writer.timeout", "writer.retries"];
  return [...free, ...endpoint].some((name) => key === name || key.startsWith(`${name}.`));
}

function resumeCommand(options: Options, config: Config): string {
  const set = options.set.filter((text) => text.startsWith("run.root=")).map((text) => ` --set ${text}`);
  return `npm run train -- --resume --name ${config.run.name}${set.join("")}`;
}
