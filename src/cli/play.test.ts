import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { afterAll, describe, expect, it } from "vitest";
import { testGame } from "../../test/games/load.js";
import { parseGame } from "../env/textworld/index.js";
import { runPlay } from "./play.js";

const folder = mkdtempSync(join(tmpdir(), "siri-play-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "kitchen.tw-pddl");
writeFileSync(file, JSON.stringify(testGame("kitchen")));
const game = parseGame(testGame("kitchen"));

async function talk(input: readonly (string | Buffer)[], json = true): Promise<string> {
  const output = new PassThrough();
  const chunks: Buffer[] = [];
  output.on("data", (chunk: Buffer) => chunks.push(chunk));
  await runPlay({ game, json }, Readable.from(input), output);
  return Buffer.concat(chunks).toString("utf8");
}

interface Line {
  readonly obs: string;
  readonly admissible: readonly string[];
  readonly won: boolean;
  readonly score: number;
  readonly done: boolean;
}

const lines = (text: string): Line[] => {
  expect(text.endsWith("\n")).toBe(true);
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
};
const observations = async (...input: (string | Buffer)[]) => lines(await talk(input)).map((line) => line.obs);

const NOTHING = "Nothing happens.";
const SEES_NOTHING = "You look around and see nothing.";
const WIN = [
  "go to shelf 1",
  ...["mug 1", "bowl 1"].flatMap((item) => [`take ${item} from shelf 1`, `clean ${item} with sinkbasin 1`, `move ${item} to shelf 1`]),
];

describe("JSON lines", () => {
  it("begin with the first observation and answer every line with one", async () => {
    const [first, second, ...none] = lines(await talk(["look\n"]));
    expect(first).toEqual({ obs: game.start().observation, admissible: game.start().admissible, won: false, score: 0, done: false });
    expect(first!.admissible).toContain("help");
    expect(Object.keys(second!)).toEqual(["obs", "admissible", "won", "score", "done"]);
    expect(second!.obs).toBe(SEES_NOTHING);
    expect(none).toEqual([]);
  });

  it("without input are the first observation alone", async () => {
    expect(await observations()).toHaveLength(1);
    expect(await observations("")).toHaveLength(1);
  });

  it("take empty lines as commands, and a last line without a line feed when it is not empty", async () => {
    expect((await observations("\n\nlook")).slice(1)).toEqual([NOTHING, NOTHING, SEES_NOTHING]);
    expect((await observations("look\n")).slice(1)).toEqual([SEES_NOTHING]);
  });

  it("end commands at the line feed only; blanks around them are the engine's business", async () => {
    expect((await observations("look\r\n", "  look \t\n", "look\x85\n", "\ufefflook\n", "lo\rok\n", "look\u2028\n")).slice(1)).toEqual([
      SEES_NOTHING,
      SEES_NOTHING,
      SEES_NOTHING,
      NOTHING,
      NOTHING,
      SEES_NOTHING,
    ]);
  });

  it("do not depend on how the input is cut", async () => {
    const bytes = Buffer.from("look\u2003\nhelp\nöäü\nlook");
    const whole = await talk([bytes]);
    for (const size of [1, 2, 3, 7]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
      expect(await talk(pieces)).toBe(whole);
    }
  });

  it("take a line of any length in time that grows with it", async () => {
    const pieces = Array.from({ length: 4000 }, () => "x".repeat(4096));
    const begun = performance.now();
    expect((await observations(...pieces, "\nlook\n")).slice(1)).toEqual([NOTHING, SEES_NOTHING]);
    // Searching the whole line again at every piece reads 33 GB.
    expect(performance.now() - begun).toBeLessThan(4000);
  });

  it("say when the game is won, and go on", async () => {
    const all = lines(await talk([`${[...WIN, "take mug 1 from shelf 1", "look"].join("\n")}\n`]));
    const states = all.map(({ won, score, done }) => [won, score, done]);
    expect(states.slice(0, -3).every(([won, score, done]) => won === false && score === 0 && done === false)).toBe(true);
    expect(states.slice(-3)).toEqual([
      [true, 1, true],
      [false, 0, false],
      [false, 0, false],
    ]);
  });

  it("answer a line at once, before the next one comes", async () => {
    const input = new PassThrough();
    const output = new PassThrough();
    const finished = runPlay({ game, json: true }, input, output);
    const reader = output[Symbol.asyncIterator]();
    await reader.next();
    for (let i = 0; i < 3; i++) {
      input.write("look\n");
      const { value } = await reader.next();
      expect(lines(String(value))[0]!.obs).toBe(SEES_NOTHING);
    }
    input.end();
    await finished;
  });

  it("stop quietly when nobody reads them", async () => {
    let writes = 0;
    const output = new Writable({
      write(_chunk, _encoding, done) {
        done(++writes > 2 ? Object.assign(new Error("write EPIPE"), { code: "EPIPE" }) : null);
      },
    });
    await runPlay({ game, json: true }, Readable.from(Array.from({ length: 1000 }, () => "look\n")), output);
    expect(writes).toBe(3);
    const full = new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error("disk full"), { code: "ENOSPC" })) });
    await expect(runPlay({ game, json: true }, Readable.from(["look\n"]), full)).rejects.toThrowError("disk full");
  });
});

