/**
 * GiGPO advantages over ragged groups (arXiv 2505.10978): an episode part that compares whole trajectories of one task, and a step part that
 * compares the actions taken from equal states. Linear in the number of steps (exact states), double precision throughout.
 *
 *   stepReturn_t = sum over k >= t of gamma^(k-t) reward_k, less invalidPenalty where the action of step t was invalid     (eq. 5)
 *   episode      = (total reward - penalty of this step - mean) / F over the task's group                                    (eq. 3)
 *   step         = (stepReturn - mean) / F over the steps of the group that share the anchor                                 (eq. 6, 7)
 *   advantage    = episode + omega * step                                                                                    (eq. 8)
 *
 * F is 1 ("mean_norm") or the sample standard deviation + 1e-6 ("mean_std_norm"). A group of one keeps its score (mean 0, std 1);
 * a step alone with its anchor gets 0. The penalty touches its own step only: neither earlier returns nor other rows' scores.
 */
import { array, finiteNumber, object, oneOf, SiriArgument } from "./check.js";
import { callNative } from "./engine.js";

export interface GroupTrajectory {
  /** The task's group: same task, same start. Nothing is ever compared across groups. */
  readonly group: string | number;
  /** What identifies the state before each step; compared by exact value (or by similarity, see the options). */
  readonly anchors: readonly string[];
  /** Raw reward of each step. */
  readonly rewards: ArrayLike<number>;
  /** false where a step's action was invalid; default all valid. */
  readonly valid?: readonly boolean[];
  /** Only read with pool "per_arm". */
  readonly arm?: string | number;
}

export interface AdvantageOptions {
  /** Default 0.95, in [0, 1]. */
  readonly gamma?: number;
  /** Default 1. */
  readonly omega?: number;
  /** Default 0.1, >= 0. */
  readonly invalidPenalty?: number;
  /** Default "mean_norm". */
  readonly normalisation?: "mean_norm" | "mean_std_norm";
  /**
   * What the episode mean and std are taken over: every step row ("rows", default; long trajectories weigh more) or the first row of each
   * trajectory ("trajectories", the paper's definition).
   */
  readonly episodeStatistics?: "rows" | "trajectories";
  /**
   * "joint" (default): all arms of a task are compared with each other. "per_arm": each arm is a group of its own, for the episode part and
   * for the step part.
   */
  readonly pool?: "joint" | "per_arm";
  /**
   * Threshold in (0, 1): an anchor joins the first step group whose first member it resembles with at least this `similarity`. Off by
   * default. Beware: texts that differ by one number are very similar (fridge 1, fridge 2).
   */
  readonly similarity?: number;
}

/** One entry per step: trajectories in the order given, steps in order. */
export interface GroupAdvantages {
  readonly stepReturn: Float64Array;
  readonly episode: Float64Array;
  readonly step: Float64Array;
  readonly advantage: Float64Array;
  /** [trajectories + 1]: steps of trajectory t are offset[t] .. offset[t + 1] - 1. */
  readonly offset: Int32Array;
  /** Number of the step group of each step; equal numbers were compared with each other. */
  readonly stepGroup: Int32Array;
}

export function groupAdvantages(trajectories: readonly GroupTrajectory[], options: AdvantageOptions = {}): GroupAdvantages {
  array("trajectories", trajectories, "trajectories");
  object("options", options);
  const settings = {
    gamma: finiteNumber("gamma", options.gamma ?? 0.95, (g) => g >= 0 && g <= 1, "from 0 to 1"),
    omega: finiteNumber("omega", options.omega ?? 1, () => true, "a finite number"),
    invalidPenalty: finiteNumber("invalidPenalty", options.invalidPenalty ?? 0.1, (p) => p >= 0, "a number of at least 0"),
    normalisation: oneOf("normalisation", options.normalisation ?? "mean_norm", ["mean_norm", "mean_std_norm"]),
    episodeStatistics: oneOf("episodeStatistics", options.episodeStatistics ?? "rows", ["rows", "trajectories"]),
  };
  const perArm = oneOf("pool", options.pool ?? "joint", ["joint", "per_arm"]) === "per_arm";

  const groups = new Numbers<string>();
  const offset = new Int32Array(trajectories.length + 1);
  const group = new Int32Array(trajectories.length);
  trajectories.forEach((trajectory, t) => {
    checkTrajectory(trajectory, t, perArm);
    offset[t + 1] = offset[t]! + trajectory.anchors.length;
    group[t] = groups.of(key(trajectory.group) + (perArm ? key(trajectory.arm!) : ""));
  });

  const steps = offset[trajectories.length]!;
  const reward = new Float64Array(steps);
  const valid = new Uint8Array(steps).fill(1);
  trajectories.forEach((trajectory, t) => {
    reward.set(trajectory.rewards, offset[t]!);
    trajectory.valid?.forEach((ok, i) => {
      if (!ok) valid[offset[t]! + i] = 0;
    });
  });
  const state = stepGroups(trajectories, group, offset, options.similarity);
  const flat = { ...settings, count: trajectories.length, offset, group, state, reward, valid };
  const result = callNative((kernels) => kernels.groupAdvantages(flat));
  return { ...result, offset, stepGroup: state };
}

