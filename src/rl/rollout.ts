/**
 * Rollouts as plain async functions: prompt, sample, parse, step, until the episode ends. Hundreds run at once; the engine batches their
 * tokens, a slow environment delays nobody else. Knows no environment by name, no loss and no phase.
 */
import { setMaxListeners } from "node:events";
import type { AgentTemplate, ChatMessage, Episode } from "../agent/agent.js";
import { type Environment, type Observation, offers, type Task } from "../env/environment.js";
import { SiriError } from "../errors.js";
import type { Sampler } from "../policy/types.js";
import { type EnvironmentPool, within } from "./environments.js";
import { MemoryQueue } from "./queue.js";
import type { EpisodePlan, Step, Trajectory } from "./trajectory.js";

/** What a rollout needs of a tokenizer; `Tokenizer` of policy/ has it. */
export interface RolloutTokenizer {
  /** Messages in the model's chat form, with the opening of the reply. */
  chat(messages: readonly ChatMessage[]): Int32Array;
  decode(tokens: Int32Array, options: { readonly skipSpecial: boolean }): string;
  /** 1 for each token that holds at least one character of [start, end) of the decoded reply, else 0. */
  actionMask(tokens: Int32Array, span: readonly [number, number] | null, options: { readonly includeTags: boolean }): Float32Array;
  /** Tokens that end a reply. */
  readonly eosTokens: readonly number[];
}

export interface RolloutParts {
  readonly policy: Sampler;
  readonly tokenizer: RolloutTokenizer;
  readonly template: AgentTemplate;
  readonly environments: EnvironmentPool;
}

export interface RolloutSettings {
  readonly maxSteps: number;
  readonly historyLength: number;
  /** Tokens; a longer prompt loses its history, then the run stops. */
  readonly maxPromptTokens: number;
  readonly maxResponseTokens: number;
  readonly temperature: number;
  /** Episodes at once; 0 = all. */
  readonly concurrency: number;
  /** Seconds; 0 = no limit. */
  readonly environmentTimeout: number;
  readonly retries: number;
  /** The sampling seed of a step. A function of names, never of order. */
  readonly seed: (plan: EpisodePlan, step: number) => bigint;
  /** Also build the prompt without skills, and the mask of the action, where skills are shown. */
  readonly keepPlainPrompts: boolean;
  /** The action mask covers the tags, too. */
  readonly includeTags: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Plays every plan once and returns the trajectories in `byName` order.
 * @throws SiriError ROLLOUT_FAILED, PROMPT_TOO_LONG, GROUP_DIFFERS
 */
export async function rollout(parts: RolloutParts, plans: readonly EpisodePlan[], settings: RolloutSettings): Promise<Trajectory[]> {
  // Workers live in this process: one that is silent is waiting, not gone, so leases do not run out.
  const queue = new MemoryQueue<EpisodePlan, Trajectory>({ retries: settings.retries, leaseMilliseconds: Number.POSITIVE_INFINITY });
  await queue.publish(plans);
  const stop = new AbortController();
  const signal = settings.signal ? AbortSignal.any([settings.signal, stop.signal]) : stop.signal;
  setMaxListeners(0, signal); // one for every reply in progress

  const worker = async () => {
    for (let lease = await queue.lease(); lease !== null; lease = await queue.lease()) {
      signal.throwIfAborted();
      const environment = await parts.environments.take();
      try {
        const trajectory = await playEpisode(parts, environment, lease.job, settings, signal);
        parts.environments.give(environment);
        await queue.complete(lease, trajectory);
        settings.onProgress?.(queue.finished, queue.size);
      } catch (error) {
        environment.close?.();
        // Only what the world did can go better another time: the rest would fail again in the same way.
        if (!(error instanceof EnvironmentFailure)) throw error;
        await queue.fail(lease, error.cause);
      }
    }
  };
  const workers = Math.min(plans.length, settings.concurrency === 0 ? plans.length : settings.concurrency);
  const running = Array.from({ length: workers }, () =>
    worker().catch((error: unknown) => {
      if (!stop.signal.aborted) stop.abort(error);
    }),
  );
  await Promise.all(running);
  if (stop.signal.aborted) throw stop.signal.reason;
  const trajectories = queue.results();
  requireEqualStarts(trajectories);
  return trajectories;
}

/** The first observation of a task: what skills are retrieved by before any episode begins. */
export async function firstObservation(parts: RolloutParts, task: Task, timeout: number): Promise<Observation> {
  const environment = await parts.environments.take();
  const first = await within(environment.reset(task), timeout, `Environment reset of task ${task.id}`);
  parts.environments.give(environment);
  return first;
}

/** Something an environment did wrong, as opposed to the policy, the prompt or the caller. */
class EnvironmentFailure extends Error {}

/** Plays one episode. The environment is left as it stands at the end. */
export async function playEpisode(
  parts: RolloutParts,
  environment: Environment,
  plan: EpisodePlan,
  settings: RolloutSettings,
  signal?: AbortSignal,
): Promise<Trajectory> {
  const { policy, tokenizer, template } = parts;
  const ask = async <T>(doing: string, call: () => T | Promise<T>): Promise<T> => {
    try {
      return await within(call(), settings.environmentTimeout, `Environment ${doing} of task ${plan.task.id}`);
    } catch (error) {
      throw new EnvironmentFailure(`${doing} failed`, { cause: error });
    }
  };

  let observation = await ask("reset", () => environment.reset(plan.task));
  const memory = new Memory(parts, observation, settings);
  const steps: Step[] = [];
  let reward = 0;
  let shortened = 0;
  for (let t = 0; ; t++) {
    signal?.throwIfAborted();
    const shown = memory.prompt(plan, t, true);
    if (shown.shortened) shortened++;
    const sample = await policy.sample(shown.tokens, {
      maxTokens: settings.maxResponseTokens,
      temperature: settings.temperature,
      stop: tokenizer.eosTokens,
      seed: settings.seed(plan, t),
      ...(signal ? { signal } : {}),
    });
    const reply = tokenizer.decode(sample.tokens, { skipSpecial: true });
    const parsed = template.parse(reply);
    const next = await ask(`step ${t}`, () => environment.step(parsed.action));
    const skilled = plan.skills.length > 0 && settings.keepPlainPrompts;
    steps.push({
      observation,
      prompt: shown.tokens,
      plainPrompt: skilled ? memory.prompt(plan, t, false).tokens : null,
      response: sample.tokens,
      logprobs: sample.logprobs,
      reply,
      action: parsed.action,
      wellFormed: parsed.valid,
      admissible: observation.actions ? offers(observation.actions, parsed.action) : true,
      reward: next.reward,
      actionMask: skilled ? tokenizer.actionMask(sample.tokens, parsed.span, { includeTags: settings.includeTags }) : null,
    });
    reward += next.reward;
    if (next.done || t + 1 === settings.maxSteps) {
      const score = next.score ?? (next.success ? 1 : 0);
      return { plan, steps, reward, success: next.success, score, truncated: !next.done, shortened };
    }
    memory.record(parsed.action, parsed.valid, next);
    observation = next;
  }
}

/** What the agent has read and done, kept twice: with the history the config asks for, and without, for prompts that would not fit. */
class Memory {
  readonly #parts: RolloutParts;
  readonly #settings: RolloutSettings;
  readonly #whole: Episode;
  readonly #short: Episode;
  readonly #limit: number;