describe("the terminal", () => {
  it("shows a numbered list and takes numbers, texts and quit", async () => {
    const { admissible } = game.start();
    const shown = await talk(["look\n", `${admissible.indexOf("help") + 1}\n`, "99\n", "quit\n", "look\n"], false);
    expect(shown).toContain(`   1  ${admissible[0]}\n`);
    expect(shown).toContain(`  ${admissible.length}  ${admissible[admissible.length - 1]}\n`);
    expect(shown.split(SEES_NOTHING)).toHaveLength(2);
    expect(shown).toContain("help\n\nCommands:");
    expect(shown.split(NOTHING)).toHaveLength(2);
  });

  it("tells of the win once", async () => {
    const shown = await talk([`${WIN.join("\n")}\nlook\nquit\n`], false);
    expect(shown.split("The task is done.")).toHaveLength(2);
  });
});

describe("the program", () => {
  const harness = join(folder, "harness.mts");
  const main = JSON.stringify(join(import.meta.dirname, "play.ts"));
  const commander = JSON.stringify(import.meta.resolve("commander"));
  writeFileSync(
    harness,
    `import { Command } from ${commander};\nimport { register } from ${main};\nconst program = new Command();\nregister(program);\nawait program.parseAsync();\n`,
  );
  const args = (...rest: string[]) => ["--import", import.meta.resolve("tsx"), harness, "play", ...rest];

  it("plays a file and leaves with 0 at the end of the input", () => {
    for (const env of ["alfworld", "household"]) {
      const { status, stdout } = spawnSync(process.execPath, args("--env", env, "--game", file, "--json"), {
        input: "look\n\nhelp",
        encoding: "utf8",
      });
      expect(status).toBe(0);
      expect(
        lines(stdout)
          .map((line) => line.obs)
          .slice(1),
      ).toEqual([SEES_NOTHING, NOTHING, "Commands:\n  look: look around\n"]);
    }
  });

  it("plays a generated game by its place in a split, the same every time", () => {
    const play = () => spawnSync(process.execPath, args("--game", "train/17", "--json"), { input: "look\n", encoding: "utf8" });
    const { status, stdout } = play();
    expect(status).toBe(0);
    expect(lines(stdout)).toHaveLength(2);
    expect(play().stdout).toBe(stdout);
  });

  it("is not hurt when its reader goes away, nor by much input", async () => {
    const child = spawn(process.execPath, args("--game", file, "--json"), { stdio: ["pipe", "pipe", "pipe"] });
    let errors = "";
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.stdin.on("error", () => {});
    child.stdout.once("data", () => child.stdout.destroy());
    child.stdin.end("look\n".repeat(200_000));
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect([status, errors]).toEqual([0, ""]);
  });

  it("names a game that is not there", () => {
    const { status, stderr } = spawnSync(process.execPath, args("--env", "alfworld", "--game", "nowhere.tw-pddl", "--json"), {
      input: "",
      encoding: "utf8",
    });
    expect(status).not.toBe(0);
    expect(stderr).toContain("game file 'nowhere.tw-pddl' cannot be read");
  });
});
