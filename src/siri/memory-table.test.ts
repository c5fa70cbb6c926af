import { expect, it } from "vitest";
import { checkMemory, memoryTable } from "./memory-table.js";

const MIB = 2 ** 20;
const plan = {
  weights: 3 * MIB,
  positionTables: MIB,
  packedWeights: 3 * MIB,
  packedForTraining: MIB,
  kvCache: 256 * MIB,
  gradients: 3 * MIB,
  moments: 6 * MIB,
  forwardActivations: 2 * MIB,
  trainActivations: 8 * MIB,
  scratch: 0,
};

it("adds up, and counts for the base only what scoring allocates", () => {
  const table = memoryTable(plan, plan);
  expect(table[0]).toBe("Memory planned, MiB         policy     base");
  expect(table.at(-1)).toBe("  total                     283.0    265.0");
  expect(table[6]).toBe("  gradients                   3.0      0.0");
});

it("has one column without a base policy", () => {
  expect(memoryTable(plan, null).at(-1)).toBe("  total                     283.0");
});

it("refuses what does not fit, with the numbers and what to lower", () => {
  expect(() => checkMemory(plan, plan, 548 * MIB)).not.toThrow();
  expect(() => checkMemory(plan, plan, 548 * MIB - 1)).toThrow(
    /needs 548 MiB of memory, 548 MiB are free: lower model.maxBatchTokens[\s\S]*KV cache +256/,
  );
  expect(() => checkMemory(plan, null, 283 * MIB - 1)).toThrow(expect.objectContaining({ code: "SIRI_OUT_OF_MEMORY" }));
});
