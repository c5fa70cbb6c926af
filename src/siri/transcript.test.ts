import { expect, test } from "vitest";
import type { Trajectory } from "../rl/trajectory.js";
import { readable } from "./transcript.js";

const trajectory = (success: boolean, score: number): Trajectory => ({
  plan: { iteration: 3, group: 1, member: 0, task: { id: "train/7", split: "train", type: "fashion" }, skills: [] },
  steps: [],
  reward: success ? 10 : 0,
  success,
  score,
  truncated: false,
  shortened: 0,
});

test("a sample tells the score where it says more than success", () => {
  expect(readable(trajectory(false, 0.75))).toContain("lost after 0 steps, return 0, score 0.75\n");
  expect(readable(trajectory(true, 1))).toContain("won after 0 steps, return 10\n");
  expect(readable(trajectory(false, 0))).toContain("lost after 0 steps, return 0\n");
});
