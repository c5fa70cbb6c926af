// GiGPO advantages against test/goldens/losses/advantages.json, the worked table and examples B and E of the method's specification,
// and the rules that no table shows.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type AdvantageOptions, type GroupTrajectory, groupAdvantages, similarity } from "../kernels.js";

interface Case {
  name: string;
  gamma: number;
  omega: number;
  invalid_penalty: number;
  normalisation: "mean" | "mean_std";
  episode_statistics: "rows" | "trajectories";
  trajectories: { group: number; states: string[]; rewards: number[]; valid: boolean[] }[];
  expected: { step_return: number; episode: number; step: number; advantage: number }[];
}
const cases = JSON.parse(readFileSync(new URL("../../test/goldens/losses/advantages.json", import.meta.url), "utf8")).cases as Case[];

const near = (actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs(actual[i]! - expected[i]!), `step ${i}: ${actual[i]} against ${expected[i]}`).toBeLessThanOrEqual(tolerance);
};

describe("golden advantages", () => {
  test("are all there", () => expect(cases.length).toBe(20));
  test.each(cases.map((c) => [c.name, c] as const))("%s", (_, c) => {
    const result = groupAdvantages(
      c.trajectories.map(({ group, states, rewards, valid }) => ({ group, anchors: states, rewards, valid })),
      {
        gamma: c.gamma,
        omega: c.omega,
        invalidPenalty: c.invalid_penalty,
        normalisation: c.normalisation === "mean" ? "mean_norm" : "mean_std_norm",
        episodeStatistics: c.episode_statistics,
      },
    );
    near(
      result.stepReturn,
      c.expected.map((e) => e.step_return),
      1e-9,
    );
    near(
      result.episode,
      c.expected.map((e) => e.episode),
      1e-9,
    );
    near(
      result.step,
      c.expected.map((e) => e.step),
      1e-9,
    );
    near(
      result.advantage,
      c.expected.map((e) => e.advantage),
      1e-9,
    );
  });
});

// Example A: two groups of four; S1 occurs in both and must not merge; the last step of t4 is invalid.
const worked: GroupTrajectory[] = [
  { group: "g1", anchors: ["S0", "S1", "S2"], rewards: [0, 0, 10] },
  { group: "g1", anchors: ["S0", "S1", "S1", "S2"], rewards: [0, 0, 0, 10] },
  { group: "g1", anchors: ["S0", "S3", "S0"], rewards: [0, 0, 0] },
  { group: "g1", anchors: ["S0", "S3"], rewards: [0, 0], valid: [true, false] },
  { group: "g2", anchors: ["U0", "S1"], rewards: [0, 10] },
  { group: "g2", anchors: ["U0", "S1"], rewards: [0, 10] },
  { group: "g2", anchors: ["U0", "U2", "S1"], rewards: [0, 0, 10] },
  { group: "g2", anchors: ["U0", "U2", "U0", "U2"], rewards: [0, 0, 0, 0] },
];
// Step return; advantage in mean_norm and mean_std_norm with row statistics, then with trajectory statistics.
const t3 = [0, -9.34475, -1.858848, -8.51975, -1.595922];
const t56a = [9.5, 7.531364, 1.481445, 6.395, 1.260695];
const s1InG2 = [10, 3.636364, 0.72075, 2.5, 0.5];
const t8a = [0, -11.968636, -2.355971, -13.105, -2.594659];
const t8b = [0, -9.530303, -1.838662, -10.666667, -2.07735];
const table = [
  [9.025, 9.68025, 1.950796, 10.50525, 2.007659],
  [9.5, 4.333333, 1.386511, 5.158333, 1.443373],
  [10, 4.175, 0.809162, 5, 0.866025],
  [8.57375, 9.229, 1.857219, 10.054, 1.914082],
  [9.025, 3.858333, -0.345534, 4.683333, -0.288671],
  [9.5, 4.333333, 1.386511, 5.158333, 1.443373],
  [10, 4.175, 0.809162, 5, 0.866025],
  ...[t3, [0, -5.775, -0.421854, -4.95, -0.158928], t3],
  ...[t3, [-0.1, -5.975, -1.855429, -5.15, -1.590443]],
  ...[t56a, s1InG2, t56a, s1InG2],
  ...[[9.025, 7.056364, 1.388677, 5.92, 1.167927], [9.5, 9.969697, 1.87545, 8.833333, 1.6547], s1InG2],
  ...[t8a, t8b, t8a, t8b],
];

