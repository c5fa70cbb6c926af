/**
 * The training loop: rollouts, credit, update, next phase, evaluation, one line of metrics, checkpoint; again. All that an iteration
 * depends on is in the checkpoint of the one before it, and everything random is counted, so a run that was killed and resumed is the
 * run that never was. The phases have a file each; this one only puts them in order.
 */
import { join } from "node:path";
import type { Config } from "../config/schema.js";
import type { Task, TaskSet } from "../env/environment.js";
import type { PolicyHandle, PolicyStats } from "../policy/types.js";
import { isInvalid, stepAdvantages } from "../rl/advantage.js";
import { policyRows, stepRows, zeroVarianceShare } from "../rl/batch.js";
import { type EvaluationResult, evaluate } from "../rl/evaluate.js";
import { firstObservation, type RolloutParts, type RolloutSettings, rollout } from "../rl/rollout.js";
import { seedFor, taskIndex } from "../rl/seeds.js";
import { byGroup, type EpisodePlan, type Trajectory } from "../rl/trajectory.js";
import { optimise, type UpdateStatistics } from "../rl/update.js";
import type { JsonValue } from "../run/checkpoint.js";
import type { IterationSummary, Report } from "../run/progress.js";
import type { RunDirectory } from "../run/run-directory.js";
import { type Comparison, compareArms, seesSkills } from "./arms.js";
import { Clock } from "./clock.js";
import { type Internalisation, internalise, lambdaAt } from "./internalise.js";
import { firstState, type MachineState, minesBefore, nextState, pairsArms } from "./machine.js";
import {
  evaluationMetrics,
  internaliseMetrics,
  type MetricRecord,
  miningMetrics,
  rolloutMetrics,
  skillMetrics,
  successByType,
  updateMetrics,
} from "./metrics.js";
import { type MiningResult, mine, type SkillWriter } from "./mine.js";
import { CHECKPOINT_OPTIMISER, CHECKPOINT_POLICY, openParts } from "./open.js";
import { retrieve } from "./retrieval.js";
import { type BankState, SkillBank, type SkillEvent } from "./skill-bank.js";
import { readable } from "./transcript.js";
import { type BufferState, SuccessBuffer } from "./warmup.js";

/** What the loop needs of a run's folder; `RunDirectory` has it. */
export interface RunRecords {
  readonly dir: string;
  readonly metrics: { append(record: object): void };
  readonly skills: { append(record: object): void };
  readonly timings: { append(record: object): void };
  trajectory(name: string, data: string | object): Promise<void>;
  saveCheckpoint(step: number, writeFiles: (dir: string) => Promise<void>, state: JsonValue): Promise<void>;
  saveFinal(writeFiles: (dir: string) => Promise<void>): Promise<string>;
}

export interface TrainerParts extends RolloutParts {
  readonly policy: PolicyHandle;
  /** The frozen base policy; needed when update.klCoef > 0. */
  readonly reference: PolicyHandle | null;
  readonly writer: SkillWriter;
  readonly trainTasks: TaskSet;
  readonly evalTasks: TaskSet;
  readonly evalSplit: string;
  readonly run: RunRecords;
  /** State of the checkpoint that `policy` was loaded from; null for a new run. */
  readonly saved: JsonValue;
  readonly report?: Report | undefined;
  /** Asks for a stop after the iteration in progress, which is saved. */
  readonly signal?: AbortSignal | undefined;
}

/** The headline of an evaluation, kept for the summary. Iteration 0 is the base policy. */
export interface Headline {
  readonly iteration: number;
  /** Phase whose end this is; null in the middle of one. */
  readonly after: "start" | "warmup" | "end" | null;
  readonly mode: "plain" | "with_skills";
  readonly success: number;
  readonly low: number;
  readonly high: number;
  readonly tasks: number;
}

export interface TrainSummary {
  /** False when the run was asked to stop; it can be resumed. */
  readonly finished: boolean;
  readonly iteration: number;
  readonly dir: string;
  readonly evaluations: readonly Headline[];
  readonly split: string;
  /** Sampling temperature of the evaluations. */
  readonly temperature: number;
}

