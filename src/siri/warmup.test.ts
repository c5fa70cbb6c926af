import { describe, expect, it } from "vitest";
import type { Step, Trajectory } from "../rl/trajectory.js";
import { episodeSummary, SuccessBuffer } from "./warmup.js";

function episode(
  task: string,
  type: string,
  options: { iteration?: number; steps?: number; success?: boolean; skilled?: boolean } = {},
): Trajectory {
  const { iteration = 1, steps = 2, success = true, skilled = false } = options;
  return {
    plan: {
      iteration,
      group: 0,
      member: 0,
      task: { id: task, split: "train", type },
      skills: skilled ? [{ id: "s0001", title: "t", condition: "c", strategy: "s" }] : [],
    },
    steps: Array.from({ length: steps }, (_, i) => ({
      observation: { text: `see ${i}`, task: `do ${task}`, anchor: `a${i}`, actions: ["x"] },
      action: `act ${i}`,
      wellFormed: i !== 1,
    })) as unknown as Step[],
    reward: success ? 10 : 0,
    success,
    score: success ? 1 : 0,
    truncated: !success,
    shortened: 0,
  };
}

const always = () => true;

describe("SuccessBuffer", () => {
  it("counts distinct tasks solved without skills", () => {
    const buffer = new SuccessBuffer(10);
    expect(buffer.leastSolvedOfAType).toBe(0);
    buffer.add([
      episode("a", "x"),
      episode("a", "x"),
      episode("b", "x"),
      episode("c", "x", { success: false }),
      episode("d", "x", { skilled: true }),
    ]);
    expect(buffer.solved).toBe(2);
    expect(buffer.leastSolvedOfAType).toBe(2);
    buffer.add([episode("e", "y", { success: false })]);
    expect(buffer.leastSolvedOfAType).toBe(0); // a type was met that was never solved
    buffer.add([episode("a", "x", { iteration: 2 })]);
    expect(buffer.solved).toBe(2);
  });

  it("holds one success per task: the newest iteration's shortest", () => {
    const buffer = new SuccessBuffer(10);
    buffer.add([episode("a", "x", { steps: 5 }), episode("a", "x", { steps: 3 }), episode("a", "x", { steps: 4 })]);
    expect(buffer.successes.map(({ steps }) => steps.length)).toEqual([3]);
    buffer.add([episode("a", "x", { iteration: 2, steps: 6 })]);
    expect(buffer.successes.map(({ steps, iteration }) => [steps.length, iteration])).toEqual([[6, 2]]);
  });

  it("drops the oldest of the commonest type when it is full", () => {
    const buffer = new SuccessBuffer(3);
    buffer.add([episode("a", "x"), episode("b", "y")]);
    buffer.add([episode("c", "x", { iteration: 2 }), episode("d", "x", { iteration: 2 })]);
    expect(buffer.successes.map(({ task }) => task)).toEqual(["b", "c", "d"]);
    expect(buffer.solved).toBe(4);
  });

  it("draws types in turn, least mined first, then newest", () => {
    const buffer = new SuccessBuffer(10);
    buffer.add([episode("a", "x"), episode("b", "x")]);
    buffer.add([episode("c", "x", { iteration: 2 }), episode("d", "y", { iteration: 2 })]);
    expect(buffer.draw(3, always).map(({ task }) => task)).toEqual(["c", "d", "b"]);
    expect(buffer.draw(3, always).map(({ task }) => task)).toEqual(["a", "d", "c"]);
    expect(buffer.draw(9, (type) => type === "y").map(({ task }) => task)).toEqual(["d"]);
    expect(buffer.draw(9, () => false)).toEqual([]);
  });

  it("survives JSON", () => {
    const buffer = new SuccessBuffer(3);
    buffer.add([episode("a", "x"), episode("b", "y"), episode("c", "z", { success: false })]);
    buffer.draw(1, always);
    const again = new SuccessBuffer(3, JSON.parse(JSON.stringify(buffer.state())));
    expect(again.state()).toEqual(buffer.state());
    expect(again.leastSolvedOfAType).toBe(0);
    expect(again.draw(2, always)).toEqual(buffer.draw(2, always));
  });

  it("tells the skill writer what was seen and done", () => {
    const buffer = new SuccessBuffer(3);
    buffer.add([episode("a", "x")]);
    expect(episodeSummary(buffer.successes[0]!)).toEqual({
      task: "do a",
      taskType: "x",
      success: true,
      steps: [
        { observation: { text: "see 0", task: "do a", anchor: "see 0" }, action: "act 0", valid: true },
        { observation: { text: "see 1", task: "do a", anchor: "see 1" }, action: "act 1", valid: false },
      ],
    });
  });
});
