import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { Command, CommanderError } from "commander";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { dataFolder, haveData, readDataLines } from "../../test/webshop/data.js";
import { THOUSAND_FILES } from "../../test/webshop/source.js";
import { GOAL, tinyWorld } from "../../test/webshop/tiny.js";
import { openWebshop } from "../env/webshop/index.js";
import type { ShopParts } from "../env/webshop/module.js";
import type { ObservationMode } from "../env/webshop/observation.js";
import { PythonRandom } from "../env/webshop/python/random.js";
import { TextShop } from "../env/webshop/text-shop.js";
import { SiriError } from "../errors.js";
import { register, runTalk, type Talk } from "./play.js";
import { openShopTalk, type ShopFlags, ShopJsonTalk, ShopTextTalk } from "./play-shop.js";

async function output(talk: Talk, input: readonly string[]): Promise<string> {
  const stream = new PassThrough();
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await runTalk(talk, Readable.from(input), stream);
  return Buffer.concat(chunks).toString("utf8");
}

function talk(input: readonly string[], json: boolean, goal?: number): Promise<string> {
  const shop = new TextShop(tinyWorld(), { mode: "text", random: () => new PythonRandom(1) });
  return output(json ? new ShopJsonTalk(shop, goal) : new ShopTextTalk(shop, goal), input);
}

