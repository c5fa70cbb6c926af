import { expect, it } from "vitest";
import { openShop } from "../env/shop/index.js";
import { benchWebshop, ORIGINAL_STEPS_PER_SECOND, processorClock, soakGrowth, soakLine, soakWebshop, webshopReport } from "./webshop.js";

const world = openShop(0);

it("measures every kind of play, and says how it compares", () => {
  const result = benchWebshop(world, 0.02, processorClock);
  expect(result).toMatchObject({ products: world.catalogue.length, goals: world.goals.length });
  const speeds = Object.values(result.stepsPerSecond);
  expect(speeds).toHaveLength(5);
  for (const { median, least, most } of [...speeds, result.searchUs.fresh, result.searchUs.known]) {
    expect(least).toBeGreaterThan(0);
    expect(median).toBeGreaterThanOrEqual(least);
    expect(most).toBeGreaterThanOrEqual(median);
  }
  // The expert knows what is wanted, so that nearly all it buys is right; a player that is lost would buy hardly anything.
  expect(result.perfect).toBeGreaterThan(0.8);
  const report = webshopReport(result).split("\n");
  expect(report.filter((line) => line.includes("steps/s |") && line.includes(`| ${ORIGINAL_STEPS_PER_SECOND} |`))).toHaveLength(5);
});

it("looks at memory twenty times on the way", () => {
  const points = [...soakWebshop(world, 4000)];
  expect(points).toHaveLength(20);
  expect(points.at(-1)!.steps).toBeGreaterThanOrEqual(4000);
  expect(points.map(({ steps }) => steps)).toEqual(points.map(({ steps }) => steps).sort((a, b) => a - b));
  expect(soakLine(points[0]!)).toMatch(/^ +[\d,]+ steps +\d+ steps\/s +heap +[\d.]+ MiB +resident +\d+ MiB$/);
  const grown = soakGrowth(points.map((point, i) => ({ ...point, heapMiB: i, rssMiB: 2 * i })));
  expect(grown).toEqual({ heapMiB: 16, rssMiB: 32 });
});
