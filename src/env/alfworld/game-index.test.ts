/** The index of a split: what it says of broken files, when it reads a file again, where it is kept. */
import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { testGame } from "../../../test/games/load.js";
import { indexGames } from "./game-index.js";
import alfworld from "./index.js";

const kitchen = testGame("kitchen");
let root = "";
let cache = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "siri-index-"));
  cache = mkdtempSync(join(tmpdir(), "siri-cache-"));
  vi.stubEnv("XDG_CACHE_HOME", cache);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  for (const folder of [root, cache]) rmSync(folder, { recursive: true, force: true });
});

const id = (name: string) => `train/pick_two_obj_and_place-${name}-None-Shelf-1/trial_T1`;
const fileOf = (name: string) => join(root, id(name), "game.tw-pddl");

function put(name: string, content: string | object = kitchen): string {
  const file = fileOf(name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

/** Starts, when all files have been as they are for an hour. */
function later(hours = 1) {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + hours * 3_600_000 });
  return indexGames(root, "train");
}

describe("an index", () => {
  it("is kept beside the data and spares the next start all reading", () => {
    for (const name of ["Mug", "Cup", "Pan"]) put(name);
    const first = later();
    expect(first).toMatchObject({ read: 3, file: join(root, "train.siri-index.json") });
    const second = later();
    expect(second).toEqual({ ...first, read: 0 });
    expect(readdirSync(root).sort()).toEqual(["train", "train.siri-index.json"]);
  });

  it("notices a file that is changed in place, with its size and its time kept", () => {
    const file = put("Mug", { ...kitchen, solvable: true });
    put("Cup");
    const text = readFileSync(file, "utf8");
    const { atime, mtime } = statSync(file);
    later();
    writeFileSync(file, text.replace('"solvable":true', '"solvable":null'));
    utimesSync(file, atime, mtime);
    expect(statSync(file).size).toBe(text.length);
    const again = later();
    expect(again.read).toBe(1);
    expect(again.games.find((game) => game.id === id("Mug"))?.solvable).toBe(null);
    expect(later().read).toBe(0);
  });

  it("does not trust a file that was written while the index was made", () => {
    put("Mug");
    expect(indexGames(root, "train").read).toBe(1);
    expect(indexGames(root, "train").read).toBe(1);
    expect(later().read).toBe(1);
    expect(later().read).toBe(0);
  });

  it("follows games that come and go", () => {
    put("Mug");
    put("Cup");
    later();
    put("Pan");
    rmSync(dirname(fileOf("Mug")), { recursive: true });
    const names = () => later(48).games.map((game) => game.id);
    expect(names()).toEqual([id("Cup"), id("Pan")]);
    rmSync(dirname(fileOf("Pan")), { recursive: true });
    expect(names()).toEqual([id("Cup")]);
    expect(readFileSync(join(root, "train.siri-index.json"), "utf8")).not.toContain("Pan");
  });

  it.each([
    ["cut off", (text: string) => text.slice(0, text.length / 2)],
    ["empty", () => ""],
    ["of another format", (text: string) => text.replace('"format":1', '"format":999')],
    ["with one letter changed", (text: string) => text.replace("true", "null")],
    ["binary", () => "\0\x01\n\xff"],
  ])("that is %s is made anew", (_, damage) => {
    put("Mug");
    const { file, games } = later();
    const text = readFileSync(file!, "utf8");
    writeFileSync(file!, damage(text));
    expect(readFileSync(file!, "utf8")).not.toBe(text);
    expect(later()).toMatchObject({ read: 1, file, games });
    expect(later().read).toBe(0);
  });

  it("lies in the cache folder when the data cannot be written beside", () => {
    put("Mug");
    mkdirSync(join(root, "train.siri-index.json")); // a folder cannot be replaced by a file, not even by root
    const { file } = later();
    expect(file).toMatch(new RegExp(`^${cache}/siri-rl/alfworld/[0-9a-f]{16}-train\\.json$`));
    expect(later()).toMatchObject({ read: 0, file });
    expect(readdirSync(root).sort()).toEqual(["train", "train.siri-index.json"]);
  });

  it("is done without where nothing can be written, which is said", () => {
    put("Mug");
    mkdirSync(join(root, "train.siri-index.json"));
    rmSync(cache, { recursive: true });
    writeFileSync(cache, "a file where the cache folder should be");
    expect(later()).toMatchObject({ read: 1, file: null });
    expect(alfworld({ data: root }).tasks("train").notes).toContainEqual(expect.stringMatching(/neither the data folder nor the cache/));
  });

  it("reads a file again when its time differs, and one that could not be played each time", () => {
    put("Mug");
    put("Broken", "{");
    later();
    const now = new Date(Date.now() + 60_000);
    utimesSync(fileOf("Mug"), now, now);
    const { read, games } = later();
    expect(read).toBe(2);
    expect(games.find((game) => game.id === id("Mug"))).toMatchObject({ solvable: true, problem: null });
  });

  it("can be made by several processes at once", async () => {
    for (let i = 0; i < 20; i++) put(`Mug${i}`);
    const source = resolve(import.meta.dirname, "game-index.ts");
    const script = `const { indexGames } = await import(${JSON.stringify(source)}); console.log(indexGames(${JSON.stringify(root)}, "train").games.length);`;
    const run = () =>
      new Promise<string>((done, fail) => {
        const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        let text = "";
        child.stdout.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
        child.on("error", fail).on("close", () => done(text.trim()));
      });
    expect(await Promise.all([run(), run(), run()])).toEqual(["20", "20", "20"]);
    expect(readdirSync(root).sort()).toEqual(["train", "train.siri-index.json"]);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
    expect(later().games.filter((game) => game.problem === null)).toHaveLength(20);
    expect(later().read).toBe(0);
  });
});

