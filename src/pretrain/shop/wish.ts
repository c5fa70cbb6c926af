/** Reads a shopping task: what is wanted, with which options, up to which price. */
import { plainWords } from "../../agent/shop-reading.js";

export interface Wish {
  /** Words of the thing, as the instruction has them. */
  readonly thing: readonly string[];
  /** Words of what it should have; empty where the instruction does not set them apart. */
  readonly properties: readonly string[];
  /** Option group to value, in the order of the instruction. */
  readonly options: ReadonlyMap<string, string>;
  /** US dollars; infinite when no limit is named. */
  readonly limit: number;
}

export function readWish(task: string): Wish {
  const price = /,? and price lower than ([\d.]+) dollars$/.exec(task);
  const rest = price ? task.slice(0, price.index) : task;
  const chosen = /^(.*) with ([^:]+?: .*)$/s.exec(rest);
  const options = new Map<string, string>();
  for (const choice of (chosen?.[2] ?? "").split(", and ")) {
    const colon = choice.indexOf(": ");
    if (colon > 0) options.set(choice.slice(0, colon), choice.slice(colon + 2));
  }
  const described = chosen?.[1] ?? rest;
  const [thing, ...properties] = described.split(" with ");
  return {
    thing: plainWords(thing!),
    properties: plainWords(properties.join(" ")),
    options,
    limit: price ? Number(price[1]) : Number.POSITIVE_INFINITY,
  };
}

/** Lowest price that a tag names, in dollars. */
export function lowestPrice(tag: string): number {
  return Math.min(...(tag.match(/[\d.]+/g) ?? []).map(Number));
}
