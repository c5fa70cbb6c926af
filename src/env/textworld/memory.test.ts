/** A loaded game keeps nothing of its file's text: names that are slices of it would keep it whole, which is half a game's memory. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { testGame } from "../../../test/games/load.js";
import { type Game, parseGame } from "./index.js";

const MIB = 2 ** 20;

function used(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

it("a loaded game lets the text of its problem go, played or not", () => {
  const kitchen = testGame("kitchen");
  // Short names are copied by the machine anyway.
  const file = { ...kitchen, pddl_problem: kitchen.pddl_problem.replace(/\bShelfKind\b/g, "ShelfKindOfThisKitchen") };
  const games: Game[] = [];
  const load = () => {
    // A mebibyte that only the text holds: not one string, so that it is this game's own.
    const comment = `; ${games.length} ${"x".repeat(MIB)}`;
    const game = parseGame({ ...file, pddl_problem: `${file.pddl_problem}\n${comment}` });
    const play = game.start();
    for (const command of ["go to table 1", "take mug 2 from table 1", "examine mug 2"]) play.step(command);
    games.push(game);
  };
  load();
  const before = used();
  for (let i = 0; i < 24; i++) load();
  const each = (used() - before) / 24;
  expect(games).toHaveLength(25);
  expect(each).toBeLessThan(MIB / 4);
});