describe("files that cannot be played", () => {
  const broken: readonly (readonly [name: string, content: string | object, what: RegExp])[] = [
    ["Cut", JSON.stringify(kitchen).slice(0, 900), /not JSON, or cut off/],
    ["Empty", "", /not JSON, or cut off/],
    ["Picture", "\x89PNG\r\n\x1a\n", /does not begin with '\{'/],
    ["Half", { ...kitchen, grammar: undefined }, /key 'grammar' is missing/],
    ["Numbers", { ...kitchen, pddl_problem: 7 }, /key 'pddl_problem' must be a text, got number/],
    ["Open", { ...kitchen, pddl_problem: kitchen.pddl_problem.slice(0, 300) }, /./],
    ["Folder", "", /cannot be read: it is no file/],
    ["Loop", "", /cannot be read: ELOOP/],
    ["Latin", "", /cannot be read: it is not UTF-8/],
    ["Video", "", /cannot be read: it has 5000\.0 MB, which is over 16/],
  ];

  it("are named with what is wrong in them, one line each, and the rest of the split still loads", async () => {
    put("Mug");
    put("Pan", { ...kitchen, solvable: false });
    for (const [name, content] of broken) put(name, content);
    rmSync(fileOf("Folder"));
    mkdirSync(fileOf("Folder"));
    rmSync(fileOf("Loop"));
    symlinkSync("game.tw-pddl", fileOf("Loop"));
    writeFileSync(fileOf("Latin"), Buffer.from(JSON.stringify({ ...kitchen, walkthrough: ["caf\xe9"] }), "latin1"));
    truncateSync(fileOf("Video"), 5e9);
    mkdirSync(join(root, "train/holiday/pictures"), { recursive: true });
    writeFileSync(join(root, "train/holiday/pictures/game.tw-pddl"), JSON.stringify(kitchen));
    writeFileSync(join(root, "train/README.txt"), "not a folder");
    mkdirSync(join(root, "train/pick_two_obj_and_place-Nothing-None-Shelf-1/trial_T1"), { recursive: true });
    const module = alfworld({ data: root });
    const tasks = module.tasks("train");
    expect(tasks.length).toBe(1);
    expect(tasks.problems).toHaveLength(broken.length + 1);
    for (const [name, , what] of broken) {
      const line = tasks.problems.find((problem) => problem.includes(`'${id(name)}/game.tw-pddl'`));
      expect(line).toMatch(what);
      expect(line).not.toContain("\n");
    }
    expect(tasks.problems).toContainEqual(
      expect.stringMatching(/'train\/holiday\/pictures\/game\.tw-pddl': its folder begins with no task type/),
    );
    expect(tasks.notes[0]).toMatch(/^alfworld train: 11 of 12 games are left out, for they cannot be played: game '.*; and 8 more\.$/);
    const environment = await module.create();
    expect((await environment.reset(tasks.at(0))).text).toContain("The kitchen");
  });

  it("do not hide a game by what else lies in its folder", () => {
    const task = dirname(dirname(put("Mug")));
    writeFileSync(join(task, ".DS_Store"), "");
    writeFileSync(join(root, "train/.DS_Store"), "");
    symlinkSync("loop", join(task, "loop"));
    symlinkSync("trial_T1", join(task, "trial_T2"));
    const tasks = alfworld({ data: root }).tasks("train");
    const list = Array.from({ length: tasks.length }, (_, i) => tasks.at(i).id);
    expect(list).toEqual([id("Mug"), id("Mug").replace("T1", "T2")]);
    expect(tasks.problems).toEqual([expect.stringMatching(/loop\/game\.tw-pddl' cannot be read: ELOOP/)]);
  });

  it("are not those with a byte order mark or with line ends of Windows", async () => {
    const windows = (text: string) => text.replaceAll("\n", "\r\n");
    const { pddl_domain, pddl_problem, grammar } = kitchen;
    const file = { ...kitchen, pddl_domain: windows(pddl_domain), pddl_problem: windows(pddl_problem), grammar: windows(grammar) };
    put("Mug", `\ufeff${windows(JSON.stringify(file, null, 1))}`);
    const module = alfworld({ data: root });
    expect(module.tasks("train").problems).toEqual([]);
    const environment = await module.create();
    expect((await environment.reset(module.tasks("train").at(0))).actions).toContain("go to shelf 1");
  });

  it("alone are no split, and the error says why", () => {
    put("Mug", "{");
    expect(() => alfworld({ data: root }).tasks("train")).toThrowError(
      /no game in .* passes the filters .*1 files cannot be played: game 'train/,
    );
  });

  it("come back when they are mended", () => {
    put("Mug");
    put("Cup", "{");
    expect(later().games.filter((game) => game.problem !== null)).toHaveLength(1);
    put("Cup");
    expect(later().games.filter((game) => game.problem !== null)).toEqual([]);
    expect(existsSync(join(root, "train.siri-index.json"))).toBe(true);
  });
});
