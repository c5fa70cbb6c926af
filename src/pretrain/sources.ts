/** The imitation sources of `siri pretrain --env <name>`. */
import { householdSource } from "./household.js";
import type { Source } from "./source.js";

export const SOURCES: Readonly<Record<string, Source>> = {
  household: householdSource,
};
export const DEFAULT_SOURCE = "household";
