/**
 * From a configuration and a run's folder to the parts of a trainer: policy and base policy, tokenizer, template, environment, tasks,
 * skill writer. Opens and closes; decides nothing about training.
 */
import { join } from "node:path";
import { template as templateByName } from "../agent/registry.js";
import { type Config, iterationsOfAllPhases } from "../config/schema.js";
import type { EnvironmentModule } from "../env/environment.js";
import { loadEnvironment } from "../env/registry.js";
import { SiriError } from "../errors.js";
import { Policy } from "../policy/policy.js";
import { Tokenizer } from "../policy/tokenizer.js";
import { checkMade } from "../pretrain/recipe.js";
import { EnvironmentPool } from "../rl/environments.js";
import type { RunDirectory } from "../run/run-directory.js";
import { externalWriter } from "./external-writer.js";
import { checkMemory, memoryTable } from "./memory-table.js";
import { policyWriter } from "./mine.js";
import type { TrainerParts } from "./trainer.js";

/** File names inside a checkpoint. */
export const CHECKPOINT_POLICY = "policy";
export const CHECKPOINT_OPTIMISER = "optimiser.bin";

export interface Opened {
  readonly parts: TrainerParts;
  /** What a user may want to know: sizes, and a run too short for its phases. A sentence or two each. */
  readonly notes: readonly string[];
  close(): Promise<void>;
}

/** @throws SiriError of the part that cannot be opened; CONFIG_SPLIT for an unknown or empty split */
export async function openParts(config: Config, run: RunDirectory): Promise<Opened> {
  const checkpoint = run.latestCheckpoint();
  const template = templateByName(config.agent.template);
  const module = await loadEnvironment(config.environment);
  const evalSplit = config.evaluation.split ?? module.evalSplits[0]!;
  const trainTasks = await tasksOf(module, config.environment.trainSplit, "environment.trainSplit");
  const evalTasks = await tasksOf(module, evalSplit, "evaluation.split");
  checkMade(config.model.path);
  const tokenizer = await Tokenizer.load(config.model.path);

  const { device, threads, dtype, maxBatchTokens, kvCacheMiB } = config.model;
  const maxRowTokens = config.agent.maxPromptTokens + (config.agent.maxResponseTokens ?? template.maxResponseTokens);
  const { moments } = config.optimiser;
  const options = { device, dtype, moments, maxBatchTokens, maxRowTokens, kvCacheMiB, ...(threads === 0 ? {} : { threads }) };
  const available = process.availableMemory();
  const policies: Policy[] = [];
  const load = async (dir: string) => {
    const policy = await Policy.load(dir, options);
    policies.push(policy);
    return policy;
  };
  const close = async () => {
    for (const policy of policies) await policy.close();
  };
  try {
    const policy = await load(checkpoint ? join(checkpoint.dir, CHECKPOINT_POLICY) : config.model.path);
    if (checkpoint) await policy.loadOptimiser(join(checkpoint.dir, CHECKPOINT_OPTIMISER));
    const reference = config.update.klCoef > 0 ? await load(config.model.path) : null;
    if (!policy.device.startsWith("cuda")) checkMemory(policy.memory, reference?.memory ?? null, available);
    await policy.prepareTraining();
    const environments = new EnvironmentPool(module);
    const { url } = config.writer;
    const writer =
      config.mining.writer === "external" && url !== null
        ? externalWriter({
            endpoint: { ...config.writer, url },
            temperature: config.mining.temperature,
            maxTokens: config.mining.maxTokens,
          })
        : policyWriter({ policy, tokenizer }, config.mining, config.seed);
    const saved = checkpoint?.state ?? null;
    const wanted = iterationsOfAllPhases(config);
    const short =
      wanted > config.iterations
        ? [
            `The run has ${config.iterations} iterations and may end before its last phase: the phases before it may take ${wanted - 1} ` +
              "(warmup.maxIterations and mining.maxIterations).",
          ]
        : [];
    return {
      parts: { policy, reference, tokenizer, template, environments, writer, trainTasks, evalTasks, evalSplit, run, saved },
      notes: [
        `Policy: ${policy.parameters} parameters on ${policy.device}, ${policy.threads} threads, ${policy.dtype}. ` +
          `Tasks: ${trainTasks.length} to train on, ${evalTasks.length} of split ${evalSplit} to evaluate on.`,
        ...(trainTasks.notes ?? []),
        ...(evalTasks === trainTasks ? [] : (evalTasks.notes ?? [])),
        ...memoryTable(policy.memory, reference?.memory ?? null),
        ...short,
      ],
      close: async () => {
        environments.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function tasksOf(module: EnvironmentModule, split: string, key: string) {
  if (!module.splits.includes(split)) {
    throw new SiriError("CONFIG_SPLIT", `${key} is ${split}; ${module.name} has the splits ${module.splits.join(", ")}. Set one of them.`);
  }
  const tasks = await module.tasks(split);
  if (tasks.length === 0)
    throw new SiriError("CONFIG_SPLIT", `${key} is ${split}, which has no tasks in ${module.name}: is its data in place?`);
  return tasks;
}
