/**
 * Replays recordings of the original engine on real games: every observation, list of commands, win and score. The data is not part of
 * the repository; ALFWORLD_GOLDENS names its folder (default ../shared/alfworld beside the repository).
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { expectTwins, randomNumbers } from "../../../test/games/random.js";
import { type Play, parseGame } from "../textworld/index.js";
import alfworld, { type AlfworldTaskData } from "./index.js";
import { findRelease } from "./release.js";

const root = process.env.ALFWORLD_GOLDENS ?? resolve(import.meta.dirname, "../../../../shared/alfworld");
const folder = join(root, "goldens");
const recordings = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(".jsonl")) : [];
if (recordings.length === 0) {
  console.warn(`skipped: the ALFWorld recordings are not in ${folder}; set ALFWORLD_GOLDENS to the folder that holds goldens/ and games/`);
}

interface Header {
  readonly task: string;
  readonly names: Readonly<Record<string, string>>;
}

interface Row {
  readonly s: string;
  readonly i: number;
  readonly cmd: string | null;
  readonly obs: string;
  readonly won: boolean;
  readonly score: number;
  readonly done: boolean;
  readonly adm: readonly string[];
}

function gameText(recording: string): string {
  const [, id, vintage] = /^(.+)\.(\d+\.\d+\.\d+)\.jsonl$/.exec(recording)!;
  return readFileSync(join(root, "games", vintage!, `${id}.tw-pddl`), "utf8");
}

describe.skipIf(recordings.length === 0)("recordings of the original engine", () => {
  let rows = 0;

  it.each(recordings)("%s", (recording) => {
    const [head, ...lines] = readFileSync(join(folder, recording), "utf8").trimEnd().split("\n");
    const header = JSON.parse(head!) as Header;
    const game = parseGame(gameText(recording), recording);
    expect(game.task).toBe(header.task);
    for (const [id, name] of Object.entries(header.names)) expect(game.names.get(id)).toBe(name);
    let play: Play = game.start();
    for (const line of lines) {
      const row = JSON.parse(line) as Row;
      if (row.cmd === null) play = game.start();
      else play.step(row.cmd);
      const got = { obs: play.observation, won: play.won, score: play.score, done: play.won, adm: play.admissible };
      const { obs, won, score, done, adm } = row;
      // The quick comparison first: a readable difference costs a hundred times as much.
      if (JSON.stringify(got) !== JSON.stringify({ obs, won, score, done, adm })) {
        expect(got, `session ${row.s}, step ${row.i}, command ${JSON.stringify(row.cmd)}`).toEqual({ obs, won, score, done, adm });
      }
      rows++;
    }
  });

  afterAll(() => console.info(`${recordings.length} recordings, ${rows} rows, no difference unless a test above failed`));
});

describe.skipIf(recordings.length === 0)("engine and twin on real games", () => {
  const some = recordings.filter((_, i) => i % 24 === 5);

  it.each(some)("%s", (recording) => {
    const file = gameText(recording);
    const random = randomNumbers(recordings.indexOf(recording));
    expectTwins(parseGame(file), file, 25, random);
  });
});

const data = process.env.ALFWORLD_DATA;
if (!data) console.warn("skipped: engine and twin on the released games; set ALFWORLD_DATA to the folder that holds json_2.1.1/");

describe.skipIf(!data)("engine and twin on the released games", () => {
  it.each([3, 700, 1500, 2300, 3100])("train/%i", (index) => {
    const task = alfworld().tasks("train").at(index).data as AlfworldTaskData;
    const file = readFileSync(join(findRelease(data), task.file), "utf8");
    expectTwins(parseGame(file), file, 20, randomNumbers(index));
  });
});