export interface TrainOptions {
  readonly config: Config;
  /** Opened with that configuration; its newest checkpoint, where it has one, is where the run goes on. */
  readonly run: RunDirectory;
  readonly report?: Report;
  /** Asks for a stop after the iteration in progress, which is saved. */
  readonly signal?: AbortSignal;
}

/** Trains from the base policy, or from the run's newest checkpoint, to the end. A new run whose parts cannot be opened leaves no folder. */
export async function train({ config, run, report, signal }: TrainOptions): Promise<TrainSummary> {
  const opened = await openParts(config, run).catch(async (error: unknown) => {
    await run.abandon();
    throw error;
  });
  try {
    for (const text of opened.notes) report?.({ kind: "note", level: "info", text });
    return await new Trainer(config, { ...opened.parts, report, signal }).run();
  } finally {
    await opened.close();
  }
}

/** Everything but weights, optimiser and random numbers (which are counted, not kept) that the next iteration depends on. */
interface SavedState {
  readonly iteration: number;
  readonly cursor: number;
  readonly machine: MachineState;
  readonly bank: BankState;
  readonly buffer: BufferState;
  readonly evaluations: readonly Headline[];
}

export class Trainer {
  readonly #config: Config;
  readonly #parts: TrainerParts;
  readonly #bank: SkillBank;
  readonly #buffer: SuccessBuffer;
  readonly #evaluations: Headline[];
  #machine: MachineState;
  #iteration: number;
  /** Training tasks drawn so far. */
  #cursor: number;

  constructor(config: Config, parts: TrainerParts) {
    this.#config = config;
    this.#parts = parts;
    const saved = parts.saved as unknown as SavedState | null;
    this.#iteration = saved?.iteration ?? 0;
    this.#cursor = saved?.cursor ?? 0;
    this.#machine = saved?.machine ?? firstState(config);
    this.#bank = new SkillBank(config.bank, config.retrieval.exploration, saved?.bank);
    this.#buffer = new SuccessBuffer(config.warmup.bufferSize, saved?.buffer);
    this.#evaluations = [...(saved?.evaluations ?? [])];
  }

