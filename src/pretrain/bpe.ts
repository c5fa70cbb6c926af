/**
 * Trains a byte-level BPE on texts and writes it as a standard tokenizer.json (Sennrich et al., arXiv 1508.07909; GPT-2's
 * bytes and pre-tokens: letters, a number, or punctuation, each with the blank before it; a newline). Knows no model.
 */
import { BYTE_TO_CHARACTER } from "../policy/tokenizer.js";

/** GPT-2's pre-token pattern, which a `ByteLevel` pre-tokenizer with `use_regex` stands for. */
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** Added tokens: `special` ones frame messages and are no part of a reply's text, `markup` ones are. */
export interface AddedTokens {
  readonly special: readonly string[];
  readonly markup: readonly string[];
}

export interface BpeOptions {
  /** Bound on all tokens: added, 256 bytes, merges. */
  readonly maxVocabulary: number;
  /** Pairs that occur less often are not merged. */
  readonly minFrequency: number;
}

/** A word being merged: its symbols and how often it occurs. */
interface Word {
  symbols: string[];
  readonly count: number;
}

/** The content of a tokenizer.json. Ids: added tokens, then bytes, then merges in their order. Deterministic in `texts`. */
export function trainBpe(texts: Iterable<string>, added: AddedTokens, options: BpeOptions): Record<string, unknown> {
  const markers = [...added.special, ...added.markup];
  const words = countWords(texts, markers);
  const tokens = [...markers, ...BYTE_TO_CHARACTER];
  const merges: [string, string][] = [];
  while (tokens.length < options.maxVocabulary) {
    const best = mostFrequentPair(words);
    if (!best || best.count < options.minFrequency) break;
    const [left, right] = best.pair;
    for (const word of words) merge(word, left, right);
    merges.push([left, right]);
    tokens.push(left + right);
  }
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: markers.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: id < added.special.length,
    })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

function countWords(texts: Iterable<string>, markers: readonly string[]): Word[] {
  const split = new RegExp(markers.map((marker) => marker.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"));
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const section of text.split(split)) {
      for (const word of section.match(WORDS) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return [...counts].map(([word, count]) => ({
    symbols: Array.from(Buffer.from(word, "utf8"), (byte) => BYTE_TO_CHARACTER[byte]!),
    count,
  }));
}

/** Ties go to the pair that comes first in code-unit order, so that the order of the texts does not matter. */
function mostFrequentPair(words: readonly Word[]): { readonly pair: readonly [string, string]; readonly count: number } | null {
  const counts = new Map<string, number>();
  for (const { symbols, count } of words) {
    for (let i = 0; i + 1 < symbols.length; i++) {
      const key = `${symbols[i]} ${symbols[i + 1]}`; // no symbol holds a blank: a blank byte is spelt U+0120
      counts.set(key, (counts.get(key) ?? 0) + count);
    }
  }
  let best: string | null = null;
  let most = 0;
  for (const [key, count] of counts) {
    if (count > most || (count === most && best !== null && key < best)) {
      best = key;
      most = count;
    }
  }
  return best === null ? null : { pair: best.split(" ") as [string, string], count: most };
}

function merge(word: Word, left: string, right: string): void {
  if (!word.symbols.includes(left)) return;
  const merged: string[] = [];
  for (let i = 0; i < word.symbols.length; i++) {
    if (word.symbols[i] === left && word.symbols[i + 1] === right) {
      merged.push(left + right);
      i += 1;
    } else merged.push(word.symbols[i]!);
  }
  word.symbols = merged;
}
