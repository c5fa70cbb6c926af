/**
 * The text-game engine on real games: time to load a game, time of a step with its list of commands, memory of a loaded game, and steps
 * per second of several games at once in one process, beside the original Python engine. A step is a random admissible command.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { findRelease } from "../env/alfworld/release.js";
import { type Game, type Play, parseGame } from "../env/textworld/index.js";
import { SiriError } from "../errors.js";
import { packageRoot } from "../native.js";
import { median } from "./report.js";

/** TextWorld 1.7 with Fast Downward, one process on an idle two-core machine, admissible commands asked for, on the same games. */
export const ORIGINAL = { loadMs: 660, stepUs: 49_000, stepsPerSecond: 20 };

export const PARALLEL = [1, 16, 128] as const;
/** Games are played for so long, then started again. */
const EPISODE = 50;
const ROUNDS = 5;

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export interface TextworldBench {
  readonly folder: string;
  readonly games: number;
  /** Each game once a round, domain and grammar known. */
  readonly loadMs: Spread;
  /** A new play of a loaded game, its first text included. */
  readonly startUs: Spread;
  readonly stepUs: Spread;
  /** kB (1024 bytes) of a loaded game. */
  readonly loadedKb: number;
  /** The same after every game has been played for 200 steps, with the play. */
  readonly playedKb: number;
  /** Games at once -> steps of all of them per second, starts included. */
  readonly stepsPerSecond: Readonly<Record<number, Spread>>;
}

/** The folder that is measured when none is named: the recorded games, else valid_seen of the release. @throws SiriError BENCH_NO_GAMES */
export function defaultGames(): string {
  const recorded = join(process.env.ALFWORLD_GOLDENS ?? resolve(packageRoot(), "../shared/alfworld"), "games", "2.1.3");
  if (existsSync(recorded)) return recorded;
  if (process.env.ALFWORLD_DATA) return join(findRelease(process.env.ALFWORLD_DATA), "valid_seen");
  throw new SiriError(
    "BENCH_NO_GAMES",
    `no games to measure: '${recorded}' is not there and ALFWORLD_DATA is not set. Name a folder of .tw-pddl files with --games.`,
  );
}

/** @param seconds of each measurement of parallel games @throws SiriError BENCH_NO_GAMES */
export function benchTextworld(folder: string, seconds: number): TextworldBench {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new SiriError("BENCH_NO_GAMES", `--games: '${folder}' is no folder`);
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".tw-pddl"));
  if (files.length === 0) throw new SiriError("BENCH_NO_GAMES", `--games: no .tw-pddl file in '${folder}'`);
  const sources = files.sort().map((file) => readFileSync(join(folder, file), "utf8"));
  const load = () => sources.map((source, i) => parseGame(source, files[i]!));
  load(); // so that domains, grammars and the compiler are warm
  const empty = memory();
  const games = load();
  const loaded = memory();
  const plays = games.map((game) => game.start());
  const random = randomBelow(1);
  for (const play of plays) for (let step = 0; step < 200; step++) playStep(play, random);
  const played = memory();

  const times = { load: [] as number[], start: [] as number[], step: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    times.load.push(milliseconds(load) / games.length);
    let fresh: Play[] = [];
    times.start.push(
      (1000 *
        milliseconds(() => {
          fresh = games.map((game) => game.start());
        })) /
        games.length,
    );
    const walk = () => {
      for (const play of fresh) for (let step = 0; step < 200; step++) playStep(play, random);
    };
    times.step.push((1000 * milliseconds(walk)) / (games.length * 200));
  }
  return {
    folder,
    games: games.length,
    loadMs: spread(times.load),
    startUs: spread(times.start),
    stepUs: spread(times.step),
    loadedKb: (loaded - empty) / games.length / 1024,
    playedKb: (played - empty) / games.length / 1024,
    stepsPerSecond: Object.fromEntries(PARALLEL.map((count) => [count, spread(rounds(() => parallel(games, count, seconds, random)))])),
  };
}

/** Steps per second of games that take turns, each started again when it is won or an episode is over. */
function parallel(games: readonly Game[], count: number, seconds: number, random: (below: number) => number): number {
  const chosen = Array.from({ length: count }, (_, i) => games[i % games.length]!);
  const plays = chosen.map((game) => ({ play: game.start(), left: 0 }));
  let steps = 0;
  const start = performance.now();
  let elapsed = 0;
  while (elapsed < 1000 * seconds) {
    for (const [i, place] of plays.entries()) {
      if (place.left === 0 || place.play.won) {
        place.play = chosen[i]!.start();
        place.left = EPISODE;
      }
      playStep(place.play, random);
      place.left--;
    }
    steps += count;
    elapsed = performance.now() - start;
  }
  return (1000 * steps) / elapsed;
}

function playStep(play: Play, random: (below: number) => number): void {
  const { admissible } = play;
  play.step(admissible[random(admissible.length)]!);
}

function rounds(measure: () => number): number[] {
  return Array.from({ length: ROUNDS }, measure);
}

/** Repeatable numbers: a linear congruential sequence is enough here. */
function randomBelow(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
}

function milliseconds(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function spread(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** Bytes in use after a collection. */
function memory(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** A Markdown table. */
export function textworldReport(bench: TextworldBench): string {
  const show = (spread: Spread, digits: number) =>
    `${number(spread.median, digits)} (${number(spread.least, digits)} to ${number(spread.most, digits)})`;
  const times = (ratio: number) => `${number(ratio, 0)} x`;
  const { loadMs, startUs, stepUs, loadedKb, playedKb, stepsPerSecond } = bench;
  const rows = [
    ["load a game, ms", show(loadMs, 2), number(ORIGINAL.loadMs, 0), times(ORIGINAL.loadMs / loadMs.median)],
    ["start a play, us", show(startUs, 1), number(ORIGINAL.loadMs * 1000, 0), times((ORIGINAL.loadMs * 1000) / startUs.median)],
    ["step and list of commands, us", show(stepUs, 1), number(ORIGINAL.stepUs, 0), times(ORIGINAL.stepUs / stepUs.median)],
    ...PARALLEL.map((count) => {
      const speed = stepsPerSecond[count]!;
      const original = count === 1 ? number(ORIGINAL.stepsPerSecond, 0) : "";
      return [
        `steps/s, ${count} game${count === 1 ? "" : "s"} at once`,
        show(speed, 0),
        original,
        count === 1 ? times(speed.median / ORIGINAL.stepsPerSecond) : "",
      ];
    }),
    ["memory of a loaded game, kB", number(loadedKb, 0), "", ""],
    ["memory with a play of 200 steps, kB", number(playedKb, 0), "", ""],
  ];
  return [
    `${bench.games} games, one process, one thread; medians of ${ROUNDS} (least to greatest).`,
    "The original is TextWorld with Fast Downward: its times for the same games, measured in one process on an idle machine of two cores;",
    "it loads a game anew for every start, and several at once take a process each.",
    "",
    "| | siri | original | |",
    "|---|---|---|---|",
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ].join("\n");
}

const number = (value: number, digits: number): string =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
