/**
 * The nouns of product titles, which decide whether two products are of one type. The original asks spaCy; here wink-nlp's lite English
 * model tags them (the same nouns in most titles, not all), or they come as data: a JSON object from title to list, gzipped or not.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { WinkMethods } from "wink-nlp";
import { SiriError } from "../../errors.js";
import { boundedCache } from "../textworld/cache.js";

/** A table of one property of words: values by number, numbers by value. Numbers from `intrinsicSize` on were added by texts. */
interface WordTable {
  readonly hash: Record<string, number>;
  readonly list: string[];
  readonly intrinsicSize: number;
  index: number;
}

/** The part of wink's core model (version 1.8.1) that texts write to. */
interface CoreModel {
  readonly features: Readonly<Record<"lexeme" | "prefix" | "suffix" | "shape", WordTable>>;
}

/** New words that one tagger may number: wink packs numbers into 20 bits, and every one costs some 90 bytes. */
const MOST_NEW_WORDS = 100_000;

/** Loaded when first needed: it takes a third of a second that a session without purchases does not need. */
function loadWink(): () => Tagger {
  const require = createRequire(import.meta.url);
  const wink = require("wink-nlp") as typeof import("wink-nlp").default;
  const model = require("wink-eng-lite-web-model") as typeof import("wink-eng-lite-web-model").default;
  const { core: makeCore, ...loaders } = model as unknown as Record<string, () => unknown>;
  // One of the loaders doubles its data with every call: all are called once.
  const loaded = Object.entries(loaders).map(([name, load]) => {
    if (!["sbd", "pos", "ner", "negation", "sa", "metaCER"].includes(name)) return [name, load] as const;
    const part = load();
    return [name, () => part] as const;
  });
  return () => {
    const core = makeCore?.() as CoreModel;
    return new Tagger(wink({ ...Object.fromEntries(loaded), core: () => core } as unknown as Parameters<typeof wink>[0], ["pos"]), core);
  };
}

/** wink's tagger without memory. As it comes it splits a word in two or not depending on the texts it has read before. */
class Tagger {
  private known: number;

  constructor(
    private readonly wink: WinkMethods,
    private readonly core: CoreModel,
  ) {
    this.known = core.features.lexeme.list.length;
  }

  get newWords(): number {
    return this.known - this.core.features.lexeme.intrinsicSize;
  }

  nouns(title: string): readonly string[] {
    const { its } = this.wink;
    const tokens = this.wink.readDoc(title).tokens();
    const tags = tokens.out(its.pos) as readonly string[];
    const words = tokens.out(its.value) as readonly string[];
    this.forget();
    return words.filter((_, i) => tags[i] === "NOUN" || tags[i] === "PROPN").map((word) => word.toLowerCase());
  }

  /** Makes the words of the last text unknown again. Their numbers stay taken: wink has private tables that follow them. */
  private forget(): void {
    const { lexeme, prefix, suffix, shape } = this.core.features;
    for (; this.known < lexeme.list.length; this.known++) delete lexeme.hash[lexeme.list[this.known] as string];
    for (const table of [prefix, suffix, shape]) {
      for (const value of table.list.splice(table.intrinsicSize)) delete table.hash[value];
      table.index = table.intrinsicSize;
    }
  }
}

let makeTagger: (() => Tagger) | undefined;

/**
 * Gives a function from a title to its common and proper nouns as wink-nlp tags them: lower case, in order, repeated ones kept. The
 * answer depends on nothing but the title. About 0.2 ms a title.
 * @param mostNewWords words outside wink's lexicon after which a fresh tagger takes over (a third of a second), so that memory stays bounded
 */
export function nounTagger(mostNewWords = MOST_NEW_WORDS): (title: string) => readonly string[] {
  let tagger: Tagger | undefined;
  return (title) => {
    if (!tagger || tagger.newWords > mostNewWords) {
      makeTagger ??= loadWink();
      tagger = makeTagger();
    }
    return tagger.nouns(title);
  };
}

/** The tagger that all shops of a process share. */
export const tagNouns = nounTagger();

/**
 * Reads noun lists for known titles.
 * @param path a JSON object from title to list of nouns in lower case; gzipped when the name ends in ".gz"
 * @throws SiriError WEBSHOP_NOUNS
 */
export function readNounLists(path: string): ReadonlyMap<string, readonly string[]> {
  const wrong = (problem: string, cause?: unknown) => new SiriError("WEBSHOP_NOUNS", `noun lists ${path}: ${problem}`, { cause });
  let lists: unknown;
  try {
    const bytes = readFileSync(path);
    lists = JSON.parse((path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8"));
  } catch (error) {
    throw wrong(`cannot be read as JSON: ${error instanceof Error ? error.message : error}`, error);
  }
  if (typeof lists !== "object" || lists === null || Array.isArray(lists)) throw wrong("must hold one object, from title to list of nouns");
  const known = new Map<string, readonly string[]>();
  for (const [title, nouns] of Object.entries(lists as Readonly<Record<string, unknown>>)) {
    if (!Array.isArray(nouns) || nouns.some((noun) => typeof noun !== "string"))
      throw wrong(`title "${title}" must have a list of strings`);
    known.set(title, nouns as readonly string[]);
  }
  return known;
}

/** The noun lists that a data folder may hold beside the original files: `title_nouns.json` or `title_nouns_wink.json`, gzipped or not. */
export function findNounLists(folder: string): string | undefined {
  const names = ["title_nouns.json", "title_nouns_wink.json"].flatMap((name) => [name, `${name}.gz`]);
  return names.map((name) => join(folder, name)).find((path) => existsSync(path));
}

/** The nouns of one title. */
export interface TitleNouns {
  /** How many there are, repeated ones counted every time. */
  readonly count: number;
  readonly set: ReadonlySet<string>;
}

/** Gives the nouns of a title. */
export type NounsOf = (title: string) => TitleNouns;

/**
 * Nouns from lists where they are known, tagged otherwise; the latest are kept at hand.
 * @param known title to nouns, see `readNounLists`
 * @param kept number of titles to keep
 */
export function nounsOf(known: ReadonlyMap<string, readonly string[]> = new Map(), kept = 32_768): NounsOf {
  const cache = boundedCache<string, TitleNouns>(kept);
  return (title) =>
    cache.get(title, () => {
      const nouns = known.get(title) ?? tagNouns(title);
      return { count: nouns.length, set: new Set(nouns) };
    });
}
