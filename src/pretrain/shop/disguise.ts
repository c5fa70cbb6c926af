/**
 * Gives the words and product numbers of an episode other names, each always the same one. A small set of products is learnt by heart within
 * minutes, and what was learnt by heart is of no use on products that were held out; under names that change from episode to episode
 * nothing but reading, comparing and copying helps. Words that the prompts, thoughts and skills are made of stay. Knows no page.
 */
import type { Rng } from "../../env/household/rng.js";

export interface DisguiseOptions {
  /** Names that words are given. */
  readonly words: readonly string[];
  /** Names that products are given, lower case. */
  readonly numbers: readonly string[];
  /** Lower case; never renamed and never given. */
  readonly kept: ReadonlySet<string>;
}

/** Letters only: digits and signs between them stay, so that `a2-gray` stays a value of that form. */
const NAMES = /\bb0[0-9a-z]{8}\b|\p{L}{2,}/giu;
const NUMBER = /^b0[0-9a-z]{8}$/i;
const MOST_TRIES = 100;

/** @param share probability that a word is renamed; product numbers always are */
export function disguise({ words, numbers, kept }: DisguiseOptions, share: number, rng: Rng): (text: string) => string {
  const names = new Map<string, string>();
  const given = new Set<string>();
  /** A name that nobody has; the word itself where there are too few. */
  const fresh = (word: string, draw: () => string): string => {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const name = draw();
      if (given.has(name) || kept.has(name)) continue;
      given.add(name);
      return name;
    }
    return word;
  };
  const nameOf = (word: string): string => {
    let name = names.get(word);
    if (name === undefined) {
      if (NUMBER.test(word)) name = fresh(word, () => rng.pick(numbers));
      else if (kept.has(word) || !rng.chance(share)) name = word;
      else name = fresh(word, () => rng.pick(words));
      names.set(word, name);
    }
    return name;
  };
  return (text) =>
    text.replace(NAMES, (word) => {
      const name = nameOf(word.toLowerCase());
      return word[0] === word[0]!.toLowerCase() ? name : name[0]!.toUpperCase() + name.slice(1);
    });
}
