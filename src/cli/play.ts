/**
 * `siri play`: one text game or one shop on the terminal, or as JSON lines for programs. Works on the engine itself, not on an environment,
 * so the list of commands is the engine's whole list (`help` included) and play goes on after a win.
 */
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StringDecoder } from "node:string_decoder";
import type { Command } from "commander";
import type { Game, Play } from "../env/textworld/index.js";
import { OBSERVATION_MODES } from "../env/webshop/observation.js";
import { SiriError } from "../errors.js";
import { integer, wholeNumber } from "./options.js";
import { findGame } from "./play-game.js";
import type { ShopFlags } from "./play-shop.js";

export interface PlayOptions {
  readonly game: Game;
  /** One JSON object per line, `{obs, admissible, won, score, done}`: the first observation, then one for every line of input. */
  readonly json: boolean;
}

type Flags = ShopFlags & {
  readonly env: "household" | "alfworld" | "webshop";
  readonly game?: string;
  readonly json?: boolean;
};

export function register(program: Command): void {
  const command = program
    .command("play")
    .description(
      "play one text game or one shop: on the terminal, or with --json for programs (a command per line in, an object per line out)",
    )
    .addOption(program.createOption("--env <name>", "what is played").choices(["household", "alfworld", "webshop"]).default("household"))
    .option(
      "--game <game>",
      "household, alfworld: a .tw-pddl file, or a place in a split (from 0) such as train/17; alfworld: also a trial's folder or a task's id",
    )
    .option("--json", "JSON lines instead of text")
    .option(
      "--data <folder>",
      "alfworld: the folder that holds json_2.1.1/; default: the variable ALFWORLD_DATA; " +
        "webshop: the folder of the product and instruction files; default: the variable WEBSHOP_DATA",
    )
    .option("--products <which>", "webshop: 1000 for the small files, all for the full ones, or how many records of the full ones")
    .option("--nouns <file>", "webshop: noun lists by title (JSON); default: title_nouns.json in the data folder; other titles are tagged")
    .addOption(program.createOption("--goals <kind>", "webshop: where goals come from; default synthetic").choices(["human", "synthetic"]))
    .option("--goal <n>", "webshop: number of the goal in the shuffled list; default: drawn by weight", wholeNumber(0))
    .option("--seed <n>", "webshop: draws prices, price limits and everything random; default 233", integer)
    .addOption(program.createOption("--mode <mode>", "webshop: what an observation is; default text").choices(OBSERVATION_MODES))
    .option("--show-attrs", "webshop: item pages lead to a page of attributes")
    .option("--prev-obs <k>", "webshop: earlier observations in front of the present one", wholeNumber(0))
    .option("--prev-actions <k>", "webshop: earlier actions among them", wholeNumber(0));
  command.action(async ({ env, game, json = false, ...shop }: Flags) => {
    const note = (text: string) => console.error(`note: ${text}`);
    if (env === "webshop") {
      if (game !== undefined) throw new SiriError("CONFIG_PLAY", "--game names a text game; with --env webshop choose a goal by --goal");
      const { openShopTalk } = await import("./play-shop.js");
      return runTalk(await openShopTalk(shop, json, note), process.stdin, process.stdout);
    }
    const stray = Object.keys(shop).find((flag) => flag !== "data" || env !== "alfworld");
    if (stray !== undefined) {
      const option = `--${stray.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      const owners = stray === "data" ? "--env alfworld and --env webshop" : "--env webshop";
      throw new SiriError("CONFIG_PLAY", `${option} belongs to ${owners}; ${env} plays a game: --game <game>`);
    }
    if (game === undefined) throw new SiriError("CONFIG_PLAY", `--env ${env} needs a game: --game <game>; siri play --help says which`);
    const { data } = shop;
    const named = { env, game, ...(data === undefined ? {} : { data }) };
    await runPlay({ game: await findGame(named, note), json }, process.stdin, process.stdout);
  });
}

/** Plays until the input ends, `quit` (on the terminal) or nobody reads the output any more. */
export function runPlay({ game, json }: PlayOptions, input: Readable, output: Writable): Promise<void> {
  return runTalk(json ? new JsonTalk(game.start()) : new TextTalk(game.start()), input, output);
}

/** As `runPlay`, for anything that answers lines. */
export async function runTalk(talk: Talk, input: Readable, output: Writable): Promise<void> {
  // A reader that goes away in the middle of a write is reported twice: to the pipeline, and to the stream's own listeners.
  output.on("error", () => {});
  try {
    await pipeline(input, (chunks: AsyncIterable<Buffer | string>) => converse(talk, chunks), output, { end: false });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EPIPE" && code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
}

export interface Talk {
  /** True when the talk wants no more lines. */
  readonly over: boolean;
  begin(): string;
  answer(line: string): string;
}

/** One piece of output for each piece of input, however many lines it holds. */
async function* converse(talk: Talk, chunks: AsyncIterable<Buffer | string>): AsyncGenerator<string> {
  yield talk.begin();
  const decoder = new StringDecoder("utf8");
  let rest = "";
  for await (const chunk of chunks) {
    // Only the line feed ends a line. All else, a carriage return too, belongs to the command.
    const lines = (typeof chunk === "string" ? chunk : decoder.write(chunk)).split("\n");
    // What is left of earlier pieces is only joined, never searched again: a line may come in many pieces.
    lines[0] = rest + lines[0]!;
    rest = lines.pop()!;
    let text = "";
    for (const line of lines) {
      text += talk.answer(line);
      if (talk.over) break;
    }
    if (text !== "") yield text;
    if (talk.over) return;
  }
  rest += decoder.end();
  if (rest !== "") yield talk.answer(rest);
}

class JsonTalk implements Talk {
  readonly over = false;

  constructor(private readonly play: Play) {}

  begin(): string {
    return this.line(0);
  }

  answer(line: string): string {
    this.play.step(line);
    return this.line(this.play.score);
  }

  private line(score: 0 | 1): string {
    const { observation: obs, admissible, won } = this.play;
    return `${JSON.stringify({ obs, admissible, won, score, done: won })}\n`;
  }
}

class TextTalk implements Talk {
  over = false;

  constructor(private readonly play: Play) {}

  begin(): string {
    return `${this.play.observation}\n${this.menu()}`;
  }

  answer(line: string): string {
    const typed = line.trim();
    if (typed === "quit") {
      this.over = true;
      return "";
    }
    const wasWon = this.play.won;
    const chosen = /^\d+$/.test(typed) ? this.play.admissible[Number(typed) - 1] : undefined;
    const feedback = this.play.step(chosen ?? line);
    const news = this.play.won && !wasWon ? "\nThe task is done. Play goes on until you quit.\n" : "";
    return `${chosen ? `${chosen}\n` : ""}\n${feedback}\n${news}${this.menu()}`;
  }

  private menu(): string {
    const { admissible } = this.play;
    const width = String(admissible.length).length;
    const lines = admissible.map((command, i) => `  ${String(i + 1).padStart(width)}  ${command}`);
    return `\n${lines.join("\n")}\n\nA number, a command, or quit: `;
  }
}
