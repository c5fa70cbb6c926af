/** `siri eval`: plays every task of a split once with a policy and prints success by task type with 95% Wilson intervals. */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Presets, SingleBar } from "cli-progress";
import { type Command, Option } from "commander";
import { template as templateByName } from "../agent/registry.js";
import { loadConfig } from "../config/load.js";
import type { Config } from "../config/schema.js";
import type { Task } from "../env/environment.js";
import { loadEnvironment } from "../env/registry.js";
import { SiriError } from "../errors.js";
import { MODEL_FILE } from "../onnx/export.js";
import { loadOnnxPolicy } from "../onnx/load.js";
import type { OnnxPolicy } from "../onnx/policy.js";
import { Policy } from "../policy/policy.js";
import { Tokenizer } from "../policy/tokenizer.js";
import { checkMade } from "../pretrain/recipe.js";
import { EnvironmentPool } from "../rl/environments.js";
import { type EvaluationResult, evaluate, type Rate } from "../rl/evaluate.js";
import { retrieve } from "../siri/retrieval.js";
import { SkillBank } from "../siri/skill-bank.js";
import { readSkillsFile } from "../siri/skills-file.js";
import { dataOverride, defaultConfig, deviceOverride, environmentConfig, numberFrom, withConfig, wholeNumber } from "./options.js";
import { stopOnSignals } from "./stop.js";

interface Options {
  readonly policy?: string;
  readonly config?: string;
  readonly set: readonly string[];
  readonly data?: string;
  readonly device?: string;
  readonly env?: string;
  readonly split?: string;
  readonly withSkills?: string;
  readonly temperature?: number;
  readonly seed?: number;
  readonly tasks?: number;
  readonly json?: boolean;
  readonly runtime?: Runtime;
}

/** What computes: this package's engine, or ONNX Runtime with what `siri export` made. */
const RUNTIMES = ["siri", "onnx"] as const;
type Runtime = (typeof RUNTIMES)[number];

export function register(program: Command): void {
  withConfig(program.command("eval"))
    .description("play every task of a split once with a policy; success by task type with 95% intervals")
    .option("-p, --policy <folder>", "policy to play, for example runs/NAME/final; default: the run file's base policy")
    .option("-e, --env <name>", "environment (household, alfworld, or a module's path); default: the run file's")
    .option("--split <name>", "split; default: the run file's, else the environment's first evaluation split")
    .option("--with-skills <file>", "show skills of a run's skills.jsonl in the prompt; default: none")
    .option("-t, --temperature <t>", "sampling temperature, 0 = greedy; default: evaluation.temperature", numberFrom(0))
    .option("--seed <n>", "another seed of the sampling; the default is the one training's evaluations use", wholeNumber(0))
    .option("--tasks <n>", "only the first so many tasks of the split; 0 = all", wholeNumber(0))
    .addOption(
      new Option("--runtime <name>", "onnx plays a folder of `siri export`, greedily, through onnxruntime-node")
        .choices(RUNTIMES)
        .default("siri"),
    )
    .option("--json", "print everything, every game included, as one JSON object")
    .addHelpText("after", "\nWithout --config, a policy inside a run's folder is played with that run's configuration.")
    .action(async (options: Options) => {
      const config = evalConfig(options);
      const result = await evaluatePolicy(config, options);
      console.log(options.json ? JSON.stringify(result, null, 1) : table(result));
    });
}

/**
 * The run file that fits: the one named, that of the run the policy lies in, or the default. In another environment than that file's, the
 * environment's own run file says how long episodes and prompts may be, and the first one how the policy reads and replies.
 */
export function evalConfig(options: Options): Config {
  const named = options.config ?? (options.policy === undefined ? undefined : runFileOf(options.policy));
  let file = named ?? defaultConfig();
  const set = [...options.set, ...dataOverride(options.data), ...deviceOverride(options.device)];
  const give = (key: string, value: string | number) => set.push(`${key}=${JSON.stringify(value)}`);
  const { environment, agent, model } = loadConfig({ file, set: options.set });
  if (options.env !== undefined && options.env !== environment.name) {
    const own = options.config === undefined ? environmentConfig(options.env) : undefined;
    if (own === undefined) {
      // Options and splits are those of another environment.
      give("environment.name", options.env);
      set.push("environment.options={}", "evaluation.split=null", ...dataOverride(options.data));
    } else {
      file = own;
      const isMade = existsSync(join(loadConfig({ file }).model.path, "config.json"));
      // What the user sets goes last and so holds.
      set.unshift(`agent.template=${agent.template}`, `agent.historyLength=${agent.historyLength}`);
      if (!isMade) set.unshift(`model.path=${JSON.stringify(model.path)}`);
    }
  }
  if (options.policy !== undefined) give("model.path", options.policy);
  if (options.temperature !== undefined) give("evaluation.temperature", options.temperature);
  if (options.tasks !== undefined) give("evaluation.tasks", options.tasks);
  if (options.split !== undefined) give("evaluation.split", options.split);
  return loadConfig({ file, set });
}

