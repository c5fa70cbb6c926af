/**
 * The short prompt of the tiny policy (about 140 tokens a step): task, skill, places been to, what is held, the last
 * steps cut short, the observation, and the complete admissible list with its `go to` entries folded into one. Works for
 * any environment: the lines that only a text-world fills are left out elsewhere.
 */
import type { Observation } from "../env/environment.js";
import type { AgentTemplate, ChatMessage, Episode, EpisodeSummary, SkillText } from "./agent.js";
import { projectAction } from "./projection.js";
import { Reading } from "./reading.js";
import { effectiveActions, parseSkillLine, skillLine } from "./skills.js";

/** Older observations are cut to this length. */
const HISTORY_CHARACTERS = 72;
/** The skill writer sees the last commands of the episode. */
const SKILL_ACTIONS = 12;

export const compact: AgentTemplate = {
  name: "compact",
  maxResponseTokens: 32,
  begin: (first, { historyLength }) => new CompactEpisode(first, historyLength),
  parse: (reply) => projectAction(reply),
  skillPrompt: (episode) => [{ role: "user", content: compactSkillPrompt(episode) }],
  parseSkills: parseSkillLine,
};

class CompactEpisode implements Episode {
  readonly #historyLength: number;
  readonly #reading: Reading;
  readonly #history: { readonly text: string; readonly action: string }[] = [];
  #step = 1;
  #now: Observation;

  constructor(first: Observation, historyLength: number) {
    this.#historyLength = historyLength;
    this.#reading = new Reading(first.task);
    this.#now = first;
  }

  prompt(skills: readonly SkillText[] = []): readonly ChatMessage[] {
    const lines = [`task: ${bareTask(this.#now.task)}`];
    for (const skill of skills) lines.push(`skill: ${skillLine(skill)}`);
    const been = this.#reading.been();
    if (been !== "") lines.push(`been: ${been}`);
    const have = this.#reading.have();
    if (have !== "") lines.push(`have: ${have}`);
    for (const { text, action } of this.#history) lines.push(`obs: ${text}`, `act: ${action}`);
    lines.push(`step ${this.#step} obs: ${bareText(this.#now.text)}`);
    if (this.#now.actions) lines.push(`can: ${foldActions(this.#now.actions)}`);
    return [{ role: "user", content: lines.join("\n") }];
  }

  record(action: string, _valid: boolean, next: Observation): void {
    this.#history.push({ text: cut(bareText(this.#now.text)), action: cut(action) });
    if (this.#history.length > this.#historyLength) this.#history.shift();
    this.#reading.read(action, next.text);
    this.#now = next;
    this.#step += 1;
  }
}

/** `a; go to x y; b`: the list in its own order, all `go to` entries at the place of the first. `help` is left out. */
export function foldActions(actions: readonly string[]): string {
  const entries: string[] = [];
  const places: string[] = [];
  for (const action of actions) {
    if (action === "help") continue;
    if (!action.startsWith("go to ")) {
      entries.push(action);
      continue;
    }
    if (places.length === 0) entries.push("");
    places.push(action.slice("go to ".length));
  }
  return entries.map((entry) => (entry === "" ? `go to ${places.join(" ")}` : entry)).join("; ");
}

/** A text-world's banner and task paragraph repeat what other lines say; runs of white space become one blank. */
function bareText(text: string): string {
  return text
    .split(/\n{2,}/)
    .filter((paragraph) => !/^\s*(?:-= |Your task is to: )/.test(paragraph))
    .join(" ")
    .replace(/\s+/g, " ")
    .trim();
}

/** At most HISTORY_CHARACTERS, in whole words where there is more than one. */
function cut(text: string): string {
  return text.length <= HISTORY_CHARACTERS
    ? text
    : text
        .slice(0, HISTORY_CHARACTERS + 1)
        .replace(/(\S)\s+\S*$/, "$1")
        .slice(0, HISTORY_CHARACTERS);
}

function bareTask(task: string): string {
  return task
    .replace(/^Your task is to: /, "")
    .replace(/\.$/, "")
    .replace(/\s+/g, " ")
    .trim();
}

function compactSkillPrompt(episode: EpisodeSummary): string {
  const actions = effectiveActions(episode).slice(-SKILL_ACTIONS);
  return `task: ${bareTask(episode.task)}\ndid: ${actions.join("; ")}\n${episode.success ? "won" : "lost"} in ${episode.steps.length} steps\nskill?`;
}
