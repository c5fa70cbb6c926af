/**
 * Which skills a task is shown: those of its type and those whose condition resembles it, best rank first. A pure function of the bank
 * and the task, so that every member of a group is shown the same. Knows no rollout.
 */
import type { Config } from "../config/schema.js";
import type { Task } from "../env/environment.js";
import type { ShownSkill } from "../rl/trajectory.js";
import type { Skill, SkillBank } from "./skill-bank.js";
import { topicSimilarity } from "./words.js";

export type RetrievalSettings = Config["retrieval"];

/**
 * explore: candidates and active skills compete, the little tried have a bonus (phase 1).
 * prefer-active: active skills where any fits, else candidates with their bonus (phase 2).
 * exploit: the same without the bonus (evaluation).
 */
export type RetrievalMode = "explore" | "prefer-active" | "exploit";

/** alpha (sim + 1) / 2 + (1 - alpha) (U + bonus). */
export function rank(similarity: number, utility: number, bonus: number, alpha: number): number {
  return (alpha * (similarity + 1)) / 2 + (1 - alpha) * (utility + bonus);
}

export function retrieve(bank: SkillBank, task: Task, sentence: string, settings: RetrievalSettings, mode: RetrievalMode): ShownSkill[] {
  const fitting = bank
    .live()
    .map((skill) => ({ skill, similarity: topicSimilarity(skill.condition, sentence) }))
    .filter(({ skill, similarity }) => {
      const sameType = skill.taskType === task.type;
      const alike = similarity >= settings.similarityFloor;
      return settings.match === "type" ? sameType : settings.match === "lexical" ? alike : sameType && alike;
    });
  const active = fitting.filter(({ skill }) => skill.status === "active");
  const chosen = mode !== "explore" && active.length > 0 ? active : fitting;
  const exploration = mode === "exploit" ? 0 : settings.exploration;
  return chosen
    .map(({ skill, similarity }) => ({
      skill,
      score: rank(similarity, skill.utility, bank.bonus(skill, exploration), settings.similarityWeight),
    }))
    .sort((a, b) => b.score - a.score || a.skill.birth - b.skill.birth || (a.skill.id < b.skill.id ? -1 : 1))
    .slice(0, settings.topK)
    .map(({ skill }) => shown(skill));
}

function shown({ id, title, condition, strategy }: Skill): ShownSkill {
  return { id, title, condition, strategy };
}