  /** Runs to the end, or to the end of the iteration in which the signal asks to stop. */
  async run(): Promise<TrainSummary> {
    const { report, run, signal, policy } = this.#parts;
    const { iterations } = this.#config;
    report?.({ kind: "start", from: this.#iteration, iterations, phase: this.#machine.phase });
    if (this.#iteration === 0) await this.#begin();
    while (this.#iteration < iterations && !signal?.aborted) await this.#iterate();
    const finished = this.#iteration >= iterations;
    if (finished) await run.saveFinal((dir) => policy.save(dir));
    report?.({ kind: "end", finished, iteration: this.#iteration, dir: run.dir });
    return {
      finished,
      iteration: this.#iteration,
      dir: run.dir,
      evaluations: this.#evaluations,
      split: this.#parts.evalSplit,
      temperature: this.#config.evaluation.temperature,
    };
  }

  /** The base policy, before anything is learnt. */
  async #begin(): Promise<void> {
    if (!this.#config.evaluation.at.includes("start")) return;
    const record = await this.#evaluate(0, "start");
    this.#parts.run.metrics.append({ iteration: 0, phase: this.#machine.phase, ...record });
  }

  async #iterate(): Promise<void> {
    const { run, signal } = this.#parts;
    const iteration = this.#iteration + 1;
    const { phase } = this.#machine;
    const clock = new Clock();

    const before = this.#parts.policy.stats();
    const trajectories = await this.#play(iteration);
    const sampled = sampledSince(before, this.#parts.policy.stats());
    clock.lap("rollout");
    const { comparisons, events } = this.#credit(trajectories, iteration);
    this.#buffer.add(trajectories);
    const learnt = await this.#learn(trajectories, comparisons, iteration);
    clock.lap("update");

    const machine = this.#machine;
    this.#machine = nextState(
      machine,
      { iteration, solved: this.#buffer.solved, leastSolvedOfAType: this.#buffer.leastSolvedOfAType, active: this.#bank.count("active") },
      this.#config,
    );
    const last = iteration === this.#config.iterations;
    const mined = !last && minesBefore(this.#machine, iteration + 1, this.#config.mining) ? await this.#mine(iteration + 1) : null;
    if (mined) events.push(...mined.events);
    clock.lap("mining");
    this.#cursor += this.#config.rollout.groups;
    const moment = last ? "end" : machine.phase === "warmup" && this.#machine.phase !== "warmup" ? "warmup" : null;
    const evaluation = this.#evaluationIsDue(iteration, moment) ? await this.#evaluate(iteration, moment) : {};
    clock.lap("evaluation");

    for (const event of events) run.skills.append(event);
    run.metrics.append({
      iteration,
      phase,
      ...rolloutMetrics(trajectories),
      ...updateMetrics(learnt.advantages, learnt.statistics),
      ...(learnt.internal ? internaliseMetrics(learnt.internal, learnt.statistics.extraLoss) : {}),
      ...(pairsArms(phase) || mined ? skillMetrics(this.#bank, comparisons, events, this.#config.bank) : {}),
      ...(mined ? miningMetrics(mined) : {}),
      ...(this.#config.method === "siri" ? { "buffer/solved": this.#buffer.solved, "buffer/size": this.#buffer.successes.length } : {}),
      ...evaluation,
    });
    await this.#writeSamples(trajectories, iteration);
    this.#tell(iteration, phase, trajectories, learnt.statistics, clock, sampled);
    if (last || signal?.aborted || iteration % this.#config.run.checkpointEvery === 0) await this.#save(iteration);
    this.#iteration = iteration;
    if (this.#machine.phase !== phase) this.#parts.report?.({ kind: "phase", phase: this.#machine.phase, iteration: iteration + 1 });
  }

  /** Rollouts of one iteration: the next tasks, each with a whole group, half of which may see skills. */
  async #play(iteration: number): Promise<Trajectory[]> {
    const { rollout: settings, seed, arms } = this.#config;
    const { trainTasks } = this.#parts;
    const plans: EpisodePlan[] = [];
    for (let group = 0; group < settings.groups; group++) {
      const task = trainTasks.at(taskIndex(seed, this.#cursor + group, trainTasks.length));
      const skills = await this.#skillsFor(task);
      for (let member = 0; member < settings.groupSize; member++) {
        const shown = skills.length > 0 && seesSkills(member, settings.groupSize, arms);
        plans.push({ iteration, group, member, task, skills: shown ? skills : [] });
      }
    }
    return rollout(this.#parts, plans, {
      ...this.#rolloutSettings(),
      temperature: settings.temperature,
      seed: (plan, step) => seedFor("rollout", seed, plan.iteration, plan.group, plan.member, step),
      keepPlainPrompts: this.#machine.phase === "internalise",
      includeTags: this.#config.internalise.includeTags,
      onProgress: (done, total) => this.#parts.report?.({ kind: "activity", doing: "rollout", done, total }),
    });
  }

  async #skillsFor(task: Task) {
    if (!pairsArms(this.#machine.phase) || this.#bank.live().length === 0) return [];
    const first = await firstObservation(this.#parts, task, this.#config.rollout.environmentTimeout);
    const mode = this.#machine.phase === "internalise" ? "prefer-active" : "explore";
    return retrieve(this.#bank, task, first.task, this.#config.retrieval, mode);
  }

  /** Paired differences of the groups, credited to the skills that were shown. */
  #credit(trajectories: readonly Trajectory[], iteration: number): { comparisons: Comparison[]; events: SkillEvent[] } {
    const comparisons: Comparison[] = [];
    const events: SkillEvent[] = [];
    for (const group of byGroup(trajectories)) {
      const comparison = compareArms(group, this.#config.bank.deltaScale);
      if (!comparison) continue;
      comparisons.push(comparison);
      events.push({ event: "compared", iteration, ...comparison });
      events.push(...this.#bank.evaluate(comparison.skills, comparison.delta, iteration));
    }
    return { comparisons, events };
  }

  async #learn(
    trajectories: readonly Trajectory[],
    comparisons: readonly Comparison[],
    iteration: number,
  ): Promise<{ advantages: Float64Array; statistics: UpdateStatistics; internal: Internalisation | null }> {
    const config = this.#config;
    const { temperature } = config.rollout;
    const rows = stepRows(trajectories);
    const advantages = stepAdvantages(trajectories, { advantage: config.advantage, method: config.method, invalid: config.agent.invalid });
    const internal =
      this.#machine.k0 === null
        ? null
        : internalise({
            rows,
            advantages,
            deltas: new Map(comparisons.map(({ group, delta }) => [group, delta])),
            bank: this.#bank,
            lambda: lambdaAt(iteration, this.#machine.k0, config.internalise),
            temperature,
            isInvalid: (step) => isInvalid(step, config.agent.invalid),
            settings: config.internalise,
          });
    const { clipLow, clipHigh, dualClip, klCoef, entropyCoef, aggregation, miniBatchRows, epochs, shuffle } = config.update;
    const statistics = await optimise(
      this.#parts.policy,
      this.#parts.reference,
      policyRows(rows, advantages, temperature),
      internal && internal.lambda > 0 && internal.rows > 0 ? internal.loss : null,
      {
        miniBatchRows,
        epochs,
        shuffle,
        loss: { clipLow, clipHigh, dualClip, klCoef, entropyCoef, aggregation },
        optimiser: config.optimiser,
        seed: (epoch) => seedFor("shuffle", config.seed, iteration, epoch),
        onProgress: (done, total) => this.#parts.report?.({ kind: "activity", doing: "update", done, total }),
      },
    );
    return { advantages, statistics, internal };
  }

  /** Skills for the rollouts of `iteration`, by the policy as it stands now. */
  #mine(iteration: number): Promise<MiningResult> {
    const { writer, template } = this.#parts;
    return mine(writer, template, this.#buffer, this.#bank, iteration, this.#config.mining);
  }

  #evaluationIsDue(iteration: number, moment: Headline["after"]): boolean {
    const { at, every } = this.#config.evaluation;
    if (moment === "end" && at.includes("end")) return true;
    if (moment === "warmup" && at.includes("after-warmup")) return true;
    return every > 0 && iteration % every === 0;
  }

  /**
   * Plays the evaluation split: plain, which counts, and with the bank's skills, where it has any. At the end the base policy plays it
   * with those skills, too (it had none of its own at the start): what the skills are worth to a policy that has learnt nothing.
   */
  async #evaluate(iteration: number, after: Headline["after"]): Promise<MetricRecord> {
    const plain = await this.#playSplit(iteration, after, "plain", this.#parts.policy);
    const record = evaluationMetrics(plain);
    if (!this.#config.evaluation.withSkills || this.#bank.live().length === 0) return record;
    Object.assign(record, evaluationMetrics(await this.#playSplit(iteration, after, "with_skills", this.#parts.policy)));
    const { reference } = this.#parts;
    if (after !== "end" || reference === null) return record;
    const base = await this.#playSplit(0, "start", "with_skills", reference);
    return Object.assign(record, evaluationMetrics(base, "base_with_skills"));
  }

  async #playSplit(iteration: number, after: Headline["after"], mode: Headline["mode"], policy: PolicyHandle): Promise<EvaluationResult> {
    const { evaluation, retrieval } = this.#config;
    const { evalTasks, evalSplit, report, run } = this.#parts;
    const result = await evaluate({ ...this.#parts, policy }, evalTasks, {
      split: evalSplit,
      mode,
      tasks: evaluation.tasks,
      temperature: evaluation.temperature,
      rollout: this.#rolloutSettings(),
      ...(mode === "with_skills"
        ? { skillsFor: (task: Task, sentence: string) => retrieve(this.#bank, task, sentence, retrieval, "exploit") }
        : {}),
      onProgress: (done, total) => report?.({ kind: "activity", doing: `evaluation, ${mode.replace("_", " ")}`, done, total }),
    });
    const { rate: success, low, high, n: tasks } = result.success;
    this.#evaluations.push({ iteration, after, mode, success, low, high, tasks });
    await run.trajectory(`evaluation/iteration-${padded(iteration)}-${mode}.json`, result);
    const byType = Object.fromEntries(Object.entries(result.byType).map(([type, { rate }]) => [type, rate]));
    report?.({ kind: "evaluation", iteration, split: evalSplit, mode, success, tasks, successByType: byType });
    return result;
  }

  #rolloutSettings(): Pick<
    RolloutSettings,
    "maxSteps" | "historyLength" | "maxPromptTokens" | "maxResponseTokens" | "concurrency" | "environmentTimeout" | "retries"
  > {
    const { agent, rollout: settings } = this.#config;
    return {
      maxSteps: agent.maxSteps,
      historyLength: agent.historyLength,
      maxPromptTokens: agent.maxPromptTokens,
      maxResponseTokens: agent.maxResponseTokens ?? this.#parts.template.maxResponseTokens,
      concurrency: settings.concurrency,
      environmentTimeout: settings.environmentTimeout,
      retries: settings.retries,
    };
  }

  async #writeSamples(trajectories: readonly Trajectory[], iteration: number): Promise<void> {
    for (const trajectory of trajectories.slice(0, this.#config.run.trajectories)) {
      const { group, member } = trajectory.plan;
      await this.#parts.run.trajectory(`iteration-${padded(iteration)}/group-${group}-member-${member}.txt`, readable(trajectory));
    }
  }

  #tell(
    iteration: number,
    phase: string,
    trajectories: readonly Trajectory[],
    statistics: UpdateStatistics,
    clock: Clock,
    prefill: ReturnType<typeof sampledSince>,
  ): void {
    const { run, report } = this.#parts;
    const sampled = trajectories.reduce(
      (sum, { steps }) => sum + steps.reduce((n, step) => n + step.prompt.length + step.response.length, 0),
      0,
    );
    const busy = (clock.seconds.rollout ?? 0) + (clock.seconds.update ?? 0);
    const tokensPerSecond = busy > 0 ? (sampled + statistics.totalTokens + statistics.savedTokens) / busy : 0;
    run.timings.append({ iteration, seconds: clock.seconds, mainThread: clock.mainThread, tokensPerSecond, ...prefill });
    const won = trajectories.filter(({ success }) => success).length;
    const summary: IterationSummary = {
      success: won / trajectories.length,
      successByType: successByType(trajectories),
      reward: trajectories.reduce((sum, { reward }) => sum + reward, 0) / trajectories.length,
      ...(statistics.kl === null ? {} : { kl: statistics.kl }),
      clipFraction: statistics.clipFraction,
      entropy: statistics.entropy,
      zeroVarianceGroups: zeroVarianceShare(byGroup(trajectories)),
      tokensPerSecond,
      ...(this.#config.method === "siri" ? { skills: this.#bank.live().length } : {}),
    };
    report?.({ kind: "iteration", iteration, iterations: this.#config.iterations, phase, seconds: clock.total(), summary });
  }

  async #save(iteration: number): Promise<void> {
    const { policy, run, report } = this.#parts;
    const state: SavedState = {
      iteration,
      cursor: this.#cursor,
      machine: this.#machine,
      bank: this.#bank.state(),
      buffer: this.#buffer.state(),
      evaluations: this.#evaluations,
    };
    await run.saveCheckpoint(
      iteration,
      async (dir) => {
        await policy.save(join(dir, CHECKPOINT_POLICY), { dtype: "float32" });
        await policy.saveOptimiser(join(dir, CHECKPOINT_OPTIMISER));
      },
      JSON.parse(JSON.stringify(state)) as JsonValue,
    );
    report?.({ kind: "checkpoint", step: iteration, dir: join(run.dir, "checkpoints", `step-${iteration}`) });
  }
}

/** Prompt tokens of the rollouts: run through the model, and found in its cache, which depends on the order in which replies ended. */
function sampledSince(before: PolicyStats, now: PolicyStats) {
  return {
    prefillTokens: now.prefillTokens - before.prefillTokens,
    prefillTokensSaved: now.prefillTokensSaved - before.prefillTokensSaved,
  };
}

function padded(iteration: number): string {
  return String(iteration).padStart(4, "0");
}