test.each([
  [1, "mean_norm", "rows"],
  [2, "mean_std_norm", "rows"],
  [3, "mean_norm", "trajectories"],
  [4, "mean_std_norm", "trajectories"],
] as const)("the worked table, column %i: %s over %s", (column, normalisation, episodeStatistics) => {
  const result = groupAdvantages(worked, { normalisation, episodeStatistics });
  near(
    result.stepReturn,
    table.map((row) => row[0]!),
    5e-7,
  );
  near(
    result.advantage,
    table.map((row) => row[column]!),
    1e-6,
  );
  expect(Array.from(result.offset)).toEqual([0, 3, 7, 10, 12, 14, 16, 19, 23]);
});

test("example B: one invalid step in an all-success group gets a huge push in std mode", () => {
  const group = Array.from({ length: 8 }, (_, i) => ({ group: 0, anchors: [`s${i}`], rewards: [10], valid: [i < 7] }));
  const { episode, step } = groupAdvantages(group, { normalisation: "mean_std_norm" });
  near(episode, [...Array<number>(7).fill(0.3535434), -2.4748037], 1e-6);
  near(step, Array<number>(8).fill(0), 0);
});

test("example E: similarity, and what it merges", () => {
  const text = (place: string) => `You arrive at ${place} 1. The ${place} 1 is closed.`;
  const fridge2 = "You arrive at fridge 2. The fridge 2 is closed.";
  expect(similarity(text("fridge"), fridge2)).toBeCloseTo(0.957447, 6);
  expect(similarity(text("fridge"), text("cabinet"))).toBeCloseTo(0.8125, 6);
  const group = [text("fridge"), fridge2, text("cabinet"), text("fridge")].map((anchor) => ({ group: 0, anchors: [anchor], rewards: [1] }));
  expect(Array.from(groupAdvantages(group).stepGroup)).toEqual([0, 1, 2, 0]);
  expect(Array.from(groupAdvantages(group, { similarity: 0.95 }).stepGroup)).toEqual([0, 0, 1, 0]);
  expect(Array.from(groupAdvantages(group, { similarity: 0.8 }).stepGroup)).toEqual([0, 0, 0, 0]);
});

test("a cluster is its first member's: the first match wins, and tasks are never merged", () => {
  // c resembles b (0.8) but not a, the first member of the only cluster (0.6).
  const [a, b, c] = ["aaaaaaaaaa", "aaaaaaaabb", "aaaaaabbbb"];
  expect(similarity(b!, a!)).toBeCloseTo(0.8, 9);
  expect(similarity(c!, a!)).toBeCloseTo(0.6, 9);
  const groups = (sets: [number, string][]) =>
    Array.from(
      groupAdvantages(
        sets.map(([group, anchor]) => ({ group, anchors: [anchor], rewards: [0] })),
        { similarity: 0.75 },
      ).stepGroup,
    );
  expect(
    groups([
      [0, a!],
      [0, b!],
      [0, c!],
    ]),
  ).toEqual([0, 0, 1]);
  expect(
    groups([
      [0, a!],
      [0, c!],
      [0, b!],
    ]),
  ).toEqual([0, 1, 0]);
  expect(
    groups([
      [0, a!],
      [1, b!],
      [1, a!],
      [0, b!],
    ]),
  ).toEqual([0, 1, 1, 0]);
});

test("similarity follows difflib: longest block first, popular letters, code points, empty texts", () => {
  expect(similarity("", "")).toBe(1);
  expect(similarity("abc", "")).toBe(0);
  expect(similarity("abcd", "bcde")).toBe(0.75);
  // The blocks: "tide" has no block of two with "diet"; the leftmost single letter decides what is left for the rest.
  expect(similarity("tide", "diet")).toBe(0.25);
  expect(similarity("diet", "tide")).toBe(0.5);
  expect(similarity("😀a", "😀b")).toBe(0.5);
  // Every letter of a text of 200 that fills more than 1% of it starts no block.
  expect(similarity(`x${"ab".repeat(99)}y`, "ab".repeat(100))).toBe(0);
  expect(similarity(`x${"ab".repeat(98)}y`, "ab".repeat(99))).toBeGreaterThan(0.98);
});

describe("pools", () => {
  const arms: GroupTrajectory[] = [10, 10, 10, 0].map((r) => ({ group: 1, arm: "skill", anchors: ["s"], rewards: [r] }));
  for (const r of [10, 0, 0, 0]) arms.push({ group: 1, arm: "plain", anchors: ["s"], rewards: [r] });
  test("joint: both arms are compared with each other", () => {
    near(groupAdvantages(arms).episode, [5, 5, 5, -5, 5, -5, -5, -5], 1e-12);
    near(
      groupAdvantages(arms, { normalisation: "mean_std_norm" }).episode,
      [1, 1, 1, -1, 1, -1, -1, -1].map((s) => s * 0.9354142),
      1e-6,
    );
  });
  test("per_arm: episode and step statistics of each arm", () => {
    const { episode, step } = groupAdvantages(arms, { pool: "per_arm" });
    near(episode, [2.5, 2.5, 2.5, -7.5, 7.5, -2.5, -2.5, -2.5], 1e-12);
    near(step, episode, 1e-12);
  });
});

