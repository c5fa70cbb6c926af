/**
 * The short prompt for small policies on WebShop pages (about 150 tokens a step): task, skill, what was searched for and done, the page in
 * few words. Products are (title, price, asin) lines, titles and long texts cut to the words that matter, options folded by group with
 * what the agent chose, prices in whole dollars. Whatever can be clicked stands in brackets, spelt as in the action. Nothing hidden is
 * used: the agent's memory is made of pages and of its own actions.
 */
import type { Observation } from "../env/environment.js";
import type { AgentTemplate, ChatMessage, Episode, EpisodeSummary, SkillText } from "./agent.js";
import { FALLBACK_CHARACTERS, projectAction } from "./projection.js";
import { clicked, type ShopGroup, type ShopItem } from "./shop-page.js";
import { ShopReading, tellingWords } from "./shop-reading.js";
import { parseSkillLine, skillLine } from "./skills.js";

/** The first words of a title are shown, the others only where the task has them. */
const TITLE_HEAD = 3;
const TITLE_WORDS = 8;
/** Values shown of an option group: those nearest to the task. */
const GROUP_VALUES = 6;
/** Words shown of a sub page. */
const DETAIL_WORDS = 40;
/** Longer actions are cut in the list of what was done. */
const ACTION_CHARACTERS = 48;
/** The skill writer sees the last actions of the episode. */
const SKILL_ACTIONS = 12;

export const compactShop: AgentTemplate = {
  name: "compact-shop",
  maxResponseTokens: 64,
  begin: (first, { historyLength }) => new CompactShopEpisode(first, historyLength),
  parse: (reply) => projectAction(reply, FALLBACK_CHARACTERS.webshop),
  skillPrompt: (episode) => [{ role: "user", content: shopSkillPrompt(episode) }],
  parseSkills: parseSkillLine,
};

class CompactShopEpisode implements Episode {
  readonly #historyLength: number;
  readonly #reading: ShopReading;
  readonly #done: string[] = [];
  #now: Observation;

  constructor(first: Observation, historyLength: number) {
    this.#historyLength = historyLength;
    this.#reading = new ShopReading(first);
    this.#now = first;
  }

