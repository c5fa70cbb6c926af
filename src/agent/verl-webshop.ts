/**
 * The WebShop prompt of verl-agent (Apache-2.0), so that policies trained under it and results published with it can be compared. What it
 * says is part of the protocol and is held to recorded prompts by a test, character by character; only the section of retrieved skills,
 * which that prompt does not have, is ours. Needs an environment whose observations are WebShop's `text` pages.
 */
import type { Observation } from "../env/environment.js";
import type { AgentTemplate, ChatMessage, Episode, SkillText } from "./agent.js";
import { FALLBACK_CHARACTERS, projectAction } from "./projection.js";
import { verl } from "./verl.js";

/** Code points; a longer prompt is shown without history. */
const MAX_PROMPT_CHARACTERS = 13_000;

export const verlWebshop: AgentTemplate = {
  name: "verl-webshop",
  maxResponseTokens: 512,
  begin: (first, { historyLength }) => new VerlWebshopEpisode(first, historyLength),
  parse: (reply) => projectAction(reply, FALLBACK_CHARACTERS.webshop),
  skillPrompt: verl.skillPrompt,
  parseSkills: verl.parseSkills,
};

class VerlWebshopEpisode implements Episode {
  readonly #historyLength: number;
  readonly #history: { readonly step: number; readonly page: string; readonly action: string }[] = [];
  #taken = 0;
  #now: Observation;

  constructor(first: Observation, historyLength: number) {
    this.#historyLength = historyLength;
    this.#now = first;
  }

  prompt(skills: readonly SkillText[] = []): readonly ChatMessage[] {
    const { text, task, actions = [] } = this.#now;
    const page = quotedPage(text, task);
    const list = actions.map((action) => `'${action}',`).join("\n");
    const assignment = `Your task is to: ${task}.\n${skillSection(skills)}`;
    const end =
      `Your admissible actions of the current situation are: \n[\n${list}\n].\n\n` +
      "Now it's your turn to take one action for the current step.\n" +
      "You should first reason step-by-step about the current situation, then think carefully which admissible action best advances the " +
      "shopping goal. This reasoning process MUST be enclosed within <think> </think> tags. \n" +
      "Once you've finished your reasoning, you should choose an admissible action for current step and present it within <action> </action> " +
      "tags.\n";
    const bare = `\n${ROLE} \n${assignment}Your current observation is: ${page}.\n${end}`;
    if (this.#taken === 0 || this.#historyLength === 0) return [{ role: "user", content: bare }];
    const past = this.#history.map(({ step, page: seen, action }) => `[Observation ${step}: '${seen}', Action ${step}: '${action}']`);
    const whole =
      `\n${ROLE}\n${assignment}Prior to this step, you have already taken ${this.#taken} step(s). Below are the most recent ${past.length} ` +
      `observations and the corresponding actions you took: ${past.join("\n")}\n` +
      `You are now at step ${this.#taken + 1} and your current observation is: ${page}.\n${end}`;
    return [{ role: "user", content: codePoints(whole) > MAX_PROMPT_CHARACTERS ? bare : whole }];
  }

  record(action: string, _valid: boolean, next: Observation): void {
    this.#taken += 1;
    this.#history.push({ step: this.#taken, page: quotedPage(this.#now.text, this.#now.task), action });
    if (this.#history.length > this.#historyLength) this.#history.shift();
    this.#now = next;
  }
}

const ROLE = "You are an expert autonomous agent operating in the WebShop e‑commerce environment.";

/** The parts of a page after the instruction, each in quotes; a page without the instruction as it is. */
export function quotedPage(text: string, task: string): string {
  const parts = text.split(" [SEP] ");
  const at = parts.indexOf(task);
  if (at < 0) return text;
  return parts
    .slice(at + 1)
    .map((part) => `'${part}'`)
    .join(" [SEP] ");
}

function skillSection(skills: readonly SkillText[]): string {
  if (skills.length === 0) return "";
  const items = skills.map((skill, i) => `${i + 1}. ${skill.title}. When it applies: ${skill.condition} What to do: ${skill.strategy}\n`);
  return `Experience from earlier episodes that may help:\n${items.join("")}`;
}

/** Length as Python counts it. */
function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