describe("edges", () => {
  test("no trajectories, and trajectories without steps", () => {
    expect(groupAdvantages([]).advantage.length).toBe(0);
    const { advantage, offset } = groupAdvantages([
      { group: 0, anchors: [], rewards: [] },
      { group: 0, anchors: ["a"], rewards: [3] },
    ]);
    expect(Array.from(offset)).toEqual([0, 0, 1]);
    expect(Array.from(advantage)).toEqual([3]);
  });
  test("a group of one keeps its score in both modes", () => {
    const one: GroupTrajectory[] = [{ group: 0, anchors: ["a"], rewards: [4] }];
    expect(groupAdvantages(one).episode[0]).toBe(4);
    expect(groupAdvantages(one, { normalisation: "mean_std_norm" }).episode[0]).toBeCloseTo(4 / (1 + 1e-6), 12);
    expect(groupAdvantages(one).step[0]).toBe(0);
  });
  test("anchors are compared by exact value, groups by value and type", () => {
    const groups = (anchors: string[], ids: (string | number)[]) =>
      Array.from(groupAdvantages(anchors.map((anchor, i) => ({ group: ids[i]!, anchors: [anchor], rewards: [0] }))).stepGroup);
    expect(groups(["a", "a ", "A", "a"], [0, 0, 0, 0])).toEqual([0, 1, 2, 0]);
    expect(groups(["a", "a", "a"], [1, "1", 1])).toEqual([0, 1, 0]);
    expect(groups(["\ud800", "\ud801", "\ud800"], [0, 0, 0])).toEqual([0, 1, 0]);
  });
  test("the order of trajectories is only the order of the results", () => {
    const forward = groupAdvantages(worked).advantage;
    const backward = groupAdvantages([...worked].reverse());
    worked.forEach((_, t) => {
      const at = backward.offset[worked.length - 1 - t]!;
      const { offset } = groupAdvantages(worked);
      near(backward.advantage.slice(at, at + worked[t]!.anchors.length), forward.slice(offset[t]!, offset[t + 1]!), 1e-12);
    });
  });
  test("time is linear in the number of steps", () => {
    const many = Array.from({ length: 2000 }, (_, t) => ({
      group: t % 10,
      anchors: Array.from({ length: 50 }, (_, i) => `state ${t % 7} ${i}`),
      rewards: Array.from({ length: 50 }, () => 0),
    }));
    const start = performance.now();
    expect(groupAdvantages(many).advantage.length).toBe(100_000);
    expect(performance.now() - start).toBeLessThan(3000);
  });
});

test.each<[string, GroupTrajectory[], AdvantageOptions, RegExp]>([
  ["gamma", [], { gamma: 1.5 }, /gamma is 1.5; it must be from 0 to 1/],
  ["similarity", [], { similarity: 1 }, /similarity is 1; it must be between 0 and 1/],
  ["pool", [], { pool: "both" as "joint" }, /pool is "both"; it must be one of "joint", "per_arm"/],
  ["normalisation", [], { normalisation: "std" as "mean_norm" }, /normalisation is "std"; it must be one of/],
  ["rewards", [{ group: 0, anchors: ["a"], rewards: [] }], {}, /trajectories\[0\] has 1 anchors and 0 rewards/],
  [
    "reward",
    [{ group: 0, anchors: ["a"], rewards: [Number.NaN] }],
    {},
    /trajectories\[0\].rewards\[0\] is NaN; a reward must be a finite number/,
  ],
  ["valid", [{ group: 0, anchors: ["a"], rewards: [0], valid: [] }], {}, /1 anchors and 0 entries in valid/],
  ["arm", [{ group: 0, anchors: ["a"], rewards: [0] }], { pool: "per_arm" }, /trajectories\[0\].arm is undefined; pool "per_arm" needs/],
  ["anchor", [{ group: 0, anchors: [3 as unknown as string], rewards: [0] }], {}, /anchors\[0\] is a number; an anchor must be a string/],
])("a wrong %s is refused", (_, trajectories, options, message) => {
  expect(() => groupAdvantages(trajectories, options)).toThrow(message);
  expect(() => groupAdvantages(trajectories, options)).toThrow(expect.objectContaining({ code: "SIRI_ARGUMENT" }));
});
