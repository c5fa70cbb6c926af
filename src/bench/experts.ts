/** How well the scripted players do on ALFWorld's games: success and mean steps by task type, time to think and to play. */
import { join } from "node:path";
import alfworld, { type AlfworldTaskData, readGame } from "../env/alfworld/index.js";
import { ALFWORLD_SENSE } from "../env/alfworld/places.js";
import { plan } from "../env/alfworld/planner.js";
import { findRelease } from "../env/alfworld/release.js";
import { Expert } from "../env/household/expert.js";
import { Rng } from "../env/household/rng.js";
import type { Game } from "../env/textworld/index.js";
import { type Rate, wilson } from "../rl/evaluate.js";

/** Plays one game: takes what was executed (null at the start) and what it led to, then says what to do. */
export interface Player {
  read(executed: string | null, text: string, admissible: readonly string[]): void;
  decide(): { readonly action: string };
}

export const EXPERTS: Readonly<Record<string, (game: Game, seed: number) => Player>> = {
  /** Knows all that the file says. */
  planner: (game) => {
    const commands = plan(game).values();
    return { read: () => {}, decide: () => ({ action: commands.next().value ?? "look" }) };
  },
  /** Knows what it has seen, and where such things usually are. */
  seen: (game, seed) => new Expert(game.task, { rng: new Rng(seed, "bench"), sense: ALFWORLD_SENSE, likeliest: true }),
};

export interface ExpertsBench {
  readonly expert: string;
  readonly split: string;
  readonly maxSteps: number;
  readonly byType: Readonly<Record<string, ExpertRow>>;
  readonly all: ExpertRow;
  /** Milliseconds per game: to load it, and to think and play. */
  readonly loadMs: number;
  readonly playMs: number;
  /** Ids of the games that were not won. */
  readonly lost: readonly string[];
  /** What a user should know of the split. */
  readonly notes: readonly string[];
}

export interface ExpertRow {
  readonly success: Rate;
  /** Over all games; a game that is not won counts with the steps it took. */
  readonly meanSteps: number;
  /** Over the games that were won. */
  readonly meanStepsWon: number;
}

export interface ExpertsOptions {
  readonly expert: keyof typeof EXPERTS;
  readonly split: string;
  readonly maxSteps: number;
  /** The first so many games; 0 = all. */
  readonly tasks: number;
  readonly seed: number;
  /** Folder that holds `json_2.1.1/`; default: ALFWORLD_DATA. */
  readonly data?: string;
}

/** Plays each game of a split once. @throws SiriError ENVIRONMENT_DATA, SPLIT_UNKNOWN; what the player throws */
export function benchExperts(options: ExpertsOptions): ExpertsBench {
  const { expert, split, maxSteps, seed, data = process.env.ALFWORLD_DATA } = options;
  const root = findRelease(data);
  const tasks = alfworld({ data: root }).tasks(split);
  const count = options.tasks === 0 ? tasks.length : Math.min(options.tasks, tasks.length);
  const games: { readonly id: string; readonly type: string; readonly won: boolean; readonly steps: number }[] = [];
  let loading = 0;
  let playing = 0;
  for (let i = 0; i < count; i++) {
    const { id, type, data } = tasks.at(i);
    const start = performance.now();
    const game = readGame(join(root, (data as AlfworldTaskData).file));
    const loaded = performance.now();
    games.push({ id, type, ...playGame(game, EXPERTS[expert]!(game, seed + i), maxSteps) });
    loading += loaded - start;
    playing += performance.now() - loaded;
  }
  const row = (of: typeof games): ExpertRow => {
    const won = of.filter((game) => game.won);
    return { success: wilson(won.length, of.length), meanSteps: meanSteps(of), meanStepsWon: meanSteps(won) };
  };
  const types = [...new Set(games.map((game) => game.type))].sort();
  return {
    expert,
    split,
    maxSteps,
    byType: Object.fromEntries(types.map((type) => [type, row(games.filter((game) => game.type === type))])),
    all: row(games),
    loadMs: loading / count,
    playMs: playing / count,
    lost: games.filter((game) => !game.won).map((game) => game.id),
    notes: tasks.notes,
  };
}

/** One game, seen as an agent sees it: without `help`. */
export function playGame(game: Game, player: Player, maxSteps: number): { won: boolean; steps: number } {
  const play = game.start();
  const show = (executed: string | null) =>
    player.read(
      executed,
      play.observation,
      play.admissible.filter((command) => command !== "help"),
    );
  show(null);
  let steps = 0;
  while (!play.won && steps < maxSteps) {
    const { action } = player.decide();
    play.step(action);
    steps++;
    show(action);
  }
  return { won: play.won, steps };
}

const meanSteps = (games: readonly { readonly steps: number }[]): number =>
  games.length === 0 ? 0 : games.reduce((sum, { steps }) => sum + steps, 0) / games.length;

/** A Markdown table. */
export function expertsReport(bench: ExpertsBench): string {
  const line = (name: string, { success, meanSteps, meanStepsWon }: ExpertRow) =>
    `| ${name} | ${success.n} | ${Math.round(success.rate * success.n)} | ${(100 * success.rate).toFixed(1)}% | ${meanSteps.toFixed(2)} | ${meanStepsWon.toFixed(2)} |`;
  return [
    ...bench.notes,
    `expert ${bench.expert}, split ${bench.split}, at most ${bench.maxSteps} steps; per game ${bench.loadMs.toFixed(2)} ms to load, ${bench.playMs.toFixed(2)} ms to play`,
    "",
    "| task type | games | won | success | mean steps | of the won |",
    "|---|---|---|---|---|---|",
    ...Object.entries(bench.byType).map(([type, row]) => line(type, row)),
    line("all", bench.all),
    ...(bench.lost.length === 0 ? [] : ["", `not won: ${bench.lost.slice(0, 5).join(", ")}${bench.lost.length > 5 ? ", ..." : ""}`]),
  ].join("\n");
}
