import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { testGame } from "../../../test/games/load.js";
import alfworld, { type AlfworldOptions, taskOfFile, WIN_REWARD } from "./index.js";

const root = mkdtempSync(join(tmpdir(), "siri-alfworld-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

const kitchen = testGame("kitchen");

function put(path: string, content: object = kitchen): string {
  const file = join(root, "json_2.1.1", path, "game.tw-pddl");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(content, null, 1));
  return file;
}

const CLEAN = "pick_clean_then_place_in_recep";
put(`train/${CLEAN}-Mug-None-Shelf-2/trial_T2`);
put(`train/${CLEAN}-Mug-None-Shelf-2/trial_T1`);
put("train/pick_two_obj_and_place-Mug-None-Shelf-1/trial_T1");
put("train/pick_two_obj_and_place-Mug-None-Shelf-1/trial_T2", { ...kitchen, solvable: false });
put("train/pick_two_obj_and_place-Mug-None-Shelf-1/trial_T3", { ...kitchen, solvable: null, walkthrough: ['"solvable": true'] });
put("train/pick_two_obj_and_place-PearSliced-None-Shelf-1/trial_T1");
put("train/pick_and_place_with_movable_recep-Mug-Bowl-Shelf-1/trial_T1");
const seen = put(`valid_seen/${CLEAN}-Mug-None-Shelf-3/trial_T1`);

const module = (options: AlfworldOptions = {}) => alfworld({ data: root, ...options });
const ids = async (split: string, options: AlfworldOptions = {}) => {
  const tasks = await module(options).tasks(split);
  return Array.from({ length: tasks.length }, (_, i) => tasks.at(i).id);
};

describe("the games of a split", () => {
  it("are the solvable ones without slices and movable receptacles, by path", async () => {
    expect(await ids("train")).toEqual([
      `train/${CLEAN}-Mug-None-Shelf-2/trial_T1`,
      `train/${CLEAN}-Mug-None-Shelf-2/trial_T2`,
      "train/pick_two_obj_and_place-Mug-None-Shelf-1/trial_T1",
    ]);
    expect(await ids("valid_seen")).toHaveLength(1);
  });

  it("can be narrowed by type and widened to all", async () => {
    expect(await ids("train", { taskTypes: ["pick_two_obj_and_place"] })).toEqual([
      "train/pick_two_obj_and_place-Mug-None-Shelf-1/trial_T1",
    ]);
    expect(await ids("train", { solvableOnly: false })).toHaveLength(5);
  });

  it("carry split, type and a file that survives JSON", async () => {
    const task = (await module().tasks("valid_seen")).at(0);
    expect(task).toMatchObject({
      split: "valid_seen",
      type: CLEAN,
      data: { file: `valid_seen/${CLEAN}-Mug-None-Shelf-3/trial_T1/game.tw-pddl` },
    });
    const environment = await module().create();
    expect((await environment.reset(JSON.parse(JSON.stringify(task)))).task).toBe("rinse two things and put them on the shelf");
  });

  it("are found by ALFWORLD_DATA and by the release folder itself", async () => {
    vi.stubEnv("ALFWORLD_DATA", root);
    expect((await alfworld().tasks("valid_seen")).length).toBe(1);
    expect(await ids("valid_seen", { data: join(root, "json_2.1.1") })).toHaveLength(1);
  });

  it("that are not there are an error with its cure", async () => {
    vi.stubEnv("ALFWORLD_DATA", "");
    const code = (name: string) => expect.objectContaining({ name: "SiriError", code: name });
    expect(() => alfworld().tasks("train")).toThrowError(/no data folder is given. Set the option 'data' .* or ALFWORLD_DATA/);
    expect(() => module({ data: tmpdir() }).tasks("train")).toThrowError(/holds no json_2\.1\.1\//);
    expect(() => module().tasks("valid_unseen")).toThrowError(/split 'valid_unseen' is missing/);
    expect(() => module().tasks("test")).toThrowError(code("SPLIT_UNKNOWN"));
    expect(() => module({ taskTypes: ["look_at_obj_in_light"] }).tasks("train")).toThrowError(/no game in .* passes the filters/);
    const tasks = await module().tasks("valid_seen");
    expect(() => tasks.at(1)).toThrowError(/has 1 tasks, from 0; there is no task 1/);
  });

  it("reject options they do not know", () => {
    expect(() => alfworld({ folder: root } as AlfworldOptions)).toThrowError(/alfworld options: .*folder/);
    expect(() => alfworld({ cachedGames: 0 })).toThrowError(/alfworld options/);
  });
});

describe("an episode", () => {
  it("shows the raw text, the task, and the commands without help", async () => {
    const environment = await module().create();
    const first = await environment.reset((await module().tasks("valid_seen")).at(0));
    expect(first.text).toMatch(/^-= The kitchen =-\n\nYou look around/);
    expect(first.anchor).toBe(first.text);
    expect(first.task).toBe("rinse two things and put them on the shelf");
    expect(first.actions).toContain("inventory");
    expect(first.actions).not.toContain("help");
    const next = await environment.step("help");
    expect(next).toMatchObject({ text: "Commands:\n  look: look around\n", reward: 0, done: false, success: false });
    expect(next.anchor).toBe(next.text);
  });

  it("names the game when its grammar fails in the middle", async () => {
    const file = put("train-extra", { ...kitchen, grammar: kitchen.grammar.replace("#help.text#", "#halp.text#") });
    const environment = await module().create();
    await environment.reset(taskOfFile(file));
    await expect(async () => environment.step("help")).rejects.toThrowError(/^game '.*train-extra.*': grammar: no rules for symbol '#halp/);
  });

  it("pays 10 and ends on the step that wins", async () => {
    const environment = await module().create();
    await environment.reset(taskOfFile(seen));
    const wash = (item: string) => [`take ${item} from shelf 1`, `clean ${item} with sinkbasin 1`, `move ${item} to shelf 1`];
    const results = [];
    for (const command of ["go to shelf 1", ...wash("mug 1"), ...wash("bowl 1")]) results.push(await environment.step(command));
    const last = results.pop();
    expect(last).toMatchObject({ reward: WIN_REWARD, done: true, success: true });
    expect(results.every((result) => result.reward === 0 && !result.done && !result.success)).toBe(true);
    await environment.reset(taskOfFile(seen));
    expect(await environment.step("look")).toMatchObject({ done: false, success: false });
  });

  it("pitfall 19: repeats the last result after the end, until the next reset", async () => {
    const environment = await module().create();
    await environment.reset(taskOfFile(seen));
    const wash = (item: string) => [`take ${item} from shelf 1`, `clean ${item} with sinkbasin 1`, `move ${item} to shelf 1`];
    for (const command of ["go to shelf 1", ...wash("mug 1"), ...wash("bowl 1").slice(0, -1)]) await environment.step(command);
    const last = await environment.step("move bowl 1 to shelf 1");
    expect(last.done).toBe(true);
    for (const command of ["take mug 1 from shelf 1", "look", "nonsense", ""]) expect(await environment.step(command)).toEqual(last);
    await environment.reset(taskOfFile(seen));
    expect((await environment.step("inventory")).done).toBe(false);
  });

  it("pitfall 20: has no score, reward or end at its start", async () => {
    const environment = await module().create();
    expect(Object.keys(await environment.reset(taskOfFile(seen))).sort()).toEqual(["actions", "anchor", "task", "text"]);
  });

  it("is grouped by the raw text of a step: every command that fails leads to one anchor", async () => {
    const [a, b] = [await module().create(), await module().create()];
    const first = [await a.reset(taskOfFile(seen)), await b.reset(taskOfFile(seen))];
    expect(first[0]).toEqual(first[1]);
    expect((await a.step("dance")).anchor).toBe("Nothing happens.");
    await b.step("go to shelf 1");
    expect((await b.step("go to shelf 1")).anchor).toBe("Nothing happens.");
  });

  it("can be of a single file, with the type of its path", async () => {
    const task = taskOfFile(seen);
    expect(task).toMatchObject({ id: seen, type: CLEAN });
    expect(taskOfFile("/games/anything.tw-pddl").type).toBe("task");
    const environment = await alfworld().create();
    expect((await environment.reset(task)).text).toContain("The kitchen");
  });

  it("starts with reset, and with a task that names a readable game", async () => {
    const environment = await module().create();
    expect(() => environment.step("look")).toThrowError(/step\(\) before reset\(\)/);
    expect(() => environment.reset({ id: "x", split: "train", type: "task" })).toThrowError(/task 'x' names no file/);
    const missing = join(root, "nothing.tw-pddl");
    expect(() => environment.reset(taskOfFile(missing))).toThrowError(`game file '${missing}' cannot be read`);
  });
});
