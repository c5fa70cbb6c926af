/**
 * From a text to the terms of the index, as Anserini's default analyzer does it: words, without an English possessive, in lower case,
 * without stop words, stemmed.
 */
import { stem } from "./porter.js";
import { tokenize } from "./tokenizer.js";

/** Lucene's EnglishAnalyzer.ENGLISH_STOP_WORDS_SET. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was will with".split(
    " ",
  ),
);

const POSSESSIVE = /['\u2019\uff07][sS]$/;
const BEYOND_ASCII = /[^\0-\x7f]/;

/** Character by character as Java does it: no final sigma, and a dotted capital I loses its dot. */
function lowerCase(word: string): string {
  if (!BEYOND_ASCII.test(word)) return word.toLowerCase();
  return Array.from(word, (character) => (character === "\u0130" ? "i" : character.toLowerCase())).join("");
}

/** The term of one word; empty for a stop word. */
export function termOf(word: string): string {
  const lower = lowerCase(POSSESSIVE.test(word) ? word.slice(0, -2) : word);
  return STOP_WORDS.has(lower) ? "" : stem(lower);
}

/** Terms of a text in order, repeated ones repeated. */
export function analyze(text: string): string[] {
  const terms: string[] = [];
  tokenize(text, (word) => {
    const term = termOf(word);
    if (term !== "") terms.push(term);
  });
  return terms;
}
