import { describe, expect, it } from "vitest";
import { seedFor, shuffled, taskIndex } from "./seeds.js";

describe("seedFor", () => {
  it("is the same number every time and another one for every counter and purpose", () => {
    const seen = new Set<bigint>();
    for (const purpose of ["rollout", "evaluation", "mining", "shuffle", "tasks"] as const) {
      for (let a = 0; a < 20; a++) for (let b = 0; b < 20; b++) seen.add(seedFor(purpose, 7, a, b));
    }
    expect(seen.size).toBe(5 * 400);
    expect(seedFor("rollout", 7, 1, 2)).toBe(seedFor("rollout", 7, 1, 2));
    expect(seedFor("rollout", 8, 1, 2)).not.toBe(seedFor("rollout", 7, 1, 2));
    expect(seedFor("rollout", 7, 1, 2)).not.toBe(seedFor("rollout", 7, 2, 1));
    expect(seedFor("rollout", 7, 1)).not.toBe(seedFor("rollout", 7, 1, 0));
  });

  it("stays below 2^64 and has balanced bits", () => {
    const ones = new Array<number>(64).fill(0);
    for (let i = 0; i < 2000; i++) {
      const bits = seedFor("rollout", 0, i);
      expect(bits).toBeGreaterThanOrEqual(0n);
      expect(bits).toBeLessThan(1n << 64n);
      for (let b = 0; b < 64; b++) ones[b]! += Number((bits >> BigInt(b)) & 1n);
    }
    for (const n of ones) expect(Math.abs(n - 1000)).toBeLessThan(150); // 6.7 standard deviations
  });
});

describe("shuffled", () => {
  it.each([0, 1, 2, 17, 256])("is a permutation of %i numbers", (n) => {
    expect([...shuffled(n, 5n)].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
  });

  it("depends on its seed", () => {
    expect([...shuffled(50, 5n)]).toEqual([...shuffled(50, 5n)]);
    expect([...shuffled(50, 5n)]).not.toEqual([...shuffled(50, 6n)]);
  });
});

describe("taskIndex", () => {
  it.each([1, 2, 3, 7, 64, 100, 3553])("draws each of %i tasks once per pass, in another order each pass", (length) => {
    const pass = (from: number) => Array.from({ length }, (_, i) => taskIndex(3, from + i, length));
    expect([...pass(0)].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i));
    expect([...pass(length)].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i));
    if (length > 10) expect(pass(0)).not.toEqual(pass(length));
  });

  it("holds no list: a split of 2^40 tasks costs nothing", () => {
    const index = taskIndex(0, 12345, 2 ** 40);
    expect(index).toBeGreaterThanOrEqual(0);
    expect(index).toBeLessThan(2 ** 40);
  });
});
