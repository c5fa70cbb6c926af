/**
 * Reading and writing skills as text: the strict JSON list that an instruct model is asked for, and the one-line form
 * `when <condition>: <strategy>` of the tiny policy. Knows no bank, no utility, no retrieval.
 */
import type { EpisodeSummary, SkillText } from "./agent.js";

/** Longer fields are not skills but runaway replies; such items are dropped. */
const MAX_FIELD_CHARACTERS = 600;

/** `when <condition>: <strategy>`, the form that `parseSkillLine` reads back. */
export function skillLine(skill: SkillText): string {
  return `when ${skill.condition}: ${skill.strategy}`;
}

/** Reads the first `when ...: ...` line of a reply; anything else gives an empty list. */
export function parseSkillLine(reply: string): readonly SkillText[] {
  const match = /^[ \t]*(?:skill: *)?when ([^:\n]+): *(\S[^\n]*)$/m.exec(reply);
  return match ? keep({ title: match[1]!, condition: match[1]!, strategy: match[2]! }) : [];
}

/**
 * Reads a JSON list of {title, when_to_apply, principle}; items that lack a field are dropped. A think block, a code fence and prose, with
 * brackets of its own too, may stand around it.
 */
export function parseSkillJson(reply: string): readonly SkillText[] {
  const text = reply.slice(reply.lastIndexOf("</think>") + 1);
  const start = text.search(/\[\s*\{/);
  if (start < 0) return [];
  let end = text.lastIndexOf("]");
  while (end > start && !text.slice(0, end).trimEnd().endsWith("}")) end = text.lastIndexOf("]", end - 1);
  if (end < start) return [];
  let items: unknown;
  try {
    items = JSON.parse(text.slice(start, end + 1));
  } catch {
    return [];
  }
  if (!Array.isArray(items)) return [];
  return items.flatMap((item: unknown) => {
    if (typeof item !== "object" || item === null) return [];
    const { title, when_to_apply: condition, principle: strategy } = item as Record<string, unknown>;
    if (typeof title !== "string" || typeof condition !== "string" || typeof strategy !== "string") return [];
    return keep({ title, condition, strategy });
  });
}

/**
 * The commands of an episode that did something, in order: failed ones carry no lesson about a success. What a command led
 * to is the observation of the step after it.
 */
export function effectiveActions(episode: EpisodeSummary): readonly string[] {
  return episode.steps
    .filter((step, i) => step.valid && episode.steps[i + 1]?.observation.text !== "Nothing happens.")
    .map((step) => step.action);
}

function keep(skill: SkillText): readonly SkillText[] {
  const fields = [skill.title, skill.condition, skill.strategy].map((field) => field.replace(/\s+/g, " ").trim());
  if (fields.some((field) => field === "" || field.length > MAX_FIELD_CHARACTERS)) return [];
  const [title, condition, strategy] = fields as [string, string, string];
  return [{ title, condition, strategy }];
}