const lines = (text: string): Record<string, unknown>[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("JSON lines", () => {
  it("begin with the first page and answer every line with one", async () => {
    const [first, results, none, ...rest] = lines(await talk(["search[shirt]\n\n", "click[nothing]"], true, 0));
    expect(first).toEqual({
      obs: `WebShop [SEP] Instruction: [SEP] ${GOAL.instructionText} [SEP] Search`,
      reward: 0,
      done: false,
      available: { has_search_bar: true, clickables: ["search"] },
      url: "http://127.0.0.1:3000/0",
    });
    expect(results).toMatchObject({ available: { has_search_bar: false, clickables: ["back to search", "next >", "b000shirt0"] } });
    expect(none).toEqual(results);
    expect(rest).toEqual([results]);
  });

  it("tell what a purchase was worth, and go on", async () => {
    const all = lines(await talk(["search[shirt]\nclick[b000shirt0]\nclick[red]\nclick[buy now]\nsearch[lamp]\n"], true, 0));
    const bought = all[4]!;
    expect(bought).toMatchObject({ reward: 1, done: true, available: { has_search_bar: false, clickables: [] } });
    expect(bought).toMatchObject({ asin: "B000SHIRT0", options: { color: "red" }, reward_info: { r_price: true, w_att: 0.5 } });
    expect(Object.keys(all[5]!)).toEqual(["obs", "reward", "done", "available", "url"]);
    expect(all[5]).toMatchObject({ reward: 0, done: false, url: "http://127.0.0.1:3000/search_results/0/lamp/1" });
  });

  it("draw a goal when none is named", async () => {
    const [first] = lines(await talk([], true));
    expect(first!.url).toMatch(/\/[a-z]{10}$/);
  });
});

describe("the terminal", () => {
  it("numbers what can be clicked, and takes numbers, actions and quit", async () => {
    const shown = await talk(["search[shirt]\n", "3\n", "99\n", "quit\n", "search[lamp]\n"], false, 0);
    expect(shown).toContain("\n  1  search\n");
    expect(shown).toContain("\n  3  b000shirt0\n");
    expect(shown).toContain("click[b000shirt0]\n\nInstruction: [SEP]");
    expect(shown.split("Buy Now")).toHaveLength(3);
    expect(shown).not.toContain("lamp");
    expect(await talk(["search[shirt]\n3\n6\n"], false, 0)).toContain("Bought, with a score of 1.");
  });
});

describe("the command", () => {
  /** Parses a command line that is refused before anything is read from the standard input. */
  const refused = async (args: readonly string[]): Promise<string> => {
    vi.stubEnv("WEBSHOP_DATA", "");
    let written = "";
    const program = new Command().exitOverride().configureOutput({
      writeErr: (text) => {
        written += text;
      },
    });
    register(program);
    for (const command of program.commands) command.exitOverride().copyInheritedSettings(program);
    try {
      await program.parseAsync(["play", ...args], { from: "user" });
    } catch (error) {
      if (error instanceof CommanderError) return written;
      if (error instanceof SiriError) return `${error.code}: ${error.message}`;
      throw error;
    } finally {
      vi.unstubAllEnvs();
    }
    throw new Error("not refused");
  };

  it.each([
    [["--env", "webshop", "--json"], /^ENVIRONMENT_DATA: .*WEBSHOP_DATA.*--data/],
    [["--env", "webshop", "--data", "nowhere"], /^WEBSHOP_DATA: .*'nowhere'/],
    [["--env", "webshop", "--game", "x.tw-pddl"], /^CONFIG_PLAY: --game names a text game/],
    [["--env", "webshop", "--mode", "image"], /text, text_rich, html, url/],
    [["--env", "webshop", "--goals", "both"], /human, synthetic/],
    [["--env", "webshop", "--goal", "-1"], /whole number of at least 0/],
    [["--env", "webshop", "--seed", "-1.5"], /Give a whole number\./],
    [["--env", "webshop", "--seed", "-7"], /^ENVIRONMENT_DATA/],
    [["--env", "webshop", "--products", "some"], /^CONFIG_ENVIRONMENT: --products is 'some'; give 1000, all/],
    [["--env", "webshop", "--products", "0"], /^CONFIG_ENVIRONMENT: --products/],
    [["--env", "household", "--game", "train/1", "--prev-obs", "2"], /^CONFIG_PLAY: --prev-obs belongs to --env webshop/],
    [["--goals", "human"], /^CONFIG_PLAY: --goals belongs to --env webshop/],
    [["--env", "alfworld"], /^CONFIG_PLAY: .*needs a game/],
  ])("refuses %j", async (args, message) => {
    expect(await refused(args)).toMatch(message);
  });

  const have = haveData(...THOUSAND_FILES, "title_nouns_wink.json.gz", "goldens/episodes.jsonl.gz");
  /** The data are read once for all tests. */
  let parts: Promise<ShopParts> | undefined;
  const play = (flags: ShopFlags, note: (text: string) => void = () => {}): Promise<Talk> =>
    openShopTalk({ data: dataFolder, ...flags }, true, note, (options) => {
      parts ??= openWebshop(options);
      return parts;
    });

  it.skipIf(!have)("plays recorded episodes, by the same goals, as the original did", async () => {
    interface Recording {
      readonly observation_mode: ObservationMode;
      readonly show_attrs: boolean;
      readonly goals: "human" | "synthetic";
      readonly goal_index: number;
      readonly num_prev_obs: number;
      readonly num_prev_actions: number;
      readonly reset_obs: string;
      readonly reset_available: unknown;
      readonly steps: readonly { readonly action: string }[];
    }
    const recordings = readDataLines<Recording>("goldens/episodes.jsonl.gz");
    const kinds = new Map<string, Recording>();
    for (const row of recordings) {
      if (row.steps.some(({ action }) => action.includes("\n"))) continue;
      kinds.set(JSON.stringify([row.goals, row.observation_mode, row.show_attrs, row.num_prev_obs]), row);
    }
    expect(kinds.size).toBeGreaterThanOrEqual(6);
    for (const row of kinds.values()) {
      const flags: ShopFlags = {
        seed: 233,
        goals: row.goals,
        goal: row.goal_index,
        mode: row.observation_mode,
        showAttrs: row.show_attrs,
        prevObs: row.num_prev_obs,
        prevActions: row.num_prev_actions,
      };
      const notes: string[] = [];
      const [first, ...answers] = lines(
        await output(
          await play(flags, (note) => notes.push(note)),
          row.steps.map(({ action }) => `${action}\n`),
        ),
      );
      expect(notes).toEqual([]);
      expect(first).toEqual({ obs: row.reset_obs, available: row.reset_available, reward: 0, done: false, url: expect.any(String) });
      expect(answers).toEqual(row.steps.map(({ action: _, ...want }) => want));
    }
  });

  it.skipIf(!have)("leaves with 0 at the end of the input, as a program", () => {
    const folder = mkdtempSync(join(tmpdir(), "siri-play-shop-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const harness = join(folder, "harness.mts");
    writeFileSync(
      harness,
      `import { main } from ${JSON.stringify(join(import.meta.dirname, "main.ts"))};\nawait main(process.argv.slice(2));\n`,
    );
    const args = ["play", "--env", "webshop", "--data", dataFolder, "--goals", "human", "--goal", "3", "--json", "--mode", "url"];
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", import.meta.resolve("tsx"), harness, ...args], {
      input: "search[chair]\nclick[next >]\n",
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([0, ""]);
    expect(lines(stdout).map(({ obs, url }) => obs === url && url)).toEqual([
      "http://127.0.0.1:3000/3",
      "http://127.0.0.1:3000/search_results/3/chair/1",
      "http://127.0.0.1:3000/search_results/3/chair/2",
    ]);
  });

  it.skipIf(!have)("names a goal that there is not", async () => {
    await expect(play({ goals: "human", goal: 13 })).rejects.toThrowError(/no goal 13.*from 0 to 12/);
  });

  const lists = { human: "goldens/goals_human_preseed233.jsonl.gz", synthetic: "goldens/goals_synthetic_preseed233.jsonl.gz" } as const;
  it.skipIf(!haveData(...THOUSAND_FILES, ...Object.values(lists)))("numbers the goals as the original does, seeded with 233", async () => {
    for (const goals of ["human", "synthetic"] as const) {
      const rows = readDataLines<{ readonly instruction_text: string }>(lists[goals]);
      for (const goal of [0, 1, 7, rows.length - 1]) {
        const [first] = lines(await output(await play({ goals, goal, seed: 233 }), []));
        expect(first!.obs).toBe(`WebShop [SEP] Instruction: [SEP] ${rows[goal]!.instruction_text} [SEP] Search`);
      }
    }
  });
});
