/**
 * The text-game engine on real games: milliseconds to load a game, steps per second, memory of a loaded game.
 * Run: `node --expose-gc --import tsx bench/textworld.ts [folder of .tw-pddl files]`; the folder is ALFWORLD_GOLDENS/games/2.1.3, or
 * ../shared/alfworld/games/2.1.3 beside the repository. A step is a random admissible command and the new list of commands.
 */
import { readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { parseGame } from "../src/env/textworld/index.js";

const shared = process.env.ALFWORLD_GOLDENS ?? resolve(import.meta.dirname, "../../shared/alfworld");
const folder = process.argv[2] ?? join(shared, "games/2.1.3");
const ROUNDS = 5;
const STEPS = 200;

const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".tw-pddl"));
const sources = files.map((file) => readFileSync(join(folder, file), "utf8"));

/** Bytes in use after a collection. */
function memory(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function milliseconds(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** Median, and the spread from least to greatest. */
function summary(values: readonly number[], digits: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  const show = (value: number) => value.toFixed(digits);
  return `${show(sorted[sorted.length >> 1]!)} (${show(sorted[0]!)} to ${show(sorted[sorted.length - 1]!)})`;
}

const load = () => sources.map((source) => parseGame(source));
load();
const empty = memory();
const games = load();
const loaded = memory();

const loadTimes: number[] = [];
const startTimes: number[] = [];
const stepTimes: number[] = [];
let state = 1;
const random = (below: number) => {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
  return Math.floor((state / 0x80000000) * below);
};
for (let round = 0; round < ROUNDS; round++) {
  loadTimes.push(milliseconds(load) / games.length);
  startTimes.push((milliseconds(() => games.map((game) => game.start())) / games.length) * 1000);
  const plays = games.map((game) => game.start());
  const walk = () => {
    for (const play of plays) {
      for (let step = 0; step < STEPS; step++) {
        const { admissible } = play;
        play.step(admissible[random(admissible.length)]!);
      }
    }
  };
  stepTimes.push((milliseconds(walk) / (games.length * STEPS)) * 1000);
}
const played = memory();

console.log(`${games.length} games, ${ROUNDS} rounds of ${STEPS} steps each; median (least to greatest)`);
console.log(`${cpus()[0]?.model ?? "unknown processor"}, node ${process.version}`);
console.log(`load            ${summary(loadTimes, 2)} ms a game, domain and grammar known`);
console.log(`start           ${summary(startTimes, 1)} us`);
console.log(`step and list   ${summary(stepTimes, 1)} us`);
console.log(
  `steps/s         ${summary(
    stepTimes.map((time) => 1e6 / time),
    0,
  )}`,
);
if (globalThis.gc) {
  console.log(`memory          ${((loaded - empty) / games.length / 1024).toFixed(0)} kB a loaded game`);
  console.log(`                ${((played - empty) / games.length / 1024).toFixed(0)} kB after ${ROUNDS * STEPS} steps of play`);
} else console.log("memory          not measured; run node with --expose-gc");
