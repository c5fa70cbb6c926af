/** Task sentences written by people: which one a game gets, and that any text at all can stand in a game. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { testGame } from "../../../test/games/load.js";
import { parseGame } from "../textworld/index.js";
import { ReferencePlay } from "../textworld/reference.js";
import { drawAnnotation, withTask } from "./annotations.js";
import alfworld, { type AlfworldOptions } from "./index.js";

const root = mkdtempSync(join(tmpdir(), "siri-annotations-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const kitchen = testGame("kitchen");
const GAMES = 40;
const id = (i: number) => `train/pick_two_obj_and_place-Mug-None-Shelf-${i}/trial_T1`;

function put(i: number, trajectory: string): void {
  mkdirSync(join(root, id(i)), { recursive: true });
  writeFileSync(join(root, id(i), "game.tw-pddl"), JSON.stringify(kitchen));
  writeFileSync(join(root, id(i), "traj_data.json"), trajectory);
}

const written = (...sentences: string[]) => JSON.stringify({ turk_annotations: { anns: sentences.map((task_desc) => ({ task_desc })) } });
for (let i = 10; i < 10 + GAMES; i++) put(i, written(`first of ${i}`, `second of ${i}`, `third of ${i}`));

const taskTypes = ["pick_two_obj_and_place"] as const;
const tasksOf = (options: AlfworldOptions) => alfworld({ data: root, taskTypes: [...taskTypes], ...options }).tasks("train");
const sentences = (options: AlfworldOptions) => {
  const tasks = tasksOf(options);
  return Array.from({ length: tasks.length }, (_, i) => (tasks.at(i).data as { sentence?: string }).sentence);
};

describe("the sentence of a game", () => {
  it("is its own by default", () => {
    expect(sentences({})).toEqual(Array(GAMES).fill(undefined));
  });

  it("is drawn by seed and game, never by order", () => {
    const all = sentences({ humanAnnotations: 1 });
    for (const [i, sentence] of all.entries()) expect(sentence).toMatch(new RegExp(`^(?:first|second|third) of ${10 + i}$`));
    expect(new Set(all.map((sentence) => sentence!.split(" ")[0]))).toEqual(new Set(["first", "second", "third"]));
    expect(sentences({ humanAnnotations: 1 })).toEqual(all);
    expect(drawAnnotation(root, id(17), 0, 1)).toBe(all[7]);
    expect(sentences({ humanAnnotations: 1, annotationSeed: 1 })).not.toEqual(all);
  });

  it("is written by people in a share of the games", () => {
    const some = sentences({ humanAnnotations: 0.5 });
    const count = some.filter((sentence) => sentence !== undefined).length;
    expect(count).toBeGreaterThan(GAMES * 0.25);
    expect(count).toBeLessThan(GAMES * 0.75);
    const all = sentences({ humanAnnotations: 1 });
    for (const [i, sentence] of some.entries()) expect([undefined, all[i]]).toContain(sentence);
  });

  it("stands in the first observation and the task, and nothing else changes", async () => {
    const human = alfworld({ data: root, humanAnnotations: 1 });
    const plain = alfworld({ data: root });
    const [a, b] = [await human.create(), await plain.create()];
    const task = human.tasks("train").at(3);
    const first = await a.reset(JSON.parse(JSON.stringify(task)));
    const other = await b.reset(plain.tasks("train").at(3));
    expect(first.task).toBe((task.data as { sentence: string }).sentence);
    expect(first.text).toBe(other.text.replace(other.task, first.task));
    expect(first.actions).toEqual(other.actions);
    expect((await b.reset(task)).text).toBe(first.text);
  });

  it("that is not there leaves the game out and says so", () => {
    put(1, "{");
    put(2, written());
    put(3, written(" \n "));
    put(4, JSON.stringify({ turk_annotations: null }));
    put(5, written("fine"));
    rmSync(join(root, id(5), "traj_data.json"));
    const { length, problems, notes } = tasksOf({ humanAnnotations: 1 });
    expect(length).toBe(GAMES);
    expect(problems).toEqual([
      expect.stringContaining(`'${id(1)}/traj_data.json' is not JSON, or cut off`),
      expect.stringContaining("Shelf-2/trial_T1/traj_data.json' has no task sentence"),
      expect.stringContaining("Shelf-3/trial_T1/traj_data.json' has no task sentence"),
      expect.stringContaining("Shelf-4/trial_T1/traj_data.json' has no turk_annotations.anns"),
      expect.stringContaining("Shelf-5/trial_T1/traj_data.json' cannot be read"),
    ]);
    expect(notes[0]).toMatch(/5 of 45 games are left out/);
    expect(tasksOf({}).length).toBe(GAMES + 5);
    for (const i of [1, 2, 3, 4, 5]) rmSync(join(root, id(i)), { recursive: true });
  });
});

describe("any sentence can stand in a game", () => {
  const texts = [
    "put a mug on the shelf",
    "put a; b | c <d> [e] #f# {g}.",
    'look at the "blue" mug',
    "back\\slash \\n and \\u0041",
    "caf\u00e9, \u676f\u5b50, \ud83e\uddfd",
    "{o.name | within(o:thing)}",
    '"""',
    "// no comment",
    "$& $1 $$",
    "#task#",
  ];

  it.each(texts)("%s", (text) => {
    const file = withTask(kitchen, text);
    const shown = text.replaceAll('"', "'");
    const game = parseGame(file);
    expect(game.task).toBe(shown);
    expect(game.start().observation).toContain(`Your task is to: ${shown}.`);
    expect(new ReferencePlay(file).observation).toBe(game.start().observation);
  });

  it("on one line, whatever blanks people put into it", () => {
    put(9, written("  take a\tmug,\r\n then\u0085 \u0000wash it\n\n"));
    expect(drawAnnotation(root, id(9), 0, 1)).toBe("take a mug, then wash it");
    rmSync(join(root, id(9)), { recursive: true });
  });

  it("but only in a game that has one to replace", () => {
    expect(() => withTask({ ...kitchen, grammar: kitchen.grammar.replaceAll('"task"', '"chore"') }, "x")).toThrowError(
      /cannot be replaced: 0 rules of 'task'/,
    );
  });
});
