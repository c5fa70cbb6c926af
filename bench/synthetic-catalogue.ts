/**
 * Makes WebShop data files of any size in the published format, from its own words: for measuring what large catalogues cost. The
 * numbers behind it are those of the real 1,000 products (about 108 indexed terms a product, half of the products with options, four in
 * ten with an instruction). The same seed gives the same bytes. Streams: a million products need no memory.
 */
import { once } from "node:events";
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { createGzip } from "node:zlib";

export interface SyntheticOptions {
  readonly folder: string;
  readonly products: number;
  readonly seed: number;
  readonly gzip: boolean;
  readonly onProgress?: (products: number) => void;
}

type Random = () => number;

/** mulberry32. */
function randomNumbers(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const ONSETS = ["b", "br", "c", "d", "f", "g", "gl", "h", "k", "l", "m", "n", "p", "pr", "r", "s", "st", "t", "tr", "v", "w", "z"];
const VOWELS = ["a", "e", "i", "o", "u", "ea", "oo"];
const CODAS = ["", "l", "m", "n", "nd", "r", "s", "st", "t", "x"];
const ENDINGS = ["", "", "", "s", "ing", "ed", "er", "ness", "able", "al"];
/** Words that most sentences hold. */
const COMMON = ["the", "and", "for", "with", "of", "a", "is", "to", "in", "or"];
const CATEGORIES = ["beauty", "electronics", "garden", "fashion", "grocery"];
const COLOURS = ["black", "white", "red", "blue", "green", "pink", "grey", "brown", "navy", "beige", "purple", "yellow"];
const SIZES = ["small", "medium", "large", "x-large", "xx-large", "6", "7", "8", "9", "10", "one size"];

/** The word of a rank; equal for equal ranks, and nearly always different for different ones. */
function wordOf(rank: number): string {
  const random = randomNumbers(rank * 7919 + 13);
  const pick = (list: readonly string[]): string => list[Math.floor(random() * list.length)]!;
  const syllables = rank < 300 ? 1 : rank < 30_000 ? 2 : 3;
  let word = "";
  for (let i = 0; i < syllables; i++) word += pick(ONSETS) + pick(VOWELS) + pick(CODAS);
  return word + pick(ENDINGS);
}

const LAST_RANK = 3_000_000;
/** Ranks below this are kept as words. */
const KEPT_WORDS = 200_000;

class Vocabulary {
  private readonly words: string[] = [];

  constructor(private readonly random: Random) {}

  /** A word by Zipf's law; some are numbers or model names. */
  word(): string {
    const u = this.random();
    if (u < 0.25) return COMMON[Math.floor((u / 0.25) * COMMON.length)]!;
    if (u < 0.29) return String(1 + Math.floor(this.random() * 500));
    if (u < 0.295) return `${wordOf(Math.floor(this.random() * 300)).slice(0, 2)}${1000 + Math.floor(this.random() * 900_000)}`;
    // P(rank > r) = (1 + r / 40) ** -0.4: close to the document frequencies of the real products' terms.
    const rank = Math.min(LAST_RANK, Math.floor(40 * ((1 - this.random()) ** -2.5 - 1)));
    if (rank >= KEPT_WORDS) return wordOf(rank);
    let word = this.words[rank];
    if (word === undefined) {
      word = wordOf(rank);
      this.words[rank] = word;
    }
    return word;
  }

  phrase(words: number): string {
    return Array.from({ length: words }, () => this.word()).join(" ");
  }
}

/** An output file that waits when the disk is slower. */
class JsonFile {
  private readonly target: Writable;
  private readonly ended: Promise<unknown>;
  private pending: string[] = [];
  private parts = 0;

  constructor(
    folder: string,
    name: string,
    gzip: boolean,
    private readonly brackets: string,
  ) {
    const file = createWriteStream(join(folder, gzip ? `${name}.gz` : name));
    this.ended = once(file, "close");
    this.target = gzip ? createGzip({ level: 1 }) : file;
    if (gzip) this.target.pipe(file);
  }

  async add(part: string): Promise<void> {
    this.pending.push(this.parts++ === 0 ? this.brackets[0]! : ", ", part);
    if (this.pending.length >= 1000) await this.flush();
  }

  private async flush(): Promise<void> {
    if (!this.target.write(this.pending.join(""))) await once(this.target, "drain");
    this.pending = [];
  }

  async close(): Promise<void> {
    this.pending.push(this.parts === 0 ? this.brackets : this.brackets[1]!);
    await this.flush();
    this.target.end();
    await this.ended;
  }
}

const asinOf = (number: number): string => `B${number.toString(36).toUpperCase().padStart(9, "0")}`;

interface Made {
  readonly record: object;
  readonly instruction: { readonly text: string; readonly attributes: readonly string[] } | undefined;
  readonly attributes: readonly string[];
}

function makeProduct(asin: string, vocabulary: Vocabulary, random: Random): Made {
  const between = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
  const some = (list: readonly string[], least: number): string[] => {
    const start = between(0, list.length - least);
    return list.slice(start, start + between(least, list.length - start));
  };
  const image = (): string =>
    `https://images.example.com/i/${between(10 ** 6, 10 ** 7 - 1).toString(36)}${between(10 ** 6, 10 ** 7 - 1)}.jpg`;
  const query = vocabulary.phrase(2);
  const low = between(300, 15_000) / 100;
  const groups: Record<string, { readonly value: string; readonly image: string | null }[]> = {};
  if (random() < 0.42)
    groups.color = some(COLOURS, 2).map((colour) => ({
      value: `${colour} ${random() < 0.2 ? vocabulary.word() : ""}`.trim(),
      image: image(),
    }));
  if (random() < 0.35) groups.size = some(SIZES, 2).map((value) => ({ value, image: null }));
  const attributes = Array.from({ length: between(0, 5) }, () => vocabulary.phrase(2));
  const wanted = attributes.slice(0, between(1, 3));
  return {
    record: {
      name: vocabulary.phrase(between(8, 24)),
      full_description: random() < 0.3 ? "" : vocabulary.phrase(between(30, 210)),
      pricing: random() < 0.1 ? "" : random() < 0.1 ? `$${low.toFixed(2)}$${(low * 1.5).toFixed(2)}` : `$${low.toFixed(2)}`,
      images: Array.from({ length: between(1, 7) }, image),
      product_category: Array.from({ length: 3 }, () => vocabulary.phrase(2)).join(" \u203a "),
      small_description: Array.from({ length: between(1, 6) }, () => vocabulary.phrase(between(8, 30))),
      customization_options: Object.keys(groups).length > 0 ? groups : "",
      asin,
      category: CATEGORIES[between(0, 4)],
      query,
    },
    attributes,
    instruction: wanted.length > 0 && random() < 0.5 ? { text: `Find me ${wanted.join(", ")} ${query}`, attributes: wanted } : undefined,
  };
}

/** Writes items_shuffle.json, items_ins_v2.json and items_human_ins.json (with .gz when asked). */
export async function makeCatalogue({ folder, products, seed, gzip, onProgress }: SyntheticOptions): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const random = randomNumbers(seed);
  const vocabulary = new Vocabulary(random);
  const items = new JsonFile(folder, "items_shuffle.json", gzip, "[]");
  const entries = new JsonFile(folder, "items_ins_v2.json", gzip, "{}");
  const humans = new JsonFile(folder, "items_human_ins.json", gzip, "{}");
  // ASINs in no order: a step that has no common factor with their number visits each once.
  for (let i = 0; i < products; i++) {
    const asin = asinOf((i * 48_271) % 2_147_483_647);
    const { record, attributes, instruction } = makeProduct(asin, vocabulary, random);
    await items.add(JSON.stringify(record));
    const entry = { attributes, ...(instruction && { instruction: instruction.text, instruction_attributes: instruction.attributes }) };
    await entries.add(`${JSON.stringify(asin)}: ${JSON.stringify(entry)}`);
    if (instruction && i % 100 === 0) {
      const human = { asin, instruction: instruction.text, instruction_attributes: instruction.attributes, instruction_options: [] };
      await humans.add(`${JSON.stringify(asin)}: ${JSON.stringify([human])}`);
    }
    if ((i + 1) % 10_000 === 0) onProgress?.(i + 1);
  }
  for (const file of [items, entries, humans]) await file.close();
}