/**
 * Similarity of two texts, 2 M / T as Python's difflib defines its ratio: T code points in both, M of them in matching blocks (the longest
 * first, then left and right of it). Not symmetric in every case; groups ask for similarity(anchor, first member).
 */
export function similarity(a: string, b: string): number {
  if (typeof a !== "string" || typeof b !== "string") throw new SiriArgument("similarity compares two strings.");
  return callNative((kernels) => kernels.similarity({ a, b }));
}

/** Gives equal values equal numbers: 0, 1, ... in order of first appearance. */
class Numbers<T> {
  readonly #known = new Map<T, number>();
  of(value: T): number {
    const known = this.#known.get(value) ?? this.#known.size;
    this.#known.set(value, known);
    return known;
  }
}

/** 1 and "1" are different groups. */
function key(id: string | number): string {
  return `${typeof id === "number" ? "n" : "s"}${String(id).length}:${id}`;
}

function stepGroups(
  trajectories: readonly GroupTrajectory[],
  group: Int32Array,
  offset: Int32Array,
  threshold: number | undefined,
): Int32Array {
  const anchors = trajectories.flatMap((trajectory) => trajectory.anchors);
  if (threshold !== undefined) {
    finiteNumber("similarity", threshold, (s) => s > 0 && s < 1, "between 0 and 1, both excluded; leave it out for exact anchors");
    const pool = new Int32Array(anchors.length);
    for (let t = 0; t < trajectories.length; t++) pool.fill(group[t]!, offset[t]!, offset[t + 1]!);
    const labels = new Numbers<number>();
    return callNative((kernels) => kernels.clusters({ texts: anchors, pool, threshold })).map((label) => labels.of(label));
  }
  const states = new Int32Array(anchors.length);
  const numbers = new Map<number, Map<string, number>>();
  let next = 0;
  trajectories.forEach((trajectory, t) => {
    let known = numbers.get(group[t]!);
    if (known === undefined) {
      known = new Map();
      numbers.set(group[t]!, known);
    }
    trajectory.anchors.forEach((anchor, i) => {
      let number = known.get(anchor);
      if (number === undefined) {
        number = next++;
        known.set(anchor, number);
      }
      states[offset[t]! + i] = number;
    });
  });
  return states;
}

function checkTrajectory(trajectory: GroupTrajectory, t: number, perArm: boolean): void {
  const name = `trajectories[${t}]`;
  object(name, trajectory);
  const { anchors, rewards, valid, group, arm } = trajectory;
  array(`${name}.anchors`, anchors, "strings");
  if (!Array.isArray(rewards) && !ArrayBuffer.isView(rewards))
    throw new SiriArgument(`${name}.rewards is ${typeof rewards}; it must be an array of numbers.`);
  if (valid !== undefined) array(`${name}.valid`, valid, "booleans");
  if ((typeof group !== "string" && typeof group !== "number") || Number.isNaN(group))
    throw new SiriArgument(`${name}.group is ${String(group)}; it must be a string or a number.`);
  if (perArm && ((typeof arm !== "string" && typeof arm !== "number") || Number.isNaN(arm)))
    throw new SiriArgument(`${name}.arm is ${String(arm)}; pool "per_arm" needs a string or a number for every trajectory.`);
  if (rewards.length !== anchors.length)
    throw new SiriArgument(`${name} has ${anchors.length} anchors and ${rewards.length} rewards; each step has one of both.`);
  if (valid !== undefined && valid.length !== anchors.length)
    throw new SiriArgument(`${name} has ${anchors.length} anchors and ${valid.length} entries in valid; each step has one of both.`);
  for (let i = 0; i < rewards.length; i++)
    if (!Number.isFinite(rewards[i])) throw new SiriArgument(`${name}.rewards[${i}] is ${rewards[i]}; a reward must be a finite number.`);
  const odd = anchors.findIndex((anchor) => typeof anchor !== "string");
  if (odd >= 0) throw new SiriArgument(`${name}.anchors[${odd}] is a ${typeof anchors[odd]}; an anchor must be a string.`);
}
