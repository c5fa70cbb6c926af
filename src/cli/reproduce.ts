/**
 * `siri reproduce`: GRPO, GiGPO and SIRI from the same base policy, at equal rollouts, over several seeds; then a page with the numbers
 * and a picture of the learning curves. Each run is an ordinary run's folder: what is finished is kept, what was interrupted is resumed.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { loadConfig } from "../config/load.js";
import type { Config, Method } from "../config/schema.js";
import { loadEnvironment } from "../env/registry.js";
import { elements, SafetensorsFile } from "../policy/safetensors.js";
import type { Baseline, Comparison } from "../report/markdown.js";
import { PUBLISHED } from "../report/published.js";
import { readRun } from "../report/results.js";
import { evaluatePolicy } from "./eval.js";
import { dataOverride, deviceOverride, withConfig, wholeNumber } from "./options.js";
import { PACKAGE_ROOT, packageFile, packageVersion } from "./package.js";
import { trainRun } from "./train.js";

interface Options {
  readonly env: string;
  readonly seeds: number;
  readonly config?: string;
  readonly set: readonly string[];
  readonly data?: string;
  readonly device?: string;
  readonly iterations?: number;
  readonly methods: readonly Method[];
  readonly out: string;
  readonly baseName: string;
  readonly baseline: readonly (readonly [name: string, folder: string])[];
}

const DEFAULT_BASE_NAME = "base policy";

/** Evaluations of a run whose run file asks for none on the way. */
const CURVE_POINTS = 7;

export function register(program: Command): void {
  withConfig(program.command("reproduce"))
    .description("compare GRPO, GiGPO and SIRI over several seeds; writes docs/results/ENV.md and ENV.svg")
    .requiredOption("--env <name>", "environment; names the runs and the page, and its run file is configs/ENV-tiny.yaml")
    .option("--seeds <n>", "number of seeds, counted from 0", wholeNumber(1), 5)
    .option("--iterations <n>", "iterations of every run, instead of the run file's", wholeNumber(1))
    .option("--methods <list>", "methods, separated by commas", readMethods, ["grpo", "gigpo", "siri"] as Method[])
    .option("--out <folder>", "where the page goes", "docs/results")
    .option("--base-name <name>", "what the table calls the policy that every run starts from", DEFAULT_BASE_NAME)
    .option("--baseline <name=folder>", "also play the policy in this folder, untrained; may be repeated", readBaseline, [])
    .action(reproduce);
}

function readMethods(text: string): Method[] {
  const known: readonly string[] = ["grpo", "gigpo", "siri"];
  const methods = text.split(",");
  const wrong = methods.find((method) => !known.includes(method));
  if (wrong !== undefined) throw new InvalidArgumentError(`There is no method "${wrong}": choose among ${known.join(", ")}.`);
  return [...new Set(methods)] as Method[];
}

function readBaseline(text: string, previous: Options["baseline"]): Options["baseline"] {
  const [name, folder] = [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)];
  if (!text.includes("=") || name === "" || folder === "") {
    throw new InvalidArgumentError(`Give a name for the table and a policy's folder, like "shipped policy=models/tiny", not "${text}".`);
  }
  return [...previous, [name, folder]];
}

