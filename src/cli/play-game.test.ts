/** What `siri play --game` takes for a game. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { testGame } from "../../test/games/load.js";
import { findGame } from "./play-game.js";

const data = mkdtempSync(join(tmpdir(), "siri-play-game-"));
afterAll(() => rmSync(data, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

const id = (split: string, object: string) => `${split}/pick_and_place_simple-${object}-None-Shelf-1/trial_T1`;

function put(task: string, solvable: boolean): string {
  const folder = join(data, "json_2.1.1", task);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "game.tw-pddl"), JSON.stringify({ ...testGame("kitchen"), solvable }));
  return folder;
}

const cup = put(id("train", "Cup"), true);
const dish = put(id("train", "Dish"), false);
const pan = put(id("train", "Pan"), true);

const notes: string[] = [];
const nameOf = async (env: "household" | "alfworld", game: string, folder?: string) =>
  (await findGame({ env, game, ...(folder === undefined ? {} : { data: folder }) }, (text) => notes.push(text))).name;

describe("a game of ALFWorld", () => {
  it("is a file or a trial's folder, data or not", async () => {
    vi.stubEnv("ALFWORLD_DATA", "");
    expect(await nameOf("alfworld", join(pan, "game.tw-pddl"))).toBe(join(pan, "game.tw-pddl"));
    expect(await nameOf("alfworld", pan)).toBe(join(pan, "game.tw-pddl"));
  });

  it("is a place among the games that are played, or any task's id", async () => {
    expect(await nameOf("alfworld", "train/0", data)).toBe(join(cup, "game.tw-pddl"));
    expect(await nameOf("alfworld", "train/1", data)).toBe(join(pan, "game.tw-pddl"));
    expect(notes).toContainEqual("alfworld train: 2 games; the official release has 3553.");
    expect(await nameOf("alfworld", id("train", "Dish"), data)).toBe(join(dish, "game.tw-pddl"));
    vi.stubEnv("ALFWORLD_DATA", data);
    expect(await nameOf("alfworld", id("train", "Cup"))).toBe(join(cup, "game.tw-pddl"));
    expect(await nameOf("alfworld", "train/1")).toBe(join(pan, "game.tw-pddl"));
  });

  it.each([
    ["train/2", data, /has 2 tasks, from 0; there is no task 2/],
    ["valid_seen/0", data, /split 'valid_seen' is missing/],
    ["test/0", data, /no split 'test'; it has train/],
    [id("train", "Fork"), data, /game file '.*Fork.*' cannot be read/],
    ["mug.tw-pddl", data, /game file 'mug\.tw-pddl' cannot be read: .* place in a split such as valid_seen\/3, or the id/],
    ["train/0", join(data, "json_2.1.1", "train"), /'.*train' holds no json_2\.1\.1\/ with a split in it/],
    ["train/0", join(data, "nowhere"), /'.*nowhere' is no folder\. Set .*--data/],
    ["train/0", undefined, /no data folder is given/],
  ])("that is not there is refused: %s in %s", async (game, folder, message) => {
    vi.stubEnv("ALFWORLD_DATA", "");
    await expect(nameOf("alfworld", game, folder)).rejects.toThrowError(message);
  });
});

describe("a household game", () => {
  it("is a place in a split or a file", async () => {
    expect(await nameOf("household", "train/17")).toBe("train/17");
    expect(await nameOf("household", pan)).toBe(join(pan, "game.tw-pddl"));
    await expect(nameOf("household", "test/0")).rejects.toThrowError(/test/);
    await expect(nameOf("household", id("train", "Cup"))).rejects.toThrowError(/place in a split such as train\/17/);
  });
});
