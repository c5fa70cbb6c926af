/**
 * The long prompts for instruct models, in the structure of the ALFWorld prompts of verl-agent (spec 2.5; the words are ours). First step:
 * role, observation, admissible actions, reply format. Later steps: the task and the last steps go before. One user message per step.
 * `verl` is for any environment; `verl-alfworld` says which one it is.
 */
import type { Observation } from "../env/environment.js";
import type { AgentTemplate, ChatMessage, Episode, EpisodeSummary, SkillText } from "./agent.js";
import { projectAction } from "./projection.js";
import { parseSkillJson } from "./skills.js";

/** Observations in the skill writer's transcript are cut to this length. */
const TRANSCRIPT_CHARACTERS = 300;

export const verl = verlTemplate("verl", "solves tasks in an interactive text environment");
export const verlAlfworld = verlTemplate(
  "verl-alfworld",
  "does household tasks in ALFWorld, a simulated home that is reached by text alone",
);

/** @param role what the agent does and where, as the end of "You are an agent that" */
function verlTemplate(name: string, role: string): AgentTemplate {
  return {
    name,
    maxResponseTokens: 512,
    begin: (first, { historyLength }) => new VerlEpisode(role, first, historyLength),
    parse: (reply) => projectAction(reply),
    skillPrompt: (episode) => [{ role: "user", content: verlSkillPrompt(episode) }],
    parseSkills: parseSkillJson,
  };
}

class VerlEpisode implements Episode {
  readonly #role: string;
  readonly #historyLength: number;
  readonly #history: { readonly step: number; readonly text: string; readonly action: string }[] = [];
  #step = 1;
  #now: Observation;

  constructor(role: string, first: Observation, historyLength: number) {
    this.#role = role;
    this.#historyLength = historyLength;
    this.#now = first;
  }

  prompt(skills: readonly SkillText[] = []): readonly ChatMessage[] {
    const { text, task, actions } = this.#now;
    const isFirst = this.#step === 1;
    const parts = [`You are an agent that ${this.#role}, one action at a time.`];
    // The first observation of a text game ends with the task; where it does not, the agent must hear of it all the same.
    if (!isFirst || !text.includes(task.trim())) parts.push(`Your task is: ${task.trim()}`);
    if (skills.length > 0) {
      const items = skills.map(
        (skill, i) => `${i + 1}. ${skill.title}\n   When it applies: ${skill.condition}\n   What to do: ${skill.strategy}`,
      );
      parts.push(`Experience from earlier episodes that may help:\n${items.join("\n")}`);
    }
    if (!isFirst) {
      const taken = this.#step - 1;
      const lines = this.#history.map((past) => `Observation ${past.step}: ${past.text}\nAction ${past.step}: ${past.action}`);
      const latest = lines.length > 0 ? ` The latest ${lines.length === 1 ? "one was" : `${lines.length} were`}:\n${lines.join("\n")}` : "";
      parts.push(`You have taken ${taken} step${taken === 1 ? "" : "s"} so far.${latest}`);
    }
    parts.push(`${isFirst ? "" : `You are now at step ${this.#step}. `}Your current observation is:\n${text.trim()}`);
    if (actions) {
      const list = actions.filter((action) => action !== "help").map((action) => `'${action}'`);
      parts.push(`The admissible actions in this situation are:\n[${list.join(",\n ")}]`);
    }
    parts.push(
      `Reason about the situation step by step inside <think> </think> tags. Then give exactly one ${actions ? "admissible " : ""}action for this step inside <action> </action> tags.`,
    );
    return [{ role: "user", content: parts.join("\n\n") }];
  }

  record(action: string, _valid: boolean, next: Observation): void {
    this.#history.push({ step: this.#step, text: this.#now.text.trim(), action });
    if (this.#history.length > this.#historyLength) this.#history.shift();
    this.#now = next;
    this.#step += 1;
  }
}

function verlSkillPrompt(episode: EpisodeSummary): string {
  const lines = episode.steps.map(({ observation, action }, i) => {
    const text = observation.text.replace(/\s+/g, " ").trim();
    const cut = text.length > TRANSCRIPT_CHARACTERS ? `${text.slice(0, TRANSCRIPT_CHARACTERS)}...` : text;
    return `Observation ${i + 1}: ${cut}\nAction ${i + 1}: ${action}`;
  });
  return [
    `Below is an episode in which an agent ${episode.success ? "solved" : "failed"} a task of the kind "${episode.taskType}".`,
    `Task: ${episode.task.trim()}`,
    lines.join("\n"),
    "Summarise what made the difference as at most three short skills that would help on other tasks of this kind. " +
      "State general strategy, not the names or numbers of this one episode.",
    "Reply with a JSON list and nothing else. Each item has exactly these fields:\n" +
      '[{"title": "three to five words", "when_to_apply": "the condition, one sentence", "principle": "what to do, one or two sentences"}]',
  ].join("\n\n");
}
