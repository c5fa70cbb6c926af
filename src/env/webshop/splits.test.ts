import { beforeAll, describe, expect, it } from "vitest";
import { haveData } from "../../../test/webshop/data.js";
import { THOUSAND_FILES, thousand } from "../../../test/webshop/source.js";
import { type GoalList, goalsOf } from "./goals.js";
import { productPart, splitOf, splitParts } from "./splits.js";

describe("the split by product", () => {
  it("never changes", () => {
    // Runs are compared over years by these parts: a new hash would let a policy be judged by what it has learnt.
    expect(["B004HO58MA", "B018A8MPJ2", "B00N6Y8ORI", "B00OYBADQ2", "B0743JKHBV", "SHOP000001"].map(productPart)).toEqual([
      "test",
      "test",
      "valid",
      "valid",
      "train",
      "train",
    ]);
  });

  it("holds out a tenth and a tenth", () => {
    const counts = { train: 0, valid: 0, test: 0 };
    for (let i = 0; i < 20_000; i++) counts[productPart(`B${String(i).padStart(9, "0")}`)]++;
    expect(counts.test / 20_000).toBeCloseTo(0.1, 2);
    expect(counts.valid / 20_000).toBeCloseTo(0.1, 2);
  });
});

describe.skipIf(!haveData(...THOUSAND_FILES))("splits of the 1,000 products", () => {
  let goals: GoalList;
  beforeAll(() => {
    goals = goalsOf(thousand(), { kind: "synthetic", seed: 233 });
  });

  it.each(["paper", "verl"] as const)("%s: every goal is in one part", (scheme) => {
    const places = splitParts(scheme).flatMap((part) => [...splitOf(goals, scheme, part)]);
    expect(places.length).toBe(goals.length);
    expect(new Set(places).size).toBe(goals.length);
  });

  it("product: every goal of a product that is not held out, the first eight of one that is", () => {
    const all = new Map<string, number[]>();
    for (let place = 0; place < goals.length; place++) {
      const { asin } = goals.goal(place);
      all.set(asin, [...(all.get(asin) ?? []), place]);
    }
    const expected = { train: [] as number[], valid: [] as number[], test: [] as number[] };
    for (const [asin, places] of all) {
      const part = productPart(asin);
      expected[part].push(...(part === "train" ? places : places.slice(0, 8)));
    }
    for (const part of splitParts("product")) expect([...splitOf(goals, "product", part)]).toEqual(expected[part].sort((a, b) => a - b));
    expect([expected.test.length, expected.valid.length, expected.train.length]).toEqual([154, 137, 5493]);
  });

  it("cuts the list where the literature cuts it", () => {
    const ends = (scheme: "paper" | "verl", part: "train" | "valid" | "test") => {
      const places = splitOf(goals, scheme, part);
      return [places[0], places.at(-1)];
    };
    expect([ends("paper", "test"), ends("paper", "valid"), ends("paper", "train")]).toEqual([
      [0, 499],
      [500, 1499],
      [1500, 6909],
    ]);
    expect([ends("verl", "valid"), ends("verl", "train")]).toEqual([
      [0, 499],
      [500, 6909],
    ]);
    expect(() => splitOf(goals, "verl", "test")).toThrow(/has no part "test"; it has valid, train/);
  });

  it("shares no product between parts, where the others share most", () => {
    const products = (scheme: "verl" | "product", part: "train" | "valid" | "test") =>
      new Set(Array.from(splitOf(goals, scheme, part), (place) => goals.goal(place).asin));
    const train = products("product", "train");
    const valid = products("product", "valid");
    const test = products("product", "test");
    expect(new Set([...train, ...valid, ...test]).size).toBe(415);
    expect([train.size, valid.size, test.size]).toEqual([330, 43, 42]);
    const first = products("verl", "valid");
    const rest = products("verl", "train");
    expect([first.size, [...first].filter((asin) => rest.has(asin)).length]).toEqual([146, 127]);
  });
});
