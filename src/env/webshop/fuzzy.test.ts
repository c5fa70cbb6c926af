import { describe, expect, it } from "vitest";
import { haveData, readDataLines } from "../../../test/webshop/data.js";
import { codePoints, matchedElements, tokenSetExceeds, tokenSetRatio } from "./fuzzy.js";

const matched = (a: string, b: string): number => matchedElements(codePoints(a), codePoints(b));

describe("matching blocks (expected values from CPython's difflib)", () => {
  it.each([
    ["abcd", "bcde", 3],
    ["", "x", 0],
    ["qabxcd", "abycdf", 4],
    // Not symmetric: the earliest longest run decides what is left on its sides.
    ["tide", "diet", 1],
    ["diet", "tide", 2],
    ["😀ab", "ab😀", 2],
  ])("%s and %s", (a, b, expected) => {
    expect(matched(a, b)).toBe(expected);
  });

  it("drops what is frequent in a long second text, and lengthens runs by it", () => {
    const [a, b] = [`${"ab".repeat(60)}xyz${"cd".repeat(50)}`, `${"cd".repeat(70)}xyz${"ab".repeat(80)}`];
    expect([matched(a, b), matched(b, a)]).toEqual([3, 3]);
    const [c, d] = ["the quick brown fox ".repeat(12), "the quick red fox jumped ".repeat(10)];
    expect([matched(c, d), matched(d, c)]).toEqual([10, 10]);
    // All of it is dropped, but the run from the beginning still grows.
    expect(matched("x".repeat(300), `${"x".repeat(300)}y`)).toBe(300);
    const long = String.fromCodePoint(...Array.from({ length: 250 }, (_, i) => 0x100 + i));
    expect(matched(`${long.slice(50, 200)}zz`, long)).toBe(150);
  });
});

describe("token set ratio", () => {
  it.each([
    ["a b c", "c b a", 100],
    ["red", "deep red shoes", 100],
    ["", "red", 0],
    ["!!", "red", 0],
    // U+0080-00FF go without a trace; other letters stay; the underscore is a letter.
    ["caf\u00e9", "caf", 100],
    ["\u0440\u0443\u0431\u043b\u044c", "\u0440\u0443\u0431\u043b\u044c x", 100],
    ["a_b", "a b", 67],
    ["Long-Sleeve", "long sleeve", 100],
  ])("%s and %s", (a, b, expected) => {
    expect(tokenSetRatio(a, b)).toBe(expected);
  });
});

const golden = "goldens/token_set_ratio.jsonl.gz";
describe.skipIf(!haveData(golden))("recordings of thefuzz", () => {
  it("every ratio is equal, and the threshold agrees with it", () => {
    const rows = readDataLines<{ readonly a: string; readonly b: string; readonly difflib: number }>(golden);
    expect(rows.length).toBe(2710);
    const wrong = rows.filter(({ a, b, difflib }) => tokenSetRatio(a, b) !== difflib);
    expect(wrong).toEqual([]);
    for (const threshold of [0, 40, 85, 99]) {
      expect(rows.filter(({ a, b, difflib }) => tokenSetExceeds(a, b, threshold) !== difflib > threshold)).toEqual([]);
    }
  });
});
