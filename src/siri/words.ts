/**
 * How alike two short English texts are: the cosine of their word counts. Nothing is downloaded and nothing is learnt; enough to match
 * "when something must be cleaned" with "put a clean tomato in cabinet".
 */

/** Words that say nothing about what a text is about. */
const COMMON = new Set(
  "a an the in on at to of it its and or is be it must should some any with for from this that when you your".split(" "),
);

/** Words in lower case, without digits. */
function words(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}]+/gu) ?? [];
}

/** Cuts the commonest endings of words longer than four letters: cleaned, cleaning, cleans -> clean. */
function stem(word: string): string {
  return word.length > 4 ? word.replace(/(?:ing|ed|es|s|e)$/, "") : word;
}

/** Cosine in [0, 1] of two texts by all their words. */
export function textSimilarity(a: string, b: string): number {
  return cosine(words(a), words(b));
}

/** Cosine in [0, 1] of two texts by the stems of their telling words; 0 when one of them has none. */
export function topicSimilarity(a: string, b: string): number {
  const telling = (text: string) =>
    words(text)
      .filter((word) => !COMMON.has(word))
      .map(stem);
  return cosine(telling(a), telling(b));
}

function cosine(a: readonly string[], b: readonly string[]): number {
  const [countA, countB] = [counts(a), counts(b)];
  let dot = 0;
  for (const [word, n] of countA) dot += n * (countB.get(word) ?? 0);
  const norm = Math.sqrt(squares(countA) * squares(countB));
  return norm === 0 ? 0 : dot / norm;
}

function counts(list: readonly string[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const word of list) found.set(word, (found.get(word) ?? 0) + 1);
  return found;
}

function squares(found: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const n of found.values()) sum += n * n;
  return sum;
}
