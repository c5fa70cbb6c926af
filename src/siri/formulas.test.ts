/** The worked examples of the method's formulas, computed by hand. */
import { describe, expect, it } from "vitest";
import type { EpisodePlan, Trajectory } from "../rl/trajectory.js";
import { k3 } from "../rl/update.js";
import { compareArms, seesSkills } from "./arms.js";
import { type Candidate, divisorOf, lambdaAt, weightOf } from "./internalise.js";
import { rank } from "./retrieval.js";
import { explorationBonus, SkillBank } from "./skill-bank.js";

const text = { title: "t", condition: "c", strategy: "s" };

function episode(member: number, reward: number, skilled: boolean): Trajectory {
  const plan: EpisodePlan = {
    iteration: 1,
    group: 0,
    member,
    task: { id: "a", split: "train", type: "x" },
    skills: skilled ? [{ id: "s0001", ...text }] : [],
  };
  return { plan, steps: [], reward, success: reward > 0, score: reward / 10, truncated: false, shortened: 0 };
}

describe("paired difference", () => {
  const group = [10, 10, 10, 0, 10, 0, 0, 0].map((reward, i) => episode(i, reward, i < 4));

  it("is the difference of the arms' means", () => {
    expect(compareArms(group, "reward")).toMatchObject({
      skillArm: 7.5,
      plainArm: 2.5,
      delta: 5,
      skills: ["s0001"],
      skillMembers: [0, 1, 2, 3],
    });
    expect(compareArms(group, "success")!.delta).toBe(0.5);
  });

  it("does not exist with one arm", () => {
    expect(compareArms(group.slice(0, 4), "reward")).toBeNull();
    expect(compareArms(group.slice(4), "reward")).toBeNull();
  });

  it("splits a group by index", () => {
    const shown = (assignment: "alternate" | "block", skillFraction: number) =>
      Array.from({ length: 8 }, (_, member) => (seesSkills(member, 8, { assignment, skillFraction }) ? 1 : 0)).join("");
    expect(shown("alternate", 0.5)).toBe("01010101");
    expect(shown("block", 0.5)).toBe("11110000");
    expect(shown("alternate", 0.25)).toBe("00010001");
    expect(shown("block", 0.75)).toBe("11111100");
  });
});

describe("utility", () => {
  const bank = {
    validate: true,
    minEvaluations: 4,
    promoteAbove: 0,
    retireBelow: -0.05,
    retireWindow: 3,
    deltaScale: "success",
    capacity: 300,
    protectIterations: 10,
  } as const;

  it.each([
    ["ema", [0.25, 0, 0.375]],
    ["mean", [0.5, 0.125, 0.3333333]],
  ] as const)("%s of 0.5, -0.25, 0.75", (utility, expected) => {
    const skills = new SkillBank({ ...bank, utility, utilityBeta: 0.5 }, 0.05);
    skills.add(text, { taskType: "x", sourceTask: "a" }, 1, 1);
    [0.5, -0.25, 0.75].forEach((delta, i) => {
      skills.evaluate(["s0001"], delta, i);
      expect(skills.get("s0001")!.utility).toBeCloseTo(expected[i]!, 7);
    });
  });
});

describe("rank", () => {
  it("has the published bonus and score", () => {
    const bonus = explorationBonus(0.05, 10, 3);
    expect(bonus).toBeCloseTo(0.0387128, 7);
    expect(rank(0.8, 0.25, bonus, 0.1)).toBeCloseTo(0.3498416, 7);
  });
});

describe("internalisation", () => {
  const advantages = [1.950796, 0.3, -0.421854, 7];
  const logprobs = [[-0.2, -0.5], [-1, -0.1, -0.4], [-0.3], [-0.7, -0.9]];
  const candidates: Candidate[] = logprobs.map((row, i) => ({
    mask: new Float32Array(row.length).fill(1),
    open: i !== 3,
    weight: weightOf(advantages[i]!, 2),
  }));

  it("clips the advantage", () => {
    expect(candidates.map(({ weight }) => weight)).toEqual([1.950796, 0.3, 0, 2]);
  });

  it("divides by gated tokens, their weights, or all action tokens", () => {
    const sum = candidates.reduce((total, { open, weight }, i) => total - (open ? weight : 0) * logprobs[i]!.reduce((a, b) => a + b), 0);
    expect(sum).toBeCloseTo(1.8155572, 7);
    expect(divisorOf(candidates, "gated")).toBe(6);
    expect(divisorOf(candidates, "weights")).toBeCloseTo(4.801592, 6);
    expect(divisorOf(candidates, "action")).toBe(8);
    expect(sum / divisorOf(candidates, "gated")).toBeCloseTo(0.3025929, 7);
    expect(sum / divisorOf(candidates, "weights")).toBeCloseTo(0.3781157, 7);
    expect(sum / divisorOf(candidates, "action")).toBeCloseTo(0.22694465, 8);
  });

  it("rises in a line from k0", () => {
    const at = (k: number) => lambdaAt(k, 100, { lambdaMax: 0.1, rampIterations: 20 });
    expect([99, 100, 105, 110, 120, 130].map(at)).toEqual([0, 0, 0.025, 0.05, 0.1, 0.1]);
    expect(lambdaAt(100, 100, { lambdaMax: 0.1, rampIterations: 0 })).toBe(0.1);
  });
});

describe("k3", () => {
  it.each([
    [-1, -1, 0],
    [-1, -1.2, 0.018731],
    [-1.2, -1, 0.021403],
    [-0.5, -3, 1.582085],
    [-5, -0.5, 84.517131],
  ])("of log-prob %d against %d", (logprob, reference, expected) => {
    expect(k3(logprob, reference)).toBeCloseTo(expected, 6);
  });

  it("at log-ratio -0.4", () => {
    expect(k3(-0.4, 0)).toBeCloseTo(0.0918247, 7);
  });
});
