/**
 * Porter's stemmer (M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980), with the two changes of its author's own
 * program that Lucene has too: "bli" for "abli", and "logi" to "log". Whatever is not one of aeiou (or y after a consonant) counts as a
 * consonant, digits and letters beyond ASCII included. Words of one or two units stay as they are.
 */

function isVowel(word: string, at: number): boolean {
  switch (word.charCodeAt(at)) {
    case 97: // a
    case 101: // e
    case 105: // i
    case 111: // o
    case 117: // u
      return true;
    case 121: // y
      return at > 0 && !isVowel(word, at - 1);
    default:
      return false;
  }
}

/** Number of vowel-consonant sequences in the first `length` units: the m of [C](VC)^m[V]. */
function measure(word: string, length: number): number {
  let count = 0;
  let previous = false;
  for (let at = 0; at < length; at++) {
    const vowel = isVowel(word, at);
    if (previous && !vowel) count++;
    previous = vowel;
  }
  return count;
}

function hasVowel(word: string, length: number): boolean {
  for (let at = 0; at < length; at++) if (isVowel(word, at)) return true;
  return false;
}

/** *d: ends with twice the same consonant. */
function endsDouble(word: string): boolean {
  const last = word.length - 1;
  return last > 0 && word.charCodeAt(last) === word.charCodeAt(last - 1) && !isVowel(word, last);
}

/** *o: the first `length` units end consonant, vowel, consonant, and the last is not w, x or y. */
function endsShort(word: string, length: number): boolean {
  const last = length - 1;
  if (last < 2 || isVowel(word, last) || !isVowel(word, last - 1) || isVowel(word, last - 2)) return false;
  const unit = word[last];
  return unit !== "w" && unit !== "x" && unit !== "y";
}

type Rule = readonly [suffix: string, replacement: string];

/** Rules by the suffix's last but one letter, which at most a few share; within one letter the first that ends the word decides. */
function byPenultimate(rules: readonly Rule[]): ReadonlyMap<string, readonly Rule[]> {
  const groups = new Map<string, Rule[]>();
  for (const rule of rules) {
    const letter = rule[0][rule[0].length - 2]!;
    groups.set(letter, [...(groups.get(letter) ?? []), rule]);
  }
  return groups;
}

const STEP_2 = byPenultimate([
  ["ational", "ate"],
  ["tional", "tion"],
  ["enci", "ence"],
  ["anci", "ance"],
  ["izer", "ize"],
  ["bli", "ble"],
  ["alli", "al"],
  ["entli", "ent"],
  ["eli", "e"],
  ["ousli", "ous"],
  ["ization", "ize"],
  ["ation", "ate"],
  ["ator", "ate"],
  ["alism", "al"],
  ["iveness", "ive"],
  ["fulness", "ful"],
  ["ousness", "ous"],
  ["aliti", "al"],
  ["iviti", "ive"],
  ["biliti", "ble"],
  ["logi", "log"],
]);
const STEP_3 = byPenultimate([
  ["icate", "ic"],
  ["ative", ""],
  ["alize", "al"],
  ["iciti", "ic"],
  ["ical", "ic"],
  ["ful", ""],
  ["ness", ""],
]);
const STEP_4 = byPenultimate(
  [
    "al",
    "ance",
    "ence",
    "er",
    "ic",
    "able",
    "ible",
    "ant",
    "ement",
    "ment",
    "ent",
    "sion",
    "tion",
    "ou",
    "ism",
    "ate",
    "iti",
    "ous",
    "ive",
    "ize",
  ].map((suffix) => [suffix, suffix === "sion" || suffix === "tion" ? suffix[0]! : ""] as const),
);

/** The word with the first suffix that it ends in replaced, when what stays has a measure above `least`. */
function replaceSuffix(word: string, rules: ReadonlyMap<string, readonly Rule[]>, least: number): string {
  const candidates = rules.get(word[word.length - 2] ?? "");
  const rule = candidates?.find(([suffix]) => word.endsWith(suffix));
  if (!rule) return word;
  const result = word.slice(0, word.length - rule[0].length) + rule[1];
  const stem = rules === STEP_4 ? result.length : word.length - rule[0].length;
  return measure(word, stem) > least ? result : word;
}

/** Plurals (1a), -ed and -ing (1b), y after a vowel in the stem (1c). */
function stepOne(word: string): string {
  let stem = word;
  if (stem.endsWith("sses") || stem.endsWith("ies")) stem = stem.slice(0, -2);
  else if (stem.endsWith("s") && stem[stem.length - 2] !== "s") stem = stem.slice(0, -1);
  if (stem.endsWith("eed")) {
    if (measure(stem, stem.length - 3) > 0) stem = stem.slice(0, -1);
  } else {
    const cut = stem.endsWith("ed") ? 2 : stem.endsWith("ing") ? 3 : 0;
    if (cut > 0 && hasVowel(stem, stem.length - cut)) stem = restored(stem.slice(0, -cut));
  }
  if (stem.endsWith("y") && hasVowel(stem, stem.length - 1)) stem = `${stem.slice(0, -1)}i`;
  return stem;
}

/** What -ed or -ing was taken from, spelt as a word again: hop(p), conflat(e), fil(e). */
function restored(stem: string): string {
  if (stem.endsWith("at") || stem.endsWith("bl") || stem.endsWith("iz")) return `${stem}e`;
  if (endsDouble(stem)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1);
  return measure(stem, stem.length) === 1 && endsShort(stem, stem.length) ? `${stem}e` : stem;
}

/** Final -e and -ll. */
function stepFive(word: string): string {
  let stem = word;
  if (stem.endsWith("e")) {
    const count = measure(stem, stem.length - 1);
    if (count > 1 || (count === 1 && !endsShort(stem, stem.length - 1))) stem = stem.slice(0, -1);
  }
  return stem.endsWith("ll") && measure(stem, stem.length) > 1 ? stem.slice(0, -1) : stem;
}

/** Stem of a lower-case word. */
export function stem(word: string): string {
  if (word.length <= 2) return word;
  const first = stepOne(word);
  return stepFive(replaceSuffix(replaceSuffix(replaceSuffix(first, STEP_2, 0), STEP_3, 0), STEP_4, 1));
}
