/**
 * The environment seam: what a rollout needs of a world that an agent acts in. A task is a value; an environment plays one
 * task at a time and may be asynchronous. Nothing here knows a policy, a prompt or a token.
 */

export type Awaitable<T> = T | Promise<T>;

/** One task instance: the same task always starts from the same state, and so from the same first observation. */
export interface Task {
  /** Unique inside its environment, stable across runs (`train/000017`, a game's path, a goal's number). */
  readonly id: string;
  readonly split: string;
  /** What success is broken down by (`pick_and_place_simple`); environments without types say `task`. */
  readonly type: string;
  /** Whatever the environment needs to start it (a seed, a file name). Must survive JSON. */
  readonly data?: unknown;
}

export interface Observation {
  /** What the agent sees now. */
  readonly text: string;
  /** The task sentence, the same at every step of an episode. */
  readonly task: string;
  /**
   * Admissible actions in the environment's own order; absent when they cannot be listed. A form to fill in stands as its pattern, with
   * the free part in angle brackets: `search[<your query>]`.
   */
  readonly actions?: readonly string[];
  /** What GiGPO groups steps by (arXiv 2505.10978, Eq. 6): equal anchors inside one group are the same state. */
  readonly anchor: string;
}

export interface StepResult extends Observation {
  /** Raw environment reward of this step. */
  readonly reward: number;
  readonly done: boolean;
  readonly success: boolean;
  /** The task's own score in [0, 1] where it has one that is finer than success (WebShop). */
  readonly score?: number;
}

export interface Environment {
  reset(task: Task): Awaitable<Observation>;
  step(action: string): Awaitable<StepResult>;
  close?(): void;
}

/** The tasks of one split, in a fixed order. Lazy: a split of generated games may be long. */
export interface TaskSet {
  readonly length: number;
  /** What a user should know of the split before it is played (files left out, and why), in a sentence or two each. */
  readonly notes?: readonly string[];
  at(index: number): Task;
}

/** What an environment module exports as `default` (the user's own) or registers under a name (ours). */
export interface EnvironmentModule {
  readonly name: string;
  /** Split names; `train` must be among them. The first of `evalSplits` is what `siri eval` plays by default. */
  readonly splits: readonly string[];
  readonly evalSplits: readonly string[];
  /** @throws Error when the split is not one of `splits`. */
  tasks(split: string): Awaitable<TaskSet>;
  create(): Awaitable<Environment>;
}

/** What an agent fills in with words of its own. */
const BLANK = /<[a-z ]+>/;

/** Whether an action is in a list of admissible ones, or is one of the forms there, filled in with at least one character. */
export function offers(actions: readonly string[], action: string): boolean {
  if (actions.includes(action)) return true;
  return actions.some((form) => {
    const blank = BLANK.exec(form);
    if (!blank) return false;
    const [head, tail] = [form.slice(0, blank.index), form.slice(blank.index + blank[0].length)];
    return action.length > head.length + tail.length && action.startsWith(head) && action.endsWith(tail);
  });
}

/** Identity helper that gives a user's own module its types. */
export function defineEnvironment(module: EnvironmentModule): EnvironmentModule {
  return module;
}
