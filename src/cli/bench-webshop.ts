/** `siri bench webshop`: steps per second at a shop, or memory over a long run. */
import type { Command } from "commander";
import {
  benchWebshop,
  processorClock,
  type SoakPoint,
  soakGrowth,
  soakLine,
  soakWebshop,
  wallClock,
  webshopReport,
} from "../bench/webshop.js";
import { openWebshop, productsNamed } from "../env/webshop/index.js";
import { openWorld } from "../env/webshop/world.js";
import { numberFrom, wholeNumber } from "./options.js";

interface Options {
  readonly data?: string;
  readonly products?: string;
  readonly nouns?: string;
  readonly seconds: number;
  readonly processorTime?: boolean;
  readonly soak?: number;
  readonly json?: boolean;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

export function registerWebshop(bench: Command): void {
  bench
    .command("webshop")
    .description("WebShop beside the original: steps per second and searches; with --soak memory over a long run")
    .option("--data <folder>", "folder of the data files; default: the variable WEBSHOP_DATA")
    .option("--products <which>", "1000 for the small files, all for the full ones, or how many records of the full ones")
    .option("--nouns <file>", "noun lists by title; titles that are not in it are tagged")
    .option("--seconds <s>", "of each round of each measurement", numberFrom(0.01), 1)
    .option("--processor-time", "count processor time instead of time: for a machine that is shared")
    .option("--soak <steps>", "play so many steps instead and look at memory twenty times", wholeNumber(20))
    .option("--json", "print the numbers as JSON")
    .action(async ({ data, products, nouns: lists, seconds, processorTime, soak, json }: Options) => {
      const { stock, nouns, notes = [] } = await openWebshop({ data, products: productsNamed(products), nouns: lists });
      for (const note of notes) console.error(`note: ${note}`);
      const world = openWorld(stock, { kind: "synthetic", seed: 233 }, nouns);
      if (soak === undefined) {
        const result = benchWebshop(world, seconds, processorTime ? processorClock : wallClock);
        print(json ? JSON.stringify(result) : webshopReport(result));
        return;
      }
      const points: SoakPoint[] = [];
      for (const point of soakWebshop(world, soak)) {
        points.push(point);
        print(json ? JSON.stringify(point) : soakLine(point));
      }
      const { heapMiB, rssMiB } = soakGrowth(points);
      if (!json) print(`after the first fifth: heap ${heapMiB.toFixed(1)} MiB more, resident ${rssMiB.toFixed(0)} MiB more`);
    });
}
