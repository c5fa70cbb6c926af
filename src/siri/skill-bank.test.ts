import { describe, expect, it } from "vitest";
import type { Task } from "../env/environment.js";
import { retrieve } from "./retrieval.js";
import { type BankSettings, interval, SkillBank } from "./skill-bank.js";
import { textSimilarity, topicSimilarity } from "./words.js";

const settings: BankSettings = {
  validate: true,
  utility: "mean",
  utilityBeta: 0.5,
  deltaScale: "success",
  minEvaluations: 2,
  promoteAbove: 0,
  retireBelow: -0.05,
  retireWindow: 2,
  capacity: 3,
  protectIterations: 2,
};
const from = { taskType: "clean", sourceTask: "train/1" };
const skill = (condition: string, strategy = `do ${condition}`) => ({ title: condition, condition, strategy });

function bankOf(conditions: readonly string[], change: Partial<BankSettings> = {}): SkillBank {
  const bank = new SkillBank({ ...settings, ...change }, 0.05);
  for (const condition of conditions) bank.add(skill(condition), from, 1, 1);
  return bank;
}

describe("SkillBank", () => {
  it("promotes after enough evaluations with a utility above the threshold", () => {
    const bank = bankOf(["a"]);
    expect(bank.evaluate(["s0001"], 0.5, 1).map(({ event }) => event)).toEqual(["evaluated"]);
    expect(bank.get("s0001")!.status).toBe("candidate");
    expect(bank.evaluate(["s0001"], 0.25, 2)).toEqual([
      {
        event: "evaluated",
        iteration: 2,
        id: "s0001",
        delta: 0.25,
        utility: 0.375,
        evaluations: 2,
        low: expect.any(Number),
        high: expect.any(Number),
      },
      { event: "promoted", iteration: 2, id: "s0001", utility: 0.375, evaluations: 2 },
    ]);
    expect(bank.get("s0001")!.status).toBe("active");
  });

  it("does not promote at the threshold itself", () => {
    const bank = bankOf(["a"]);
    bank.evaluate(["s0001"], 0, 1);
    bank.evaluate(["s0001"], 0, 2);
    expect(bank.get("s0001")!.status).toBe("candidate");
  });

  it("retires what stayed below the threshold, active skills too, and only after the whole window", () => {
    const bank = bankOf(["a", "b"], { utility: "ema" });
    for (const delta of [1, 1]) bank.evaluate(["s0001"], delta, 1);
    expect(bank.get("s0001")!.status).toBe("active");
    bank.evaluate(["s0001"], -1, 2); // U = -0.125
    expect(bank.get("s0001")!.status).toBe("active");
    bank.evaluate(["s0001"], -1, 3);
    expect(bank.get("s0001")!.status).toBe("retired");
    expect(bank.live().map(({ id }) => id)).toEqual(["s0002"]);
    bank.evaluate(["s0001"], 1, 4); // a retired skill stays retired
    expect(bank.get("s0001")!.status).toBe("retired");
  });

  it("drops twins of the same type, retired ones included, and keeps them apart between types", () => {
    const bank = bankOf(["cup must be cleaned"]);
    expect(bank.add(skill("Cup  must be cleaned"), from, 2, 1)).toMatchObject({ event: "dropped", of: "s0001" });
    expect(bank.add({ ...skill("cup must be cleaned"), strategy: "do cup must be cleaned now" }, from, 2, 0.9)).toMatchObject({
      event: "dropped",
    });
    expect(bank.add(skill("cup must be cleaned"), { ...from, taskType: "heat" }, 2, 1)).toMatchObject({ event: "mined", id: "s0002" });
  });

  it("makes every skill active at once without validation, and never judges it", () => {
    const bank = bankOf(["a"], { validate: false });
    expect(bank.get("s0001")!.status).toBe("active");
    for (let i = 0; i < 5; i++) bank.evaluate(["s0001"], -1, i);
    expect(bank.get("s0001")).toMatchObject({ status: "active", utility: -1 });
  });

  it("evicts the worst above its capacity but protects the young", () => {
    const bank = bankOf(["a", "b", "c", "d"]);
    bank.evaluate(["s0001", "s0003", "s0004"], 0.5, 1);
    bank.evaluate(["s0002"], -0.02, 1);
    bank.add(skill("e"), from, 3, 1);
    expect(bank.evict(2)).toEqual([]); // all younger than two iterations
    // Five live, three wanted. s0002 has the least utility; s0005 has none but is young.
    expect(bank.evict(3)).toEqual([
      { event: "evicted", iteration: 3, id: "s0002", utility: -0.02, evaluations: 1 },
      { event: "evicted", iteration: 3, id: "s0001", utility: 0.5, evaluations: 1 },
    ]);
    expect(bank.live().map(({ id }) => id)).toEqual(["s0003", "s0004", "s0005"]);
  });

  it("survives JSON with everything it decides by", () => {
    const whole = bankOf(["a", "b"], { utility: "ema" });
    const deltas = [0.25, -1, 1 / 3, -0.5, -0.75];
    let resumed = bankOf(["a", "b"], { utility: "ema" });
    for (const [i, delta] of deltas.entries()) {
      const expected = whole.evaluate(["s0001"], delta, i);
      resumed = new SkillBank({ ...settings, utility: "ema" }, 0.05, JSON.parse(JSON.stringify(resumed.state())));
      expect(resumed.evaluate(["s0001"], delta, i)).toEqual(expected);
    }
    expect(resumed.state()).toEqual(whole.state());
    expect(resumed.add(skill("c"), from, 9, 1)).toMatchObject({ id: "s0003" });
  });
});

