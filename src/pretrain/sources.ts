/** The imitation sources of `siri pretrain --env <name>`. */
import { alfworldSource } from "./alfworld.js";
import { householdSource } from "./household.js";
import { shopSource } from "./shop-data.js";
import type { Source } from "./source.js";
import { webshopSource } from "./webshop-data.js";

export const SOURCES: Readonly<Record<string, Source>> = {
  household: householdSource,
  alfworld: alfworldSource,
  shop: shopSource,
  webshop: webshopSource,
};
export const DEFAULT_SOURCE = "household";
