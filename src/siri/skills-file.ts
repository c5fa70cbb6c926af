/**
 * A run's skills.jsonl read back into a bank, as far as choosing skills needs it: texts, status, utility. Knows no run and no policy.
 */
import { readFileSync } from "node:fs";
import { SiriError } from "../errors.js";
import type { BankState, Skill, SkillEvent } from "./skill-bank.js";

/** @throws SiriError SKILLS_FILE when it cannot be read, names the line that is not one of its kind, or holds no skill */
export function readSkillsFile(path: string): BankState {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new SiriError("SKILLS_FILE", `Cannot read the skills file ${path}: ${(error as Error).message}.`, { cause: error });
  }
  const skills = new Map<string, Skill>();
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    try {
      apply(JSON.parse(line) as SkillEvent, skills);
    } catch (error) {
      throw new SiriError("SKILLS_FILE", `${path}:${index + 1} is not a line of a skills.jsonl: ${(error as Error).message}.`, {
        cause: error,
      });
    }
  }
  if (skills.size === 0) throw new SiriError("SKILLS_FILE", `${path} holds no skill: give the skills.jsonl of a run that mined some.`);
  return { next: skills.size + 1, skills: [...skills.values()] };
}

function apply(event: SkillEvent, skills: Map<string, Skill>): void {
  switch (event.event) {
    case "mined": {
      const { id, status, taskType, sourceTask, iteration: birth } = event;
      const { title, condition, strategy } = event.skill;
      if ([id, taskType, title, condition, strategy].some((part) => typeof part !== "string")) throw new Error("a skill lacks a part");
      const unproved = { utility: 0, evaluations: 0, mean: 0, m2: 0, recent: [] };
      skills.set(id, { id, status, taskType, sourceTask, birth, title, condition, strategy, ...unproved });
      return;
    }
    case "evaluated":
      change(skills, event.id, { utility: event.utility, evaluations: event.evaluations });
      return;
    case "promoted":
      change(skills, event.id, { status: "active" });
      return;
    case "retired":
      change(skills, event.id, { status: "retired" });
      return;
    case "evicted":
      skills.delete(event.id);
      return;
    case "dropped":
    case "compared":
      return;
    default:
      throw new Error(`unknown event ${JSON.stringify((event as { event?: unknown }).event)}`);
  }
}

function change(skills: Map<string, Skill>, id: string, news: Partial<Skill>): void {
  const skill = skills.get(id);
  if (skill === undefined) throw new Error(`skill ${id} was never mined`);
  skills.set(id, { ...skill, ...news });
}
