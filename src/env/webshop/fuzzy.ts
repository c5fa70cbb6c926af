/**
 * How alike two short texts are, in the measure that WebShop rewards by: thefuzz's `token_set_ratio` (version 0.19 without
 * python-Levenshtein) over Python's `difflib`, number for number. Knows nothing of shops.
 */
import { boundedCache } from "../textworld/cache.js";
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

/** `fuzz.ratio`: per cent, or 0 when the lengths alone keep it from being above `threshold`. */
function ratio(a: string, b: string, threshold: number): number {
  if (a === b) return 100;
  if (a === "" || b === "") return 0;
  const [left, right] = [codePoints(a), codePoints(b)];
  const total = left.length + right.length;
  const percent = (matched: number): number => roundHalfEven(100 * ((2 * matched) / total));
  if (percent(Math.min(left.length, right.length)) <= threshold) return 0;
  return percent(matchedElements(left, right));
}

const tokenCache = boundedCache<string, readonly string[]>(16_384);

/** The different words of a text, in the order of code points. */
function tokensOf(text: string): readonly string[] {
  return tokenCache.get(text, () => {
    const words = text
      .replace(/[\x80-\xff]/g, "")
      .replace(/[^\p{L}\p{N}_]+/gu, " ")
      .toLowerCase()
      .split(" ");
    return [...new Set(words)].filter((word) => word !== "").sort(compareCodePoints);
  });
}

/** The words of both texts, and of one only. All in order. */
function compare(a: readonly string[], b: readonly string[]): { both: string[]; onlyA: string[]; onlyB: string[] } {
  const both = a.filter((word) => b.includes(word));
  return { both, onlyA: a.filter((word) => !both.includes(word)), onlyB: b.filter((word) => !both.includes(word)) };
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
  const [left, right] = [tokensOf(a), tokensOf(b)];
  if (left.length === 0 || right.length === 0) return 0;
  const { both, onlyA, onlyB } = compare(left, right);
  if (both.length > 0 && (onlyA.length === 0 || onlyB.length === 0)) return 100;
  const shared = both.join(" ");
  const [whole, other] = [[...both, ...onlyA].join(" "), [...both, ...onlyB].join(" ")];
  let best = 0;
  for (const [x, y] of [
    [shared, whole],
    [shared, other],
    [whole, other],
  ] as const) {
    best = Math.max(best, ratio(x, y, threshold));
  }
  return best;
}
