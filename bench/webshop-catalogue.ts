/**
 * What a WebShop catalogue costs: making its index, opening it, memory, searches.
 *
 *   npx tsx bench/webshop-catalogue.ts make --data DIR --products 1000000 [--seed 1] [--gzip]
 *   npx tsx bench/webshop-catalogue.ts run --data DIR [--products all] [--queries 400] [--json]
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { openCatalogue } from "../src/env/webshop/catalogue/open.js";
import type { Product } from "../src/env/webshop/types.js";
import { makeCatalogue } from "./synthetic-catalogue.js";

const MIB = 2 ** 20;
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string" },
    products: { type: "string" },
    seed: { type: "string", default: "1" },
    queries: { type: "string", default: "400" },
    gzip: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const [command] = positionals;
const { data } = values;

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** What people and agents type: a few words of a title, or a whole instruction with options and a price. */
function queryFor(product: Product, number: number): string {
  const words = product.title.split(" ");
  if (number % 2 === 0) return words.slice(number % 5, (number % 5) + 3 + (number % 6)).join(" ");
  const options = Array.from(product.options, ([name, choices]) => `${name}: ${choices[number % choices.length]}`).join(", and ");
  return `find me ${product.attributes.slice(0, 3).join(", ")} ${product.query} with ${options}, and price lower than 50.00 dollars`;
}

interface Timing {
  readonly median: number;
  readonly p95: number;
  readonly largest: number;
  /** Processor time, mean: what it costs on a machine that is shared. */
  readonly processor: number;
}

/** Seconds of processor time since the start. */
function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Microseconds a call. */
function timed(calls: number, call: (number: number) => void): Timing {
  const times: number[] = [];
  const before = processorSeconds();
  for (let i = 0; i < calls; i++) {
    const start = performance.now();
    call(i);
    times.push(1000 * (performance.now() - start));
  }
  const processor = (1e6 * (processorSeconds() - before)) / calls;
  times.sort((a, b) => a - b);
  return { processor, median: quantile(times, 0.5), p95: quantile(times, 0.95), largest: times.at(-1)! };
}

async function run(folder: string): Promise<void> {
  const products =
    values.products === undefined || values.products === "1000" || values.products === "all" ? values.products : Number(values.products);
  const indexBytes = () =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".siri-index"))
      .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  let phase = "";
  let peak = 0;
  const open = async () => {
    const start = performance.now();
    const before = processorSeconds();
    const stock = await openCatalogue({
      data: folder,
      products: products as number | "1000" | "all" | undefined,
      onProblem: ({ file, record, what }) => say(`${file}, record ${record}: ${what}`),
      onProgress(progress) {
        peak = Math.max(peak, process.memoryUsage().rss);
        const line = `${progress.phase} ${Math.floor(10 * progress.done) * 10}%`;
        if (line !== phase)
          say(
            `${line}, ${progress.products} products, ${((performance.now() - start) / 1000).toFixed(0)} s, ${Math.round(process.memoryUsage().rss / MIB)} MiB`,
          );
        phase = line;
      },
    });
    return { stock, seconds: (performance.now() - start) / 1000, processor: processorSeconds() - before };
  };
  const first = await open();
  first.stock.close();
  const { stock, seconds, processor } = await open();
  const count = Number(values.queries);
  const positions = Array.from({ length: count }, (_, i) => (i * 7919 + 17) % stock.length);
  const queries = positions.map((position, i) => queryFor(stock.product(position), i));
  const search = (number: number) => stock.search(queries[number]!);
  const cold = timed(count, search);
  const warm = timed(count, search);
  const page = timed(count, (number) => {
    for (let i = 0; i < 10; i++) stock.product((positions[number]! * 31 + i * 104_729) % stock.length);
  });
  const result = {
    products: stock.length,
    firstOpenSeconds: first.seconds,
    firstOpenProcessorSeconds: first.processor,
    buildPeakMiB: peak / MIB,
    indexMiB: indexBytes() / MIB,
    openSeconds: seconds,
    openProcessorSeconds: processor,
    residentMiB: process.memoryUsage().rss / MIB,
    searchColdMicroseconds: cold,
    searchWarmMicroseconds: warm,
    tenProductsMicroseconds: page,
    problems: stock.problems.count,
  };
  stock.close();
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else
    for (const [name, value] of Object.entries(result))
      process.stdout.write(`${name}: ${typeof value === "number" ? value.toFixed(2) : JSON.stringify(value)}\n`);
}

if (data === undefined || (command !== "make" && command !== "run")) {
  say("usage: webshop-catalogue.ts make|run --data DIR [--products N|1000|all] [--seed S] [--gzip] [--queries N] [--json]");
  process.exitCode = 2;
} else if (command === "run") await run(data);
else {
  const products = Number(values.products ?? 1_000_000);
  const onProgress = (made: number) => made % 100_000 === 0 && say(`${made} products`);
  await makeCatalogue({ folder: data, products, seed: Number(values.seed), gzip: values.gzip, onProgress });
}
