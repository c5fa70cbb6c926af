import { describe, expect, it } from "vitest";
import { inverseLengths, lengthByte, lengthOfByte, termScore, termWeight } from "./bm25.js";

describe("the byte of a length", () => {
  it("is exact below 40, keeps four significant bits beyond, and never rises past the length", () => {
    for (let length = 0; length < 40; length++) expect(lengthOfByte(lengthByte(length))).toBe(length);
    const wrong: number[] = [];
    for (let length = 0, last = 0; length < 70_000; length++) {
      const byte = lengthByte(length);
      // The next byte stands for something longer.
      const sound = lengthOfByte(byte) <= length && length < lengthOfByte(byte + 1) && byte >= last && byte < 256;
      if (!sound) wrong.push(length);
      last = byte;
    }
    expect(wrong).toEqual([]);
  });

  it("stands for the lengths that Lucene's intToByte4 table lists", () => {
    expect([40, 41, 42, 54, 56, 57, 88, 90, 92, 1000].map((length) => lengthOfByte(lengthByte(length)))).toEqual([
      40, 40, 42, 54, 56, 56, 88, 88, 88, 984,
    ]);
    expect(lengthByte(2 ** 31 - 1)).toBe(255);
  });
});

describe("BM25", () => {
  it("is the formula, with every step rounded to 32 bits", () => {
    const inverse = inverseLengths(107.608)[lengthByte(120)]!;
    const exact = 1 / (0.9 * (0.6 + (0.4 * lengthOfByte(lengthByte(120))) / 107.608));
    expect(Math.abs(inverse - exact)).toBeLessThan(1e-7);
    expect(Math.fround(inverse)).toBe(inverse);
    const weight = termWeight(2, 7, 1000);
    expect(weight).toBeCloseTo(2 * Math.log(1 + 993.5 / 7.5), 5);
    const score = termScore(weight, Math.fround(3 * inverse));
    expect(score).toBeCloseTo(weight - weight / (1 + 3 * exact), 5);
    expect(Math.fround(score)).toBe(score);
  });

  it("never falls with more occurrences", () => {
    const counts = Array.from({ length: 60 }, (_, i) => i + 1);
    for (const inverse of inverseLengths(50)) {
      const scores = counts.map((count) => termScore(3.25, Math.fround(count * inverse)));
      expect(scores).toEqual(scores.toSorted((a, b) => a - b));
    }
  });
});