describe("interval", () => {
  it("is 1.96 standard errors wide on both sides", () => {
    const bank = bankOf(["a"]);
    for (const delta of [0.5, -0.25, 0.75, 0]) bank.evaluate(["s0001"], delta, 1);
    // mean 0.25; squared deviations 0.0625 + 0.25 + 0.25 + 0.0625; s = 0.456435; s / 2 = 0.228218
    const { low, high } = interval(bank.get("s0001")!, { utility: "mean", utilityBeta: 0.5 });
    expect(low).toBeCloseTo(0.25 - 1.96 * 0.2282177, 6);
    expect(high).toBeCloseTo(0.25 + 1.96 * 0.2282177, 6);
  });

  it("uses the weights of the moving average", () => {
    // beta 0.5, n = 2: weights 0.25 and 0.5; their squares sum to 0.3125
    const found = interval({ utility: 0.1, evaluations: 2, m2: 0.02 }, { utility: "ema", utilityBeta: 0.5 });
    expect(found.high! - 0.1).toBeCloseTo(1.96 * Math.sqrt(0.02 * 0.3125), 12);
  });

  it("does not exist below two evaluations", () => {
    expect(interval({ utility: 0.5, evaluations: 1, m2: 0 }, settings)).toEqual({ low: null, high: null });
  });
});

describe("retrieve", () => {
  const task: Task = { id: "train/7", split: "train", type: "clean" };
  const sentence = "put a clean tomato in cabinet";
  const rules = { match: "both", similarityFloor: 0, topK: 2, similarityWeight: 0.1, exploration: 0.05 } as const;
  const ids = (bank: SkillBank, change: Partial<Parameters<typeof retrieve>[3]> = {}, mode: Parameters<typeof retrieve>[4] = "explore") =>
    retrieve(bank, task, sentence, { ...rules, ...change }, mode).map(({ id }) => id);

  it("filters by type, by likeness, or by both", () => {
    const bank = new SkillBank(settings, 0.05);
    bank.add(skill("a tomato must be cleaned"), from, 1, 1); // s0001: type and words fit
    bank.add(skill("a lamp is needed"), from, 1, 1); // s0002: type fits
    bank.add(skill("put a tomato in the cabinet"), { ...from, taskType: "pick" }, 1, 1); // s0003: words fit
    const all = { topK: 9, similarityFloor: 0.2 };
    expect(ids(bank, { ...all, match: "type" }).sort()).toEqual(["s0001", "s0002"]);
    expect(ids(bank, { ...all, match: "lexical" }).sort()).toEqual(["s0001", "s0003"]);
    expect(ids(bank, { ...all, match: "both" })).toEqual(["s0001"]);
  });

  it("ranks by utility, likeness and how little a skill was tried", () => {
    const bank = bankOf(["one", "two", "three"]);
    bank.evaluate(["s0001"], -0.04, 1);
    bank.evaluate(["s0002"], 0.5, 1);
    expect(ids(bank)).toEqual(["s0002", "s0003"]); // s0003: no utility, but the larger bonus
    expect(ids(bank, { topK: 9 }, "exploit")).toEqual(["s0002", "s0003", "s0001"]);
  });

  it("prefers active skills outside exploration, and falls back on candidates", () => {
    const bank = bankOf(["one", "two"]);
    expect(ids(bank, {}, "prefer-active")).toEqual(["s0001", "s0002"]);
    for (let i = 0; i < 2; i++) bank.evaluate(["s0002"], 0.01, i);
    expect(ids(bank, {}, "prefer-active")).toEqual(["s0002"]);
    expect(ids(bank, {}, "explore")).toHaveLength(2);
  });

  it("never shows a retired skill", () => {
    const bank = bankOf(["one"]);
    for (let i = 0; i < 2; i++) bank.evaluate(["s0001"], -1, i);
    expect(ids(bank)).toEqual([]);
  });
});

describe("similarity of words", () => {
  it("sees the same topic in other forms of its words", () => {
    expect(topicSimilarity("something must be cleaned", "put a clean tomato in cabinet")).toBeGreaterThan(0);
    expect(topicSimilarity("something must be heated", "put a clean tomato in cabinet")).toBe(0);
    expect(topicSimilarity("", "put a clean tomato")).toBe(0);
  });

  it("is 1 for equal texts and tells one changed word in seven", () => {
    expect(textSimilarity("take it, heat it with microwave 1", "take it, heat it with microwave 1")).toBeCloseTo(1, 12);
    expect(textSimilarity("take it, heat it with microwave 1", "take it, heat it with fridge 1")).toBeLessThan(0.95);
  });
});
