/** The expert on ALFWorld: how it reads tasks and places that share a spot, and that it wins real games of both releases. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it, test } from "vitest";
import { Expert } from "../household/expert.js";
import { Rng } from "../household/rng.js";
import { readTask } from "../household/tasks.js";
import { parseGame } from "../textworld/index.js";
import { ALFWORLD_SENSE } from "./places.js";

test("both wordings of each task are read", () => {
  const mug = { object: "mug", target: "desk" };
  const sentences = {
    pick_and_place_simple: ["put a mug in desk", "put some mug on desk"],
    look_at_obj_in_light: ["look at mug under the desk", "examine the mug with the desk"],
    pick_clean_then_place_in_recep: ["put a clean mug in desk", "clean some mug and put it in desk"],
    pick_heat_then_place_in_recep: ["put a hot mug in desk", "heat some mug and put it in desk"],
    pick_cool_then_place_in_recep: ["put a cool mug in desk", "cool some mug and put it in desk"],
    pick_two_obj_and_place: ["put two mug in desk", "find two mug and put them in desk"],
  };
  for (const [type, wordings] of Object.entries(sentences)) for (const text of wordings) expect(readTask(text)).toEqual({ type, ...mug });
});

const begin = (task: string, admissible: readonly string[]) => {
  const expert = new Expert(task, { rng: new Rng(1), sense: ALFWORLD_SENSE, likeliest: true });
  expert.read(null, `You are in the middle of a room.\n\nYour task is to: ${task}.`, admissible);
  return expert;
};

test("it searches the likeliest place first, and never the target for a thing that is wanted as it is", () => {
  const everywhere = ["go to cabinet 1", "go to countertop 1", "go to stoveburner 1", "inventory", "look"];
  expect(begin("put a pot in countertop", everywhere).decide().action).toBe("go to stoveburner 1");
  expect(begin("put a pot in stoveburner", everywhere).decide().action).toBe("go to countertop 1");
});

test("places at the same spot are reached without a step: no go to is offered there", () => {
  const expert = begin("put some bread on fridge", ["go to countertop 1", "go to fridge 1", "go to toaster 1", "look"]);
  expect(expert.decide().action).toBe("go to countertop 1");
  const there = ["examine countertop 1", "examine toaster 1", "go to fridge 1", "look"];
  expert.read("go to countertop 1", "You arrive at countertop 1. On the countertop 1, you see nothing.", there);
  expect(expert.decide().action).toBe("examine toaster 1");
  const bread = [...there, "take bread 1 from toaster 1"];
  expert.read("examine toaster 1", "On the toaster 1, you see a bread 1.", bread);
  expect(expert.decide().action).toBe("take bread 1 from toaster 1");
});

test("a thing that stands in two places at once is not looked for again where it was taken from", () => {
  const expert = begin("put two mug in desk", ["go to desk 1", "go to shelf 1", "go to shelf 2", "look"]);
  const play = (command: string, text: string, ...more: string[]) =>
    expert.read(command, text, ["go to desk 1", "go to shelf 1", "go to shelf 2", ...more]);
  play("go to shelf 1", "You arrive at shelf 1. On the shelf 1, you see a mug 1.", "take mug 1 from shelf 1");
  play(
    "go to shelf 2",
    "You arrive at shelf 2. On the shelf 2, you see a mug 1, and a mug 2.",
    "take mug 1 from shelf 2",
    "take mug 2 from shelf 2",
  );
  play("take mug 1 from shelf 2", "You pick up the mug 1 from the shelf 2.");
  play("move mug 1 to desk 1", "You move the mug 1 to the desk 1.");
  play("go to shelf 1", "You arrive at shelf 1. On the shelf 1, you see a mug 1.", "take mug 1 from shelf 1");
  expect(expert.decide().action).toBe("go to shelf 2");
});

const root = process.env.ALFWORLD_GOLDENS ?? resolve(import.meta.dirname, "../../../../shared/alfworld");
const index = join(root, "index.json");
const games = existsSync(index) ? (JSON.parse(readFileSync(index, "utf8")) as { id: string; games: Record<string, string> }[]) : [];
if (games.length === 0)
  console.warn(`skipped: the ALFWorld games are not in ${root}; set ALFWORLD_GOLDENS to the folder that holds index.json`);

describe.skipIf(games.length === 0)("real games", () => {
  it.each(["2.1.1", "2.1.3"])("of release %s are won within 50 steps, by admissible commands alone", (release) => {
    let played = 0;
    for (const { id, games: files } of games) {
      const game = parseGame(readFileSync(join(root, files[release]!), "utf8"), id);
      if (game.solvable === false) continue;
      const play = game.start();
      const expert = new Expert(game.task, { rng: new Rng(played), sense: ALFWORLD_SENSE, likeliest: true });
      expert.read(null, play.observation, play.admissible);
      for (let step = 0; step < 50 && !play.won; step++) {
        const { action } = expert.decide();
        expect(play.admissible).toContain(action);
        expert.read(action, play.step(action), play.admissible);
      }
      expect(play.won, id).toBe(true);
      played += 1;
    }
    expect(played).toBeGreaterThan(30);
  });
});
