/**
 * The skill bank: what the policy wrote, and what paired rollouts say of it. A skill is a candidate until its utility is proved, then
 * active; persistently harmful ones are retired. The bank exists during training only: the final policy acts without it.
 * Knows no prompt, no rollout, no file; every change is told as an event for `skills.jsonl`.
 */
import type { SkillText } from "../agent/agent.js";
import type { Config } from "../config/schema.js";
import type { Comparison } from "./arms.js";
import { textSimilarity } from "./words.js";

export type SkillStatus = "candidate" | "active" | "retired";

export interface Skill extends SkillText {
  readonly id: string;
  readonly status: SkillStatus;
  /** Type and id of the task whose success it was written from. */
  readonly taskType: string;
  readonly sourceTask: string;
  /** Iteration it was written in. */
  readonly birth: number;
  /** Online estimate U of the paired difference; 0 before the first. */
  readonly utility: number;
  /** Paired groups it was shown in. */
  readonly evaluations: number;
  /** Mean and sum of squared deviations of those differences (Welford). */
  readonly mean: number;
  readonly m2: number;
  /** U after each of the last evaluations, at most `bank.retireWindow`. */
  readonly recent: readonly number[];
}

export type BankSettings = Config["bank"];

/** A line of `skills.jsonl`. */
export type SkillEvent =
  | {
      readonly event: "mined";
      readonly iteration: number;
      readonly id: string;
      readonly status: SkillStatus;
      readonly skill: SkillText;
      readonly taskType: string;
      readonly sourceTask: string;
    }
  | {
      readonly event: "dropped";
      readonly iteration: number;
      readonly reason: "duplicate";
      readonly of: string;
      readonly skill: SkillText;
      readonly taskType: string;
    }
  | ({ readonly event: "compared"; readonly iteration: number } & Comparison)
  | {
      readonly event: "evaluated";
      readonly iteration: number;
      readonly id: string;
      readonly delta: number;
      readonly utility: number;
      readonly low: number | null;
      readonly high: number | null;
      readonly evaluations: number;
    }
  | {
      readonly event: "promoted" | "retired" | "evicted";
      readonly iteration: number;
      readonly id: string;
      readonly utility: number;
      readonly evaluations: number;
    };

export interface BankState {
  readonly next: number;
  readonly skills: readonly Skill[];
}

export class SkillBank {
  readonly #settings: BankSettings;
  /** c of the exploration bonus that eviction shares with retrieval. */
  readonly #exploration: number;
  #skills: Skill[];
  #next: number;

  constructor(settings: BankSettings, exploration: number, state: BankState = { next: 1, skills: [] }) {
    this.#settings = settings;
    this.#exploration = exploration;
    this.#skills = [...state.skills];
    this.#next = state.next;
  }

