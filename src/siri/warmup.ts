/**
 * Phase 0, policy warm-up: ordinary GiGPO on plain prompts, and the buffer D+ of skill-free successes that skills will be written from.
 * It ends when enough distinct tasks have been solved (machine.ts). Distinct, because many wins of one easy task say little.
 */
import type { EpisodeSummary } from "../agent/agent.js";
import type { Trajectory } from "../rl/trajectory.js";

/** One success, as little of it as the skill writer needs. */
export interface Success {
  readonly task: string;
  readonly taskType: string;
  readonly sentence: string;
  readonly iteration: number;
  readonly steps: readonly { readonly text: string; readonly action: string; readonly valid: boolean }[];
  /** Times skills were written from it. */
  readonly mined: number;
}

export interface BufferState {
  readonly successes: readonly Success[];
  /** Ids of all tasks solved so far, by type. */
  readonly solved: Readonly<Record<string, readonly string[]>>;
  /** Types met so far, solved or not. */
  readonly types: readonly string[];
}

/** D+: the latest success of each of at most `capacity` tasks. */
export class SuccessBuffer {
  readonly #capacity: number;
  #successes: Success[];
  readonly #solved: Map<string, Set<string>>;

  constructor(capacity: number, state: BufferState = { successes: [], solved: {}, types: [] }) {
    this.#capacity = capacity;
    this.#successes = [...state.successes];
    this.#solved = new Map(state.types.map((type) => [type, new Set(state.solved[type] ?? [])]));
  }

  state(): BufferState {
    return {
      successes: this.#successes,
      solved: Object.fromEntries([...this.#solved].map(([type, tasks]) => [type, [...tasks]])),
      types: [...this.#solved.keys()],
    };
  }

  get successes(): readonly Success[] {
    return this.#successes;
  }

  /** Distinct tasks solved without skills since the run began. */
  get solved(): number {
    return [...this.#solved.values()].reduce((sum, tasks) => sum + tasks.size, 0);
  }

  /** The smallest number of solved tasks among the types met so far; 0 before the first episode. */
  get leastSolvedOfAType(): number {
    return this.#solved.size === 0 ? 0 : Math.min(...[...this.#solved.values()].map((tasks) => tasks.size));
  }

  /** Takes in the skill-free successes of an iteration. Of one task the shortest of the iteration counts. */
  add(trajectories: readonly Trajectory[]): void {
    const best = new Map<string, Trajectory>();
    for (const trajectory of trajectories) {
      const { task, skills } = trajectory.plan;
      if (!this.#solved.has(task.type)) this.#solved.set(task.type, new Set());
      if (!trajectory.success || skills.length > 0) continue;
      this.#solved.get(task.type)!.add(task.id);
      const other = best.get(task.id);
      if (!other || trajectory.steps.length < other.steps.length) best.set(task.id, trajectory);
    }
    for (const trajectory of best.values()) {
      const older = this.#successes.find((success) => success.task === trajectory.plan.task.id);
      this.#successes = this.#successes.filter((success) => success !== older);
      this.#successes.push({ ...summarised(trajectory), mined: older?.mined ?? 0 });
    }
    while (this.#successes.length > this.#capacity) this.#dropOldestOfLargestType();
  }

  /**
   * The next successes to write skills from: types in turn, in each the least mined first, then the newest. Marks them as mined.
   * @param wanted whether a type wants more skills
   */
  draw(count: number, wanted: (taskType: string) => boolean): Success[] {
    const queues = [...new Set(this.#successes.map((success) => success.taskType))]
      .sort()
      .filter(wanted)
      .map((type) =>
        this.#successes
          .filter((success) => success.taskType === type)
          .reverse() // newest first: later successes stand behind, and sort is stable
          .sort((a, b) => a.mined - b.mined || b.iteration - a.iteration),
      );
    const drawn: Success[] = [];
    for (let round = 0; drawn.length < count && queues.some((queue) => queue.length > round); round++) {
      for (const queue of queues) if (queue[round] && drawn.length < count) drawn.push(queue[round]!);
    }
    this.#successes = this.#successes.map((success) => (drawn.includes(success) ? { ...success, mined: success.mined + 1 } : success));
    return drawn;
  }

  #dropOldestOfLargestType(): void {
    const counts = new Map<string, number>();
    for (const { taskType } of this.#successes) counts.set(taskType, (counts.get(taskType) ?? 0) + 1);
    const largest = Math.max(...counts.values());
    const doomed = this.#successes.findIndex(({ taskType }) => counts.get(taskType) === largest);
    this.#successes.splice(doomed, 1);
  }
}

function summarised({ plan, steps }: Trajectory): Omit<Success, "mined"> {
  return {
    task: plan.task.id,
    taskType: plan.task.type,
    sentence: steps[0]!.observation.task,
    iteration: plan.iteration,
    steps: steps.map(({ observation, action, wellFormed }) => ({ text: observation.text, action, valid: wellFormed })),
  };
}

/** What the skill writer's prompt is built from. */
export function episodeSummary(success: Success): EpisodeSummary {
  return {
    task: success.sentence,
    taskType: success.taskType,
    success: true,
    steps: success.steps.map(({ text, action, valid }) => ({ observation: { text, task: success.sentence, anchor: text }, action, valid })),
  };
}