  constructor(parts: RolloutParts, first: Observation, settings: RolloutSettings) {
    this.#parts = parts;
    this.#settings = settings;
    this.#whole = parts.template.begin(first, { historyLength: settings.historyLength });
    this.#short = parts.template.begin(first, { historyLength: 0 });
    this.#limit = Math.min(settings.maxPromptTokens, parts.policy.maxPositions - settings.maxResponseTokens);
  }

  record(action: string, valid: boolean, next: Observation): void {
    this.#whole.record(action, valid, next);
    this.#short.record(action, valid, next);
  }

  prompt(plan: EpisodePlan, step: number, withSkills: boolean): { tokens: Int32Array; shortened: boolean } {
    const skills = withSkills ? plan.skills : [];
    const tokens = this.#parts.tokenizer.chat(this.#whole.prompt(skills));
    if (tokens.length <= this.#limit) return { tokens, shortened: false };
    const short = this.#parts.tokenizer.chat(this.#short.prompt(skills));
    if (short.length <= this.#limit) return { tokens: short, shortened: true };
    throw new SiriError(
      "PROMPT_TOO_LONG",
      `The prompt of task ${plan.task.id} at step ${step} has ${tokens.length} tokens, ${short.length} without history; the limit is ${this.#limit} ` +
        `(agent.maxPromptTokens ${this.#settings.maxPromptTokens}; the model holds ${this.#parts.policy.maxPositions} positions). ` +
        "Raise agent.maxPromptTokens, show fewer skills, or use a shorter template.",
    );
  }
}

/** Members of a group must begin alike, or their returns cannot be compared. @throws SiriError GROUP_DIFFERS */
function requireEqualStarts(trajectories: readonly Trajectory[]): void {
  const first = new Map<string, Trajectory>();
  for (const trajectory of trajectories) {
    const { iteration, group, member, task } = trajectory.plan;
    const other = first.get(`${iteration}/${group}`);
    if (!other) {
      first.set(`${iteration}/${group}`, trajectory);
      continue;
    }
    const difference = differs(other.steps[0]!.observation, trajectory.steps[0]!.observation);
    if (difference === null) continue;
    throw new SiriError(
      "GROUP_DIFFERS",
      `Members ${other.plan.member} and ${member} of group ${group} (task ${task.id}) begin with another ${difference}: ` +
        "reset(task) must lead to the same first observation every time, or the group's returns cannot be compared.",
    );
  }
}

function differs(a: Observation, b: Observation): string | null {
  if (a.text !== b.text) return "text";
  if (a.task !== b.task) return "task sentence";
  if (a.anchor !== b.anchor) return "anchor";
  return JSON.stringify(a.actions) === JSON.stringify(b.actions) ? null : "list of actions";
}
