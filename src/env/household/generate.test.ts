import { expect, test } from "vitest";
import { SiriError } from "../../errors.js";
import { parseGame } from "../textworld/index.js";
import { accepts, FURNITURE, furnitureKind, ROOM_KINDS, ROOMS, thingKind } from "./catalog.js";
import { generateGame } from "./generate.js";
import { plan } from "./planner.js";
import { hashText, Rng } from "./rng.js";
import { drawGoal, isHeldOut, PROCESS_OF, readTask, TASK_TYPES, taskSentence } from "./tasks.js";
import { drawWorld, SIZE_LIMITS, SIZES, type World } from "./world.js";

const text = (seed: number, options = {}): string => JSON.stringify(generateGame(seed, options).file);

test("the same seed gives the same bytes, other seeds and options others", () => {
  for (let seed = 0; seed < 24; seed++) expect(text(seed)).toBe(text(seed));
  expect(new Set(Array.from({ length: 300 }, (_, seed) => text(seed))).size).toBe(300);
  expect(text(7, { size: "large" })).not.toBe(text(7));
  expect(text(7, { pool: "held-out" })).not.toBe(text(7));
  // 2^32 apart: the upper bits of a seed count.
  expect(text(7 + 6 * 2 ** 32)).not.toBe(text(7));
});

test("games stay what they were: results of runs are compared across versions", () => {
  const all = Array.from({ length: 60 }, (_, seed) => text(seed, { size: SIZES[seed % 3]! })).join("\n");
  expect(hashText(all)).toBe(921882315);
});

test("bad options are refused by name", () => {
  for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => generateGame(seed)).toThrow(/seed/);
  expect(() => generateGame(0, { size: "tiny" as "small" })).toThrow(/small, medium, large/);
  expect(() => generateGame(0, { type: "juggle" as "look_at_obj_in_light" })).toThrow(/pick_and_place_simple/);
});

test("every walkthrough wins in the engine at its last command and not before, in every size and type", () => {
  for (const size of SIZES) {
    for (const pool of ["held-in", "held-out"] as const) {
      for (let seed = 0; seed < 48; seed++) {
        const { file, meta } = generateGame(seed, { size, pool });
        const play = parseGame(file).start();
        const { walkthrough } = file;
        expect(walkthrough!.length).toBeLessThanOrEqual(12);
        for (const command of walkthrough!) {
          expect(play.won).toBe(false);
          expect(play.admissible, `${meta.sentence} (seed ${seed}, ${size})`).toContain(command);
          play.step(command);
        }
        expect(play.won, `${meta.sentence} (seed ${seed}, ${size})`).toBe(true);
      }
    }
  }
});

test("worlds keep within their size, start without the goal, and put things only where they fit", () => {
  for (const size of SIZES) {
    const { furniture, distractors } = SIZE_LIMITS[size];
    for (let seed = 0; seed < 300; seed++) {
      const type = TASK_TYPES[seed % 6]!;
      const world = drawWorld(seed, { type, size, pool: "held-in" });
      expect(world.furniture.length).toBeGreaterThanOrEqual(furniture[0]);
      expect(world.furniture.length).toBeLessThanOrEqual(furniture[1]);
      const things = [...world.places];
      const others = things.filter(([thing]) => !thing.startsWith(`${world.goal.object} `) && !thing.startsWith(`${world.goal.target} `));
      expect(others.length).toBeGreaterThanOrEqual(distractors[0]);
      expect(others.length).toBeLessThanOrEqual(distractors[1]);
      for (const [thing, place] of things) {
        expect(world.furniture).toContain(place);
        expect(accepts(place.split(" ")[0]!, thing.split(" ")[0]!), `${thing} at ${place}`).toBe(true);
      }
      if (size === "small") {
        const doors = world.furniture.filter((name) => furnitureKind(name.split(" ")[0]!).openable).length;
        expect(world.furniture.length + doors).toBeLessThanOrEqual(22);
      }
    }
  }
});

test("the planner finds no plan where there is none", () => {
  const world: World = {
    room: "kitchen",
    goal: { type: "pick_clean_then_place_in_recep", object: "mug", target: "shelf" },
    sentence: "put a clean mug on the shelf",
    furniture: ["countertop 1", "shelf 1"],
    places: new Map([["mug 1", "countertop 1"]]),
  };
  expect(() => plan(world)).toThrow(SiriError);
  expect(() => plan({ ...world, furniture: [...world.furniture, "sinkbasin 1"] })).not.toThrow();
  expect(() => plan({ ...world, places: new Map() })).toThrow(/no plan/);
  const done: World = { ...world, goal: { ...world.goal, type: "pick_and_place_simple" }, places: new Map([["mug 1", "shelf 1"]]) };
  expect(() => plan(done)).toThrow(/before the first command/);
});

