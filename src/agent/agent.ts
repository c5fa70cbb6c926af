/**
 * The agent seam: how observations become prompts and how replies become actions. Text in, text out: this side knows no
 * token, no policy, no environment by name. A template is chosen by config (`agent.template`).
 */
import type { Observation } from "../env/environment.js";

/** A skill as it is shown to and written by a policy: condition (when it applies) and strategy (what to do). */
export interface SkillText {
  readonly title: string;
  readonly condition: string;
  readonly strategy: string;
}

/** Chat message in the sense of a Hugging Face chat template. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** The outcome of reading a reply (spec: action projection). `span` holds character offsets of the action inside `text`. */
export interface ParsedAction {
  readonly action: string;
  /** False when the reply broke the format; the action is then a best effort that is sent all the same. */
  readonly valid: boolean;
  /** [start, end) of the text between the action tags, in characters of the reply; null when there is no such text. */
  readonly span: readonly [number, number] | null;
}

/** One executed step, as the memory of an episode keeps it. */
export interface StepRecord {
  readonly observation: Observation;
  readonly action: string;
  readonly valid: boolean;
}

/** What the skill writer is shown of a finished episode. */
export interface EpisodeSummary {
  readonly task: string;
  readonly taskType: string;
  readonly steps: readonly StepRecord[];
  readonly success: boolean;
}

/** A finished prompt builder for one episode: it keeps what the agent has read and done, nothing hidden. */
export interface Episode {
  /** The prompt for the present observation. With `skills` the retrieved skills stand in their own section. */
  prompt(skills?: readonly SkillText[]): readonly ChatMessage[];
  /** Takes the executed action and the observation it led to. */
  record(action: string, valid: boolean, next: Observation): void;
}

export interface AgentTemplate {
  readonly name: string;
  /** Response budget in tokens when the config does not set one. */
  readonly maxResponseTokens: number;
  begin(first: Observation, options: { readonly historyLength: number }): Episode;
  parse(reply: string): ParsedAction;
  /** Prompt that asks the policy to summarise a successful episode into skills. */
  skillPrompt(episode: EpisodeSummary): readonly ChatMessage[];
  /** Reads what the writer replied; unparsable items are dropped, so the result may be empty. */
  parseSkills(reply: string): readonly SkillText[];
}
