/**
 * How alike two short texts are, in the measure that WebShop rewards by: thefuzz's `token_set_ratio` (version 0.19 without
 * python-Levenshtein) over Python's `difflib`, number for number. Knows nothing of shops.
 */
import { compareCodePoints, roundHalfEven } from "./python/text.js";

type Sequence = ArrayLike<number>;

/** The code points of a text. */
export function codePoints(text: string): Uint32Array {
  const points = new Uint32Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i) as number;
    if (point > 0xffff) i++;
    points[length++] = point;
  }
  return length === text.length ? points : points.slice(0, length);
}

/** From this length of the second sequence on, difflib takes elements in more than 1 % of the places to say nothing ("autojunk"). */
const AUTOJUNK_LENGTH = 200;

/** The places of each element in `b`, ascending, without those that autojunk drops. */
function placesOf(b: Sequence): Map<number, number[]> {
  const places = new Map<number, number[]>();
  for (let j = 0; j < b.length; j++) {
    const element = b[j] as number;
    const known = places.get(element);
    if (known) known.push(j);
    else places.set(element, [j]);
  }
  if (b.length >= AUTOJUNK_LENGTH) {
    const most = Math.floor(b.length / 100) + 1;
    for (const [element, list] of places) if (list.length > most) places.delete(element);
  }
  return places;
}

/**
 * Number of elements in difflib's matching blocks of `a` and `b`, M in its `ratio` of 2M / (length of both): the longest common run (the earliest in `a`, then in `b`), then the
 * same on both sides of it. Dropped elements start no run but lengthen one. Not symmetric.
 */
export function matchedElements(a: Sequence, b: Sequence): number {
  const places = placesOf(b);
  // Length of the run that ends at (i, j), for the row i - 1 and the row i; entry j + 1.
  let before = new Uint32Array(b.length + 1);
  let now = new Uint32Array(b.length + 1);
  const pending: number[] = [0, a.length, 0, b.length];
  let matched = 0;
  while (pending.length > 0) {
    const [aLow, aHigh, bLow, bHigh] = pending.splice(-4) as [number, number, number, number];
    let [start, other, size] = [aLow, bLow, 0];
    before.fill(0, bLow, bHigh + 1);
    for (let i = aLow; i < aHigh; i++) {
      now.fill(0, bLow, bHigh + 1);
      for (const j of places.get(a[i] as number) ?? []) {
        if (j < bLow) continue;
        if (j >= bHigh) break;
        // Entry bLow stands for what lies before the range and is never set.
        const length = (before[j] as number) + 1;
        now[j + 1] = length;
        if (length > size) [start, other, size] = [i - length + 1, j - length + 1, length];
      }
      [before, now] = [now, before];
    }
    while (start > aLow && other > bLow && a[start - 1] === b[other - 1]) [start, other, size] = [start - 1, other - 1, size + 1];
    while (start + size < aHigh && other + size < bHigh && a[start + size] === b[other + size]) size++;
    if (size === 0) continue;
    matched += size;
    if (aLow < start && bLow < other) pending.push(aLow, start, bLow, other);
    if (start + size < aHigh && other + size < bHigh) pending.push(start + size, aHigh, other + size, bHigh);
  }
  return matched;
}

/** `ratio` of difflib in whole per cent, from the matched elements and the length of both texts. */
function percent(matched: number, total: number): number {
  return roundHalfEven(100 * ((2 * matched) / total));
}

/** `fuzz.ratio`: whole per cent, or 0 when the lengths alone keep it from being above `threshold`. */
function ratio(a: string, b: string, threshold: number): number {
  if (a === b) return 100;
  const [left, right] = [codePoints(a), codePoints(b)];
  const total = left.length + right.length;
  if (percent(Math.min(left.length, right.length), total) <= threshold) return 0;
  return percent(matchedElements(left, right), total);
}

/** A text as it is compared. */
interface Words {
  /** The different words, in the order of code points. */
  readonly words: readonly string[];
  /** Code points of the words with one space between each two. */
  readonly length: number;
  /** How many of these code points fall into each of 32 classes: what two bags share bounds what their texts can. */
  readonly bag: Uint16Array;
}

const MOST_TEXTS = 16_384;
const texts = new Map<string, Words>();

function wordsOf(text: string): Words {
  let known = texts.get(text);
  if (known) return known;
  const parts = text
    .replace(/[\x80-\xff]/g, "")
    .replace(/[^\p{L}\p{N}_]+/gu, " ")
    .toLowerCase()
    .split(" ");
  const words = [...new Set(parts)].filter((word) => word !== "").sort(compareCodePoints);
  const points = codePoints(words.join(" "));
  const bag = new Uint16Array(32);
  for (const point of points) (bag[point % 32] as number)++;
  known = { words, length: points.length, bag };
  if (texts.size === MOST_TEXTS) texts.clear();
  texts.set(text, known);
  return known;
}

function sharedPoints(a: Words, b: Words): number {
  let shared = 0;
  for (let i = 0; i < 32; i++) shared += Math.min(a.bag[i] as number, b.bag[i] as number);
  return shared;
}

/** `fuzz.token_set_ratio(a, b)`: whole, in [0, 100]. 100 when one text's words are all in the other; 0 when either has no word. */
export function tokenSetRatio(a: string, b: string): number {
  return bestRatio(a, b, -1);
}

/** Whether `tokenSetRatio(a, b) > threshold`; quicker than the number itself, since most pairs differ at a glance. */
export function tokenSetExceeds(a: string, b: string, threshold: number): boolean {
  return bestRatio(a, b, threshold) > threshold;
}

/** `token_set_ratio`, or any number up to `threshold` when it is not above it. */
function bestRatio(a: string, b: string, threshold: number): number {
  const [left, right] = [wordsOf(a), wordsOf(b)];
  if (left.words.length === 0 || right.words.length === 0) return 0;
  const both = left.words.filter((word) => right.words.includes(word));
  if (both.length > 0 && (both.length === left.words.length || both.length === right.words.length)) return 100;
  // The shared words alone against all words of one text; nothing when no word is shared.
  const shared = both.join(" ");
  const all = (words: readonly string[]): string => [...both, ...words.filter((word) => !both.includes(word))].join(" ");
  let best = 0;
  if (both.length > 0) {
    best = Math.max(ratio(shared, all(left.words), threshold), ratio(shared, all(right.words), threshold));
  }
  // Then all words of both. Only their order can differ from that of the bags.
  if (percent(sharedPoints(left, right), left.length + right.length) <= threshold) return best;
  return Math.max(best, ratio(all(left.words), all(right.words), threshold));
}