  state(): BankState {
    return { next: this.#next, skills: this.#skills };
  }

  get skills(): readonly Skill[] {
    return this.#skills;
  }

  /** Candidates and active skills. */
  live(): Skill[] {
    return this.#skills.filter((skill) => skill.status !== "retired");
  }

  count(status: SkillStatus): number {
    return this.#skills.filter((skill) => skill.status === status).length;
  }

  get(id: string): Skill | undefined {
    return this.#skills.find((skill) => skill.id === id);
  }

  /** c sqrt(ln(max(2, 1 + N_total)) / (1 + n)): what is little tried is tried more. */
  bonus(skill: Skill, exploration = this.#exploration): number {
    const total = this.#skills.reduce((sum, one) => sum + one.evaluations, 0);
    return explorationBonus(exploration, total, skill.evaluations);
  }

  /** Takes a skill in, unless the bank knows one like it (retired ones included: what failed once is not tried again under another name). */
  add(
    text: SkillText,
    from: { readonly taskType: string; readonly sourceTask: string },
    iteration: number,
    duplicateSimilarity: number,
  ): SkillEvent {
    const twin = this.#skills.find((skill) => skill.taskType === from.taskType && isTwin(skill, text, duplicateSimilarity));
    if (twin) return { event: "dropped", iteration, reason: "duplicate", of: twin.id, skill: plain(text), taskType: from.taskType };
    const id = `s${String(this.#next++).padStart(4, "0")}`;
    const status = this.#settings.validate ? "candidate" : "active";
    this.#skills.push({ ...plain(text), id, status, ...from, birth: iteration, utility: 0, evaluations: 0, mean: 0, m2: 0, recent: [] });
    return { event: "mined", iteration, id, status, skill: plain(text), ...from };
  }

  /** Credits every shown skill with one paired difference; promotes and retires. */
  evaluate(ids: readonly string[], delta: number, iteration: number): SkillEvent[] {
    const events: SkillEvent[] = [];
    const { utility: rule, utilityBeta: beta, minEvaluations, promoteAbove, retireBelow, retireWindow, validate } = this.#settings;
    this.#skills = this.#skills.map((skill) => {
      if (!ids.includes(skill.id)) return skill;
      const evaluations = skill.evaluations + 1;
      const mean = skill.mean + (delta - skill.mean) / evaluations;
      const m2 = skill.m2 + (delta - skill.mean) * (delta - mean);
      const utility = rule === "ema" ? (1 - beta) * skill.utility + beta * delta : mean;
      const recent = [...skill.recent, utility].slice(-retireWindow);
      const judged = { ...skill, evaluations, mean, m2, utility, recent };
      const { low, high } = interval(judged, this.#settings);
      events.push({ event: "evaluated", iteration, id: skill.id, delta, utility, low, high, evaluations });
      if (!validate || evaluations < minEvaluations || skill.status === "retired") return judged;
      if (recent.length === retireWindow && recent.every((value) => value < retireBelow)) {
        events.push({ event: "retired", iteration, id: skill.id, utility, evaluations });
        return { ...judged, status: "retired" };
      }
      if (skill.status === "candidate" && utility > promoteAbove) {
        events.push({ event: "promoted", iteration, id: skill.id, utility, evaluations });
        return { ...judged, status: "active" };
      }
      return judged;
    });
    return events;
  }

  /** Removes the worst live skills above the capacity, by utility plus bonus; young ones stay. */
  evict(iteration: number): SkillEvent[] {
    const excess = this.live().length - this.#settings.capacity;
    if (excess <= 0) return [];
    const doomed = this.live()
      .filter((skill) => iteration - skill.birth >= this.#settings.protectIterations)
      .map((skill) => ({ skill, worth: skill.utility + this.bonus(skill) }))
      .sort((a, b) => a.worth - b.worth || a.skill.birth - b.skill.birth)
      .slice(0, excess)
      .map(({ skill }) => skill);
    this.#skills = this.#skills.filter((skill) => !doomed.includes(skill));
    return doomed.map(({ id, utility, evaluations }) => ({ event: "evicted", iteration, id, utility, evaluations }));
  }
}

export function explorationBonus(c: number, total: number, evaluations: number): number {
  return c * Math.sqrt(Math.log(Math.max(2, 1 + total)) / (1 + evaluations));
}

/**
 * 95% interval of the utility, or nulls below two evaluations. Standard error = s sqrt(sum of squared weights): 1/n for the mean,
 * beta / (2 - beta) (1 - (1 - beta)^(2n)) for the moving average, s the sample deviation of the differences.
 */
export function interval(
  skill: Pick<Skill, "utility" | "evaluations" | "m2">,
  settings: Pick<BankSettings, "utility" | "utilityBeta">,
): { low: number | null; high: number | null } {
  const n = skill.evaluations;
  if (n < 2) return { low: null, high: null };
  const beta = settings.utilityBeta;
  const squares = settings.utility === "mean" ? 1 / n : (beta / (2 - beta)) * (1 - (1 - beta) ** (2 * n));
  const half = 1.96 * Math.sqrt((skill.m2 / (n - 1)) * squares);
  return { low: skill.utility - half, high: skill.utility + half };
}

function plain({ title, condition, strategy }: SkillText): SkillText {
  return { title, condition, strategy };
}

function isTwin(skill: Skill, text: SkillText, threshold: number): boolean {
  const [a, b] = [skill, text].map((one) => `${one.condition} ${one.strategy}`.toLowerCase().replace(/\s+/g, " ").trim()) as [
    string,
    string,
  ];
  return a === b || (threshold < 1 && textSimilarity(a, b) >= threshold);
}
