/** The engine's memory plan as a table, shown before the first step. Knows only sizes. */
import type { EngineMemory } from "../native.js";

const ROWS: readonly (readonly [keyof EngineMemory, string])[] = [
  ["weights", "weights"],
  ["packedWeights", "packed weights"],
  ["packedForTraining", "packed for training"],
  ["kvCache", "KV cache"],
  ["gradients", "gradients"],
  ["moments", "AdamW moments"],
  ["forwardActivations", "activations, forward"],
  ["trainActivations", "activations, training"],
];

/** The base policy is only scored, so what training needs is never allocated for it. */
const TRAINING: readonly (keyof EngineMemory)[] = ["packedForTraining", "gradients", "moments", "trainActivations"];

/** Lines of a table in MiB: the policy, the frozen base where there is one, and their sum. */
export function memoryTable(policy: EngineMemory, base: EngineMemory | null): string[] {
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1).padStart(9);
  const line = (name: string, own: number, frozen: number) => `  ${name.padEnd(22)}${mib(own)}${base ? mib(frozen) : ""}`;
  const frozen = (key: keyof EngineMemory) => (base === null || TRAINING.includes(key) ? 0 : base[key]);
  const sum = (size: (key: keyof EngineMemory) => number) => ROWS.reduce((total, [key]) => total + size(key), 0);
  return [
    `Memory planned, MiB         policy${base ? "     base" : ""}`,
    ...ROWS.map(([key, name]) => line(name, policy[key], frozen(key))),
    line(
      "total",
      sum((key) => policy[key]),
      sum(frozen),
    ),
  ];
}
