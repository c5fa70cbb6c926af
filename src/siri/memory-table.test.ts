import { expect, it } from "vitest";
import { memoryTable } from "./memory-table.js";

const MIB = 2 ** 20;
const plan = {
  weights: 3 * MIB,
  packedWeights: 3 * MIB,
  packedForTraining: MIB,
  kvCache: 256 * MIB,
  gradients: 3 * MIB,
  moments: 6 * MIB,
  forwardActivations: 2 * MIB,
  trainActivations: 8 * MIB,
};

it("adds up, and counts for the base only what scoring allocates", () => {
  const table = memoryTable(plan, plan);
  expect(table[0]).toBe("Memory planned, MiB         policy     base");
  expect(table.at(-1)).toBe("  total                     282.0    264.0");
  expect(table[5]).toBe("  gradients                   3.0      0.0");
});

it("has one column without a base policy", () => {
  expect(memoryTable(plan, null).at(-1)).toBe("  total                     282.0");
});
