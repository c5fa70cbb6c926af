/** The engine's memory plan as a table, shown before the first step, and whether the machine has so much. Knows only sizes. */
import { SiriError } from "../errors.js";
import type { EngineMemory } from "../native.js";

const ROWS: readonly (readonly [keyof EngineMemory, string])[] = [
  ["weights", "weights"],
  ["positionTables", "position tables"],
  ["packedWeights", "packed weights"],
  ["packedForTraining", "packed for training"],
  ["kvCache", "KV cache"],
  ["gradients", "gradients"],
  ["moments", "AdamW moments"],
  ["forwardActivations", "activations, forward"],
  ["trainActivations", "activations, training"],
  ["scratch", "scratch of operations"],
];

/** The base policy is only scored, so what training needs is never allocated for it. */
const TRAINING: readonly (keyof EngineMemory)[] = ["packedForTraining", "gradients", "moments", "trainActivations"];

const planned = (memory: EngineMemory, frozen: boolean) =>
  ROWS.reduce((sum, [key]) => sum + (frozen && TRAINING.includes(key) ? 0 : memory[key]), 0);

/**
 * Throws SIRI_OUT_OF_MEMORY with the table when policies on the CPU need more than `available` bytes, those that were free before they were
 * loaded. A GPU's memory is taken when a policy is made, which tells by itself.
 */
export function checkMemory(policy: EngineMemory, base: EngineMemory | null, available: number): void {
  const needed = planned(policy, false) + (base ? planned(base, true) : 0);
  if (needed <= available) return;
  const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  throw new SiriError(
    "SIRI_OUT_OF_MEMORY",
    `the run needs ${mib(needed)} of memory, ${mib(available)} are free: lower model.maxBatchTokens or model.kvCacheMiB, shorten ` +
      `agent.maxPromptTokens, set update.klCoef=0 (no base policy is kept), or take a smaller model.\n${memoryTable(policy, base).join("\n")}`,
  );
}

/** Lines of a table in MiB: the policy, the frozen base where there is one, and their sum. */
export function memoryTable(policy: EngineMemory, base: EngineMemory | null): string[] {
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1).padStart(9);
  const line = (name: string, own: number, frozen: number) => `  ${name.padEnd(22)}${mib(own)}${base ? mib(frozen) : ""}`;
  const frozen = (key: keyof EngineMemory) => (base === null || TRAINING.includes(key) ? 0 : base[key]);
  return [
    `Memory planned, MiB         policy${base ? "     base" : ""}`,
    ...ROWS.map(([key, name]) => line(name, policy[key], frozen(key))),
    line("total", planned(policy, false), base ? planned(base, true) : 0),
  ];
}