  prompt(skills: readonly SkillText[] = []): readonly ChatMessage[] {
    const { searched } = this.#reading;
    const lines = [`task: ${this.#now.task.replace(/\s+/g, " ").trim()}`];
    for (const skill of skills) lines.push(`skill: ${skillLine(skill)}`);
    if (searched !== "") lines.push(`searched: ${searched.slice(0, ACTION_CHARACTERS)}`);
    if (this.#done.length > 0) lines.push(`did: ${this.#done.join("; ")}${this.#reading.idle ? " (nothing happened)" : ""}`);
    lines.push(...this.#pageLines(), `can: ${bracketed(buttons(this.#now.actions ?? [], this.#reading))}`);
    return [{ role: "user", content: lines.join("\n") }];
  }

  record(action: string, _valid: boolean, next: Observation): void {
    this.#done.push(action.length <= ACTION_CHARACTERS ? action : `${action.slice(0, ACTION_CHARACTERS)}...`);
    if (this.#done.length > this.#historyLength) this.#done.shift();
    this.#reading.read(action, this.#now.text, next);
    this.#now = next;
  }

  #pageLines(): string[] {
    const { page, wanted, asin, detail, chosen } = this.#reading;
    switch (page.kind) {
      case "search":
        return ["page: search"];
      case "results":
        return [`page: results ${page.number}`, ...page.items.map((item) => this.#itemLine(item))];
      case "item":
        return [
          `page: item ${asin} ${shortTitle(page.title, wanted)} ${shortPrice(page.price)}${this.#noted(asin)}`,
          ...page.groups.map((group) => groupLine(group, wanted, chosen.get(group.name))),
        ];
      case "detail":
        return [`page: ${detail} of ${asin}`, shortTexts(page.texts, wanted)];
      case "other":
        return [`page: ${page.text.replace(/\s+/g, " ").slice(0, 2 * ACTION_CHARACTERS)}`];
    }
  }

  /** What is copied stands last: a causal model knows there what the whole line says. */
  #itemLine({ asin, title, price }: ShopItem): string {
    const seen = this.#reading.findings(asin) ? " seen" : "";
    return `${shortTitle(title, this.#reading.wanted)} ${shortPrice(price)}${seen}${this.#noted(asin)} [${asin}]`;
  }

  /** ` features ( fast charging ) reviews ( )`: what was read of a product, and the words of the task that stood there. */
  #noted(asin: string): string {
    return [...(this.#reading.findings(asin) ?? [])].map(([name, words]) => ` ${name} (${["", ...words].join(" ")} )`).join("");
  }
}

/** `[a] [b]`. */
function bracketed(names: readonly string[]): string {
  return names.map((name) => `[${name}]`).join(" ");
}

/** What can be done besides products and options: forms as `search[...]`, buttons by name. */
function buttons(actions: readonly string[], { page }: ShopReading): string[] {
  const elsewhere = new Set<string>();
  if (page.kind === "results") for (const { asin } of page.items) elsewhere.add(asin);
  if (page.kind === "item") for (const { values } of page.groups) for (const value of values) elsewhere.add(value);
  // A form such as search[<your query>] is named by what stands in front of its bracket.
  return actions
    .map((action) => /^click\[(.*)\]$/s.exec(action)?.[1] ?? action.replace(/\[.*$/s, ""))
    .filter((name, i, all) => !elsewhere.has(name.trim()) && all.indexOf(name) === i);
}

/** The first words, and after them those that the task has, too; each once. */
export function shortTitle(title: string, wanted: ReadonlySet<string>): string {
  const words: readonly string[] = title.toLowerCase().match(/[\p{L}\p{N}][\p{L}\p{N}'.-]*/gu) ?? [];
  return words
    .filter((word, i) => words.indexOf(word) === i && (i < TITLE_HEAD || shares(word, wanted)))
    .slice(0, TITLE_WORDS)
    .join(" ");
}

/**
 * Dollars rounded up, which keeps every comparison with a limit in whole dollars true; of a range both ends.
 */
export function shortPrice(price: string): string {
  return price.replace(/\$([\d.]+)/g, (_, value: string) => `$${Math.ceil(Number(value))}`).replace(" to $", "-");
}

/** `color: [red] [blue] chosen red`, the values nearest to the task in the group's own order. */
function groupLine({ name, values }: ShopGroup, wanted: ReadonlySet<string>, chosen: string | undefined): string {
  const near = [...values.keys()].sort((a, b) => nearness(values[b]!, wanted) - nearness(values[a]!, wanted) || a - b);
  const kept = new Set(near.slice(0, GROUP_VALUES));
  const shown = values.filter((_, i) => kept.has(i));
  const more = values.length > shown.length ? ` and ${values.length - shown.length} more` : "";
  return `${name}: ${bracketed(shown)}${more}${chosen === undefined ? "" : ` chosen ${chosen}`}`;
}

/** Share of a text's words that the task has. */
function nearness(text: string, wanted: ReadonlySet<string>): number {
  const words = tellingWords(text);
  return words.length === 0 ? 0 : words.filter((word) => wanted.has(word)).length / words.length;
}

function shares(text: string, wanted: ReadonlySet<string>): boolean {
  return tellingWords(text).some((word) => wanted.has(word));
}

/** Sentences and bullet points, those with words of the task first to stay, up to a number of words, in their own order. */
function shortTexts(texts: readonly string[], wanted: ReadonlySet<string>): string {
  const pieces = texts
    .flatMap((text) => text.split(/(?<=[.!?;:])\s+/))
    .map((piece) =>
      piece
        .toLowerCase()
        .split(/\s+/)
        .slice(0, DETAIL_WORDS / 2)
        .join(" ")
        .trim(),
    )
    .filter((piece) => piece !== "");
  const order = [...pieces.keys()].sort((a, b) => Number(shares(pieces[b]!, wanted)) - Number(shares(pieces[a]!, wanted)) || a - b);
  const kept = new Set<number>();
  let words = 0;
  for (const i of order) {
    words += pieces[i]!.split(" ").length;
    if (kept.size > 0 && words > DETAIL_WORDS) break;
    kept.add(i);
  }
  const shown = pieces.filter((_, i) => kept.has(i));
  return shown.length === 0 ? "nothing" : shown.join(" ; ");
}

function shopSkillPrompt({ task, steps, success }: EpisodeSummary): string {
  const did = steps.filter(({ observation: { text }, action, valid }, i) => {
    // A choice of an option does not show in the text; its value does.
    return valid && (steps[i + 1]?.observation.text !== text || text.split(" [SEP] ").includes(clicked(action) ?? ""));
  });
  const actions = did.slice(-SKILL_ACTIONS).map(({ action }) => action);
  return `task: ${task.replace(/\s+/g, " ").trim()}\ndid: ${actions.join("; ")}\n${success ? "won" : "lost"} in ${steps.length} steps\nskill?`;
}
