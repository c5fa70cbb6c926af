import { describe, expect, it } from "vitest";
import { configSchema } from "../config/schema.js";
import type { DistillRow, WeightedRow } from "../policy/types.js";
import type { StepRow } from "../rl/batch.js";
import type { Step, Trajectory } from "../rl/trajectory.js";
import { type InternaliseInput, type InternaliseSettings, internalise } from "./internalise.js";
import { SkillBank } from "./skill-bank.js";

/** A bank with one useful active skill (s0001), one harmful (s0002), one useful candidate (s0003). */
function bank(): SkillBank {
  const skills = new SkillBank(configSchema.shape.bank.parse({ utility: "mean", minEvaluations: 2 }), 0.05);
  for (const condition of ["a", "b", "c"])
    skills.add({ title: condition, condition, strategy: condition }, { taskType: "x", sourceTask: "t" }, 1, 1);
  for (let i = 0; i < 2; i++) skills.evaluate(["s0001"], 0.5, i);
  skills.evaluate(["s0002"], -0.5, 1);
  skills.evaluate(["s0003"], 0.25, 1);
  return skills;
}

function row(skills: string[], options: { tokens?: number; group?: number; wellFormed?: boolean; mask?: number[] } = {}): StepRow {
  const { tokens = 4, group = 0, wellFormed = true, mask = [0, 1, 1, 0] } = options;
  const shown = skills.map((id) => ({ id, title: id, condition: id, strategy: id }));
  const step = {
    prompt: Int32Array.of(1, 2, 3),
    plainPrompt: skills.length > 0 ? Int32Array.of(1, 3) : null,
    response: Int32Array.from({ length: tokens }, (_, i) => 10 + i),
    actionMask: skills.length > 0 ? Float32Array.from(mask) : null,
    wellFormed,
    admissible: true,
  } as unknown as Step;
  const plan = { iteration: 1, group, member: 0, task: { id: "t", split: "train", type: "x" }, skills: shown };
  return { step, trajectory: { plan } as unknown as Trajectory };
}

function run(rows: StepRow[], advantages: number[], change: Partial<InternaliseSettings> = {}, rest: Partial<InternaliseInput> = {}) {
  const settings: InternaliseSettings = { ...configSchema.shape.internalise.parse({}), ...change };
  return internalise({
    rows,
    advantages,
    deltas: new Map([[0, 0.5]]),
    bank: bank(),
    lambda: 0.3,
    temperature: 1,
    isInvalid: (step) => !step.wellFormed,
    settings,
    ...rest,
  });
}

describe("internalise", () => {
  it("re-scores the reply under the plain prompt, action tokens only, weighted by the clipped advantage", () => {
    const { loss, tokens, rows } = run([row(["s0001"])], [1.5]);
    expect({ tokens, rows }).toEqual({ tokens: 2, rows: 1 });
    expect(loss.rows).toEqual([
      {
        tokens: Int32Array.of(1, 3, 10, 11, 12, 13),
        responseStart: 2,
        temperature: 1,
        weights: Float32Array.of(0, 1.5, 1.5, 0),
        mask: Float32Array.of(0, 1, 1, 0),
      },
    ]);
    expect(loss.loss(loss.rows)).toEqual({ kind: "weighted-nll", normaliser: 2, scale: 0.3 });
  });

  it("learns nothing from the plain arm, from invalid replies, or from a negative advantage", () => {
    const result = run([row([]), row(["s0001"], { wellFormed: false }), row(["s0001"]), row(["s0001"])], [1, 1, -1, 5]);
    expect(result).toMatchObject({ steps: 3, gated: 2, rows: 1, weight: 2 });
    // The gated row of weight 0 counts in Z.
    expect(result.loss.loss(result.loss.rows)).toMatchObject({ normaliser: 4 });
  });

  it("closes the gate on skills without utility, and each condition can be switched off", () => {
    const rows = [row(["s0001"]), row(["s0002"]), row(["s0003"]), row(["s0001", "s0002"]), row(["s0099"])];
    const open = (change: Partial<InternaliseSettings>) => run(rows, [1, 1, 1, 1, 1], change).gated;
    expect(open({})).toBe(1); // s0003 is a candidate, the pair has mean utility 0, s0099 is gone
    expect(open({ gateActive: false })).toBe(2);
    expect(open({ gateUtility: false })).toBe(2);
    expect(open({ gateUtility: false, gateActive: false })).toBe(5);
  });

  it("can ask that the skill arm won this time", () => {
    const rows = [row(["s0001"], { group: 0 }), row(["s0001"], { group: 1 }), row(["s0001"], { group: 2 })];
    const deltas = new Map([
      [0, 0.25],
      [1, -0.25],
    ]);
    expect(run(rows, [1, 1, 1], { gateDelta: true }, { deltas }).gated).toBe(1);
  });

  it("can learn the whole reply", () => {
    const result = run([row(["s0001"])], [1], { span: "response" });
    expect(result.tokens).toBe(4);
    expect((result.loss.rows[0] as WeightedRow).weights).toEqual(Float32Array.of(1, 1, 1, 1));
  });

  it("gives mini-batches their share of Z, so that the parts add up to the whole", () => {
    const { loss } = run(
      Array.from({ length: 5 }, () => row(["s0001"])),
      [1, 1, 1, 1, 1],
    );
    const shares = [loss.rows.slice(0, 2), loss.rows.slice(2)].map((batch) => (loss.loss(batch) as { normaliser: number }).normaliser);
    expect(shares).toEqual([4, 6]);
  });

  it("has the distribution under the skill prompt as a teacher, with the same Z", () => {
    const { loss } = run([row(["s0001"]), row(["s0001"])], [2, -1], { teacher: "jsd" });
    expect((loss.rows[0] as DistillRow).teacher).toEqual({ tokens: Int32Array.of(1, 2, 3, 10, 11, 12, 13), responseStart: 3 });
    // The engine divides by the sum of weights (4); Z is 4 gated tokens, two of them of weight 0.
    expect(loss.loss(loss.rows)).toEqual({ kind: "distill", divergence: "jsd", temperature: 1, scale: (0.3 * 4) / 4 });
    // What the engine's scale makes of Z is no part of lambda, by which the reported loss is divided.
    expect(run([row(["s0001"]), row(["s0001"])], [2, 1], { teacher: "jsd" }).loss).toMatchObject({ scale: 0.3 });
  });

  it("has nothing to do without skills", () => {
    expect(run([row([])], [1])).toMatchObject({ steps: 0, rows: 0, tokens: 0, weight: 0 });
  });
});