async function reproduce(options: Options): Promise<void> {
  // First of all: a missing plotting library is better found before hours of training than after.
  const { learningCurves } = await import("../report/plot.js");
  const { comparisonPage } = await import("../report/markdown.js");

  const file = options.config ?? packageFile(`configs/${options.env}-tiny.yaml`);
  const seeds = Array.from({ length: options.seeds }, (_, seed) => seed);
  const configFor = (method: Method, seed: number): Config => {
    const iterations = options.iterations === undefined ? [] : [`iterations=${options.iterations}`];
    const set = [...options.set, ...dataOverride(options.data), ...deviceOverride(options.device), ...iterations, `method=${method}`];
    const name = `${options.env}-${method}-seed${seed}`;
    const config = loadConfig({ file, set, seed, name });
    if (config.evaluation.every > 0) return config;
    // A learning curve needs points.
    return loadConfig({ file, set: [...set, `evaluation.every=${Math.ceil(config.iterations / CURVE_POINTS)}`], seed, name });
  };
  // Every configuration is checked before the first run begins.
  const planned = options.methods.map((method) => ({ method, configs: seeds.map((seed) => configFor(method, seed)) }));
  const dirs = new Map<Config, string>();
  // Seed by seed, so that what is there after an interruption is a comparison already.
  for (const seed of seeds) {
    for (const { method, configs } of planned) {
      const config = configs[seed]!;
      console.log(`${method}, seed ${seed}:`);
      const { finished, dir } = await trainRun(config, existsSync(join(config.run.root, config.run.name)));
      if (!finished) {
        console.log("Stopped and saved. The same command goes on.");
        return;
      }
      dirs.set(config, dir);
    }
  }

  const first = planned[0]!.configs[0]!;
  const comparison: Comparison = {
    environment: options.env,
    seeds,
    methods: planned.map(({ method, configs }) => ({ method, runs: configs.map((config) => readRun(dirs.get(config)!)) })),
    iterations: first.iterations,
    episodes: first.iterations * first.rollout.groups * first.rollout.groupSize,
    split: first.evaluation.split ?? (await loadEnvironment(first.environment)).evalSplits[0]!,
    provenance: provenance(options, file, first),
    baseName: options.baseName,
    baselines: await playBaselines(options, first),
    published: PUBLISHED[options.env] ?? [],
    parameters: await parametersOf(first.model.path),
  };
  mkdirSync(options.out, { recursive: true });
  const page = join(options.out, `${options.env}.md`);
  writeFileSync(join(options.out, `${options.env}.svg`), `${learningCurves(comparison)}\n`);
  writeFileSync(page, comparisonPage(comparison, `${options.env}.svg`));
  console.log(`Done: ${page}`);
}

/** Each on the split and at the temperature of the runs' evaluations, with the same random numbers. */
async function playBaselines({ baseline }: Options, config: Config): Promise<Comparison["baselines"]> {
  const played: Baseline[] = [];
  for (const [name, path] of baseline) {
    console.log(`${name}:`);
    const { success, score } = await evaluatePolicy({ ...config, model: { ...config.model, path } }, {});
    played.push({ name, success, score });
  }
  return played;
}

/** Elements of all tensors of a Hugging Face folder with one weights file. */
async function parametersOf(folder: string): Promise<number> {
  const file = await SafetensorsFile.open(join(folder, "model.safetensors"));
  try {
    return [...file.entries.values()].reduce((sum, { shape }) => sum + elements(shape), 0);
  } finally {
    await file.close();
  }
}

/** What somebody else needs to make the same numbers. */
function provenance(options: Options, file: string, config: Config): Comparison["provenance"] {
  const flags = [`--env ${options.env}`, `--seeds ${options.seeds}`, `--methods ${options.methods.join(",")}`];
  if (options.config !== undefined) flags.push(`--config ${options.config}`);
  if (options.iterations !== undefined) flags.push(`--iterations ${options.iterations}`);
  for (const set of options.set) flags.push(`--set ${quoted(set)}`);
  if (options.baseName !== DEFAULT_BASE_NAME) flags.push(`--base-name ${quoted(options.baseName)}`);
  for (const [name, folder] of options.baseline) flags.push(`--baseline ${quoted(`${name}=${folder}`)}`);
  const weights = createHash("sha256")
    .update(readFileSync(join(config.model.path, "model.safetensors")))
    .digest("hex");
  return [
    ["command", `\`npm run reproduce -- ${flags.join(" ")}\``],
    ["run file", file],
    ["version", `${packageVersion()}, commit ${commit()}`],
    ["base policy", `model.safetensors, SHA-256 ${weights}`],
    [
      "machine",
      `${cpus()[0]?.model.trim() ?? "unknown processor"}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    ],
    ["software", `Node.js ${process.versions.node}, ${process.platform} ${process.arch}`],
    ["date", new Date().toISOString().slice(0, 10)],
  ];
}

/** For a shell. */
function quoted(text: string): string {
  return /^[\w.=/:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The commit of this clone, with a note when files but the results differ from it; "unknown" outside of one. */
function commit(): string {
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: PACKAGE_ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    const changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)docs/results") !== "";
    return git("rev-parse", "--short=12", "HEAD") + (changed ? " with local changes" : "");
  } catch {
    return "unknown";
  }
}
