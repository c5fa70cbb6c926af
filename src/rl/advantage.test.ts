/** The worked example of GiGPO's advantages (docs/method.md): two groups of four trajectories, computed by hand with exact fractions. */
import { describe, expect, it } from "vitest";
import { configSchema } from "../config/schema.js";
import { stepAdvantages } from "./advantage.js";
import { stepRows, zeroVarianceShare } from "./batch.js";
import type { Step, Trajectory } from "./trajectory.js";

const skill = { id: "s0001", title: "t", condition: "c", strategy: "s" };

function episode(
  group: number,
  member: number,
  states: string[],
  reward: number,
  options: { invalid?: number; skilled?: boolean } = {},
): Trajectory {
  const steps = states.map((anchor, i) => ({
    observation: { text: "", task: "", anchor },
    reward: i === states.length - 1 ? reward : 0,
    wellFormed: i !== options.invalid,
    admissible: true,
  }));
  const plan = { iteration: 1, group, member, task: { id: `${group}`, split: "train", type: "x" }, skills: options.skilled ? [skill] : [] };
  return { plan, steps: steps as unknown as Step[], reward, success: reward > 0, score: 0, truncated: false, shortened: 0 };
}

const example = [
  episode(1, 0, ["S0", "S1", "S2"], 10),
  episode(1, 1, ["S0", "S1", "S1", "S2"], 10),
  episode(1, 2, ["S0", "S3", "S0"], 0),
  episode(1, 3, ["S0", "S3"], 0, { invalid: 1 }),
  episode(2, 0, ["U0", "S1"], 10),
  episode(2, 1, ["U0", "S1"], 10),
  episode(2, 2, ["U0", "U2", "S1"], 10),
  episode(2, 3, ["U0", "U2", "U0", "U2"], 0),
];

function advantages(trajectories: Trajectory[], change: Record<string, unknown>, method = "gigpo"): number[] {
  const config = configSchema.parse({ environment: { name: "x" }, model: { path: "m" }, method, advantage: change });
  return [...stepAdvantages(trajectories, { advantage: config.advantage, method: config.method, invalid: config.agent.invalid })];
}

function expectClose(found: number[], expected: number[]): void {
  expect(found).toHaveLength(expected.length);
  found.forEach((value, i) => {
    expect(value, `row ${i}`).toBeCloseTo(expected[i]!, 5);
  });
}

describe("stepAdvantages", () => {
  it("mean_norm over rows", () => {
    expectClose(
      advantages(example, { normalisation: "mean_norm" }),
      [
        9.68025, 4.333333, 4.175, 9.229, 3.858333, 4.333333, 4.175, -9.34475, -5.775, -9.34475, -9.34475, -5.975, 7.531364, 3.636364,
        7.531364, 3.636364, 7.056364, 9.969697, 3.636364, -11.968636, -9.530303, -11.968636, -9.530303,
      ],
    );
  });

  it("mean_std_norm over rows", () => {
    expectClose(
      advantages(example, { normalisation: "mean_std_norm" }),
      [
        1.950796, 1.386511, 0.809162, 1.857219, -0.345534, 1.386511, 0.809162, -1.858848, -0.421854, -1.858848, -1.858848, -1.855429,
        1.481445, 0.72075, 1.481445, 0.72075, 1.388677, 1.87545, 0.72075, -2.355971, -1.838662, -2.355971, -1.838662,
      ],
    );
  });

  it("mean_norm over trajectories, scaled", () => {
    const found = advantages(example, { normalisation: "mean_norm", episodeStatistics: "trajectories", scale: 0.2 });
    expectClose(
      found.slice(0, 4).map((value) => value * 5),
      [10.50525, 5.158333, 5, 10.054],
    );
  });

  it("grpo has the episode part alone", () => {
    expectClose(advantages(example.slice(4), { normalisation: "mean_norm" }, "grpo"), [
      ...new Array(7).fill(3.636364),
      ...new Array(4).fill(-6.363636),
    ]);
  });

  it("pools the arms of a task jointly or apart", () => {
    const arms = [10, 10, 10, 0, 10, 0, 0, 0].map((reward, i) => episode(1, i, [`only ${i}`], reward, { skilled: i < 4 }));
    expectClose(advantages(arms, { normalisation: "mean_norm" }), [5, 5, 5, -5, 5, -5, -5, -5]);
    expectClose(
      advantages(arms, { normalisation: "mean_std_norm" }),
      [1, 1, 1, -1, 1, -1, -1, -1].map((sign) => sign * 0.9354142),
    );
    expectClose(advantages(arms, { normalisation: "mean_norm", pool: "per_arm" }), [2.5, 2.5, 2.5, -7.5, 7.5, -2.5, -2.5, -2.5]);
  });

  it("is in the order of the step rows", () => {
    expect(stepRows(example)).toHaveLength(23);
    expect(stepRows(example)[4]).toEqual({ trajectory: example[1], step: example[1]!.steps[1] });
  });
});

describe("zeroVarianceShare", () => {
  it("counts groups with one return", () => {
    const equal = [episode(1, 0, ["a"], 10), episode(1, 1, ["a"], 10)];
    expect(zeroVarianceShare([equal, example.slice(0, 4)])).toBe(0.5);
    expect(zeroVarianceShare([])).toBe(0);
  });
});