test("training never shows a held-out pair, and every type has some", () => {
  for (const type of TASK_TYPES) {
    for (const pool of ["held-in", "held-out"] as const) {
      const rng = new Rng(1, type);
      for (let i = 0; i < 200; i++) {
        const goal = drawGoal(type, pool, rng);
        expect(isHeldOut(goal.object, goal.target)).toBe(pool === "held-out");
        const process = PROCESS_OF[type];
        const kind = thingKind(goal.object);
        if (process) expect({ clean: kind.washable, heat: kind.heatable, cool: kind.coolable }[process]).toBe(true);
      }
    }
  }
});

test("task sentences are read back, in both wordings", () => {
  const sentences = new Set<string>();
  for (let seed = 0; seed < 300; seed++) {
    const rng = new Rng(seed);
    const { type, object, target } = drawGoal(TASK_TYPES[seed % 6]!, "held-in", rng);
    const sentence = taskSentence({ type, object, target }, rng);
    expect(readTask(sentence)).toEqual({ type, object, target });
    sentences.add(sentence.split(" ").slice(0, 2).join(" "));
  }
  expect(sentences.size).toBeGreaterThanOrEqual(8);
  expect(() => readTask("make me a sandwich")).toThrow(/sandwich/);
});

test("the catalog names only what it defines", () => {
  for (const room of ROOMS) {
    const { stock, things } = ROOM_KINDS[room];
    for (const { kind } of stock) expect(FURNITURE.has(kind)).toBe(true);
    for (const name of things) {
      const kind = thingKind(name);
      for (const home of kind.home) expect(accepts(home, name), `${name} at home in ${home}`).toBe(true);
      expect(
        stock.some((entry) => accepts(entry.kind, name)),
        `${name} in the ${room}`,
      ).toBe(true);
    }
  }
});

test("texts read well: names, lists, states, nothing undefined", () => {
  for (let seed = 0; seed < 60; seed++) {
    const { file, meta } = generateGame(seed, { size: SIZES[seed % 3]! });
    const game = parseGame(file);
    expect(game.task).toBe(meta.sentence);
    const play = game.start();
    const seen = [play.observation];
    const rng = new Rng(seed, "stroll");
    for (let i = 0; i < 40; i++) seen.push(play.step(rng.pick(play.admissible)));
    for (const line of seen) {
      expect(line).not.toMatch(/undefined|null|NaN|\{|\}|#|_|\bTODO\b| {2}/);
      expect(line).toMatch(/[.]$/);
    }
    expect(seen[0]).toMatch(/^-= A day in the house =-\n\nYou stand in the middle of the room\. Around you, you see a [a-z]+ \d+, /);
    expect(seen[0]!.endsWith(`\n\nYour task is to: ${meta.sentence}.`)).toBe(true);
    // What a prompt is made of: an intro, and a list of commands.
    if (meta.size === "small") {
      expect(seen[0]!.length).toBeLessThan(480);
      expect(play.admissible.length).toBeLessThan(32);
    }
  }
});

test("a closed door hides and guards what is inside; a lamp stays where it is", () => {
  const { file } = generateGame(2);
  const play = parseGame(file).start();
  const closed = play.admissible.find((action) => /^go to (drawer|cabinet)/.test(action))!.slice("go to ".length);
  expect(play.step(`go to ${closed}`)).toBe(`You arrive at ${closed}. The ${closed} is closed.`);
  expect(play.admissible.some((action) => action.startsWith("take "))).toBe(false);
  expect(play.step(`open ${closed}`)).toMatch(new RegExp(`^You open the ${closed}\\. The ${closed} is open\\. In it, you see `));
  expect(play.step(`close ${closed}`)).toBe(`You close the ${closed}.`);

  const lamp = parseGame(generateGame(1).file).start();
  const places = lamp.admissible.filter((action) => action.startsWith("go to "));
  let used = 0;
  for (const place of places) {
    lamp.step(place);
    expect(lamp.admissible.some((action) => action.startsWith("take desklamp"))).toBe(false);
    const use = lamp.admissible.find((action) => action.startsWith("use desklamp"));
    if (use) {
      used++;
      expect(lamp.step(use)).toMatch(/^You switch the desklamp 1 on\.$/);
    }
  }
  expect(used).toBe(1);
  expect(lamp.won).toBe(false);
});
