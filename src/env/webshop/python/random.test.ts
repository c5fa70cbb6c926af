import { describe, expect, it } from "vitest";
import { haveData, readDataLines } from "../../../../test/webshop/data.js";
import { NumpyRandomState, PythonRandom } from "./random.js";

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe("random numbers equal to CPython 3.11's", () => {
  it.each([
    [0, [3626764237, 1654615998, 3255389356], 0.890243920837131],
    [1, [577090037, 2444712010, 3639700191], 0.8022650611681835],
    [-1, [577090037, 2444712010, 3639700191], 0.8022650611681835],
    [233, [2931216007, 3446561803, 2698614761], 0.17434781436007096],
    [2 ** 32, [485306839, 1508871100, 1794561286], 0.9347212762883035],
    [2n ** 53n + 1n, [1512486810, 1330909561, 1448587154], 0.5535107412800285],
    [-(2n ** 70n) - 5n, [2004888747, 1674612923, 2039552273], 0.6256962744028001],
    [12345678901234567890123n, [678764485, 4198308164, 4236283067], 0.5750283310742688],
  ])("seed %d", (seed, words, after) => {
    const random = new PythonRandom(seed);
    expect(words.map(() => Number(random.getrandbits(32)))).toEqual(words);
    expect(random.random()).toBe(after);
  });

  it("draws whole numbers, choices and samples", () => {
    const random = new PythonRandom(7);
    expect(range(3).map(() => random.below(2 ** 40))).toEqual([868231286071, 105874957392, 208460025899]);
    expect([random.below(1), random.below(1), random.getrandbits(0)]).toEqual([0, 0, 0n]);
    expect(random.choice("abcdef")).toBe("e");
    expect(random.sample(100, 6)).toEqual([27, 4, 11, 55, 53, 8]);
    expect(random.sample(30, 6)).toEqual([7, 2, 17, 13, 1, 18]);
    expect(random.sample(5, 5)).toEqual([0, 1, 2, 4, 3]);
    expect(random.sample(5, 0)).toEqual([]);
    expect(random.random()).toBe(0.04958931338977146);
  });

  it("goes on from a saved state", () => {
    const random = new PythonRandom(5);
    random.random();
    const saved = random.save();
    const expected = range(1000).map(() => random.random());
    const other = new PythonRandom(6);
    other.restore(saved);
    expect(range(1000).map(() => other.random())).toEqual(expected);
  });

  it("without a seed two generators differ", () => {
    expect(new PythonRandom().random()).not.toBe(new PythonRandom().random());
  });

  it("refuses what cannot be drawn", () => {
    const random = new PythonRandom(0);
    expect(() => random.below(0)).toThrow(/below 0/);
    expect(() => random.sample(3, 4)).toThrow(/4 different ones out of 3/);
    expect(() => random.choice([])).toThrow(/below 0/);
    expect(() => new PythonRandom(1.5)).toThrow(/whole number/);
    expect(() => random.restore(new Uint32Array(3))).toThrow(/624 words/);
    expect(() => new NumpyRandomState(-1)).toThrow(/4294967295/);
  });
});

describe("random numbers equal to numpy's legacy generator", () => {
  it("chooses without replacement and shuffles", () => {
    const random = new NumpyRandomState(42);
    expect([...random.choice(10, 5)]).toEqual([8, 1, 5, 0, 7]);
    const items = range(6);
    random.shuffle(items);
    expect(items).toEqual([3, 1, 0, 4, 5, 2]);
    expect([...random.choice(1, 1)]).toEqual([0]);
    expect([...random.choice(70000, 3)]).toEqual([40944, 50827, 14606]);
  });
});

interface Row {
  readonly seed: number;
  readonly random: readonly number[];
  readonly getrandbits: readonly string[];
  readonly uniform: readonly number[];
  readonly sample4_2: readonly (readonly number[])[];
  readonly sample: readonly (readonly number[])[];
  readonly shuffle50: readonly number[];
  readonly choices: readonly string[];
  /** Absent for seeds that numpy refuses. */
  readonly np_choice_500?: readonly (readonly number[])[];
  readonly np_choice_500_6910?: readonly (readonly number[])[];
}

const golden = "goldens/python_rng.jsonl.gz";
describe.skipIf(!haveData(golden))("recordings of the Python generators", () => {
  it("every row is equal", () => {
    const rows = readDataLines<Row>(golden);
    expect(rows.length).toBe(7);
    for (const row of rows) {
      const random = new PythonRandom(row.seed);
      const got = {
        random: range(5).map(() => random.random()),
        getrandbits: [1, 5, 31, 32, 33, 64].map((k) => String(random.getrandbits(k))),
        uniform: range(4).map(() => random.uniform(3.5, 99.25)),
        sample4_2: range(10).map(() => random.sample(4, 2).map((i) => 10 * (i + 1))),
        sample: (
          [
            [2, 2],
            [21, 2],
            [22, 2],
            [85, 5],
            [1000, 50],
          ] as const
        ).map(([n, k]) => random.sample(n, k)),
        shuffle50: (() => {
          const items = range(50);
          random.shuffle(items);
          return items;
        })(),
        choices: range(3).map(() => random.choices("abcdefghijklmnopqrstuvwxyz", 10).join("")),
      };
      const { seed, np_choice_500, np_choice_500_6910, ...expected } = row;
      expect(got, `seed ${seed}`).toEqual(expected);
      if (np_choice_500 === undefined) {
        expect(() => new NumpyRandomState(seed)).toThrow(/4294967295/);
        continue;
      }
      const numpy = new NumpyRandomState(seed);
      expect(range(2).map(() => [...numpy.choice(500, 16)])).toEqual(np_choice_500);
      expect(range(2).map(() => [...numpy.choice(6410, 16)].map((i) => 500 + i))).toEqual(np_choice_500_6910);
    }
  });
});