/** config.yaml of the run a policy's folder belongs to: runs/NAME/final, runs/NAME/checkpoints/step-N/policy; or that of an exported one. */
function runFileOf(policy: string): string | undefined {
  const own = join(policy, "config.yaml");
  if (existsSync(own) && existsSync(join(policy, MODEL_FILE))) return own;
  let folder = resolve(policy);
  for (let up = 0; up < 3; up++) {
    folder = dirname(folder);
    const file = join(folder, "config.yaml");
    if (existsSync(file) && existsSync(join(folder, "checkpoints"))) return file;
  }
  return undefined;
}

/** Plays the split of a configuration once, without skills unless a file of them is named. */
export async function evaluatePolicy(config: Config, options: Pick<Options, "withSkills" | "seed" | "runtime">): Promise<EvaluationResult> {
  const template = templateByName(config.agent.template);
  const bank =
    options.withSkills === undefined ? null : new SkillBank(config.bank, config.retrieval.exploration, readSkillsFile(options.withSkills));
  const module = await loadEnvironment(config.environment);
  const split = config.evaluation.split ?? module.evalSplits[0]!;
  if (!module.splits.includes(split)) {
    throw new SiriError(
      "CONFIG_SPLIT",
      `--split is ${split}; ${module.name} has the splits ${module.splits.join(", ")}. Name one of them.`,
    );
  }
  const taskSet = await module.tasks(split);
  for (const note of taskSet.notes ?? []) console.error(`note: ${note}`);
  checkMade(config.model.path);
  const tokenizer = await Tokenizer.load(config.model.path);
  const policy = await openPolicy(config, options.runtime ?? "siri");
  const environments = new EnvironmentPool(module);
  const stop = stopOnSignals("leaving the games", (text) => console.error(text));
  const bar = process.stderr.isTTY ? new SingleBar({ format: "{bar} {value}/{total} games" }, Presets.shades_classic) : null;
  try {
    const { maxSteps, historyLength, maxPromptTokens, maxResponseTokens } = config.agent;
    const { concurrency, environmentTimeout, retries } = config.rollout;
    bar?.start(taskSet.length, 0);
    return await evaluate({ policy, tokenizer, template, environments }, taskSet, {
      split,
      mode: bank === null ? "plain" : "with_skills",
      tasks: config.evaluation.tasks,
      temperature: config.evaluation.temperature,
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      rollout: {
        maxSteps,
        historyLength,
        maxPromptTokens,
        maxResponseTokens: maxResponseTokens ?? template.maxResponseTokens,
        concurrency,
        environmentTimeout,
        retries,
      },
      ...(bank === null
        ? {}
        : { skillsFor: (task: Task, sentence: string) => retrieve(bank, task, sentence, config.retrieval, "exploit") }),
      signal: stop.signal,
      onProgress: (done, total) => {
        bar?.setTotal(total);
        bar?.update(done);
      },
    });
  } finally {
    bar?.stop();
    stop.release();
    environments.close();
    await policy.close();
  }
}

function openPolicy({ model, evaluation }: Config, runtime: Runtime): Promise<Policy | OnnxPolicy> {
  const { path, device, threads, dtype, maxBatchTokens, kvCacheMiB } = model;
  const limit = threads === 0 ? {} : { threads };
  if (runtime === "siri") return Policy.load(path, { device, dtype, maxBatchTokens, kvCacheMiB, ...limit });
  if (evaluation.temperature !== 0) {
    throw new SiriError(
      "CONFIG_RUNTIME",
      `the temperature is ${evaluation.temperature}; a policy in ONNX Runtime replies greedily: add --temperature 0 (to the engine's evaluation, too, to compare).`,
    );
  }
  return loadOnnxPolicy(path, limit);
}

/** The result as people read it. */
export function table(result: EvaluationResult): string {
  const rows: [string, Rate][] = [...Object.entries(result.byType), ["all", result.success]];
  const width = Math.max(...rows.map(([name]) => name.length), "task type".length);
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`.padStart(6);
  const lines = rows.map(
    ([name, { n, rate, low, high }]) =>
      `${name.padEnd(width)}  ${String(n).padStart(5)}  ${percent(rate)}   [${percent(low)}, ${percent(high)}]`,
  );
  const mode = result.mode === "plain" ? "no skills in the prompt" : `skills shown in ${percent(result.shown).trim()} of the games`;
  return [
    `split ${result.split}, temperature ${result.temperature}, ${mode}`,
    `${"task type".padEnd(width)}  games  success  95% interval`,
    ...lines,
    `mean steps ${result.meanSteps.toFixed(1)}, score ${result.score.toFixed(3)}, replies that broke the format ${percent(result.malformed).trim()}, actions not on offer ${percent(result.inadmissible).trim()}`,
  ].join("\n");
}
