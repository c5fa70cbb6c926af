/** The table of places: how it is counted, and that counting the train split again gives it. */
import { join } from "node:path";
import { describe, expect, it, test } from "vitest";
import alfworld, { type AlfworldTaskData, readGame } from "./index.js";
import { ALFWORLD_SENSE, COUNTED_CHANCES, countPlaces, type Room } from "./places.js";
import { findRelease } from "./release.js";

test("counts pieces that hold a thing among those of the rooms that have it", () => {
  const rooms: Room[] = [
    new Map([
      ["shelf 1", ["mug 1", "mug 2"]],
      ["shelf 2", []],
      ["desk 1", ["pen 1"]],
    ]),
    new Map([
      ["shelf 1", []],
      ["shelf 2", ["mug 1"]],
      ["desk 1", []],
    ]),
    new Map([["shelf 1", ["pen 1"]]]),
  ];
  expect(countPlaces(rooms)).toEqual(
    new Map([
      ["mug", new Map([["shelf", 500]])],
      [
        "pen",
        new Map([
          ["desk", 1000],
          ["shelf", 333],
        ]),
      ],
    ]),
  );
});

test("what has to be opened costs twice, and what was never seen is not ruled out", () => {
  const { chance, accepts } = ALFWORLD_SENSE;
  expect(chance!("fridge", "egg")).toBe(201);
  expect(chance!("countertop", "egg")).toBe(192);
  expect(chance!("bed", "egg")).toBeGreaterThan(0);
  expect(chance!("bed", "no such thing")).toBeGreaterThan(0);
  expect([accepts("fridge", "egg"), accepts("bed", "egg")]).toEqual([true, false]);
});

const data = process.env.ALFWORLD_DATA;
if (!data) console.warn("skipped: places of the train split; set ALFWORLD_DATA to the folder that holds json_2.1.1/");

describe.skipIf(!data)("the train split", () => {
  it("gives the table again", () => {
    const root = findRelease(data);
    const tasks = alfworld({ data: root }).tasks("train");
    const rooms = function* (): Generator<Room> {
      for (let i = 0; i < tasks.length; i++) {
        const game = readGame(join(root, (tasks.at(i).data as AlfworldTaskData).file));
        const room = new Map<string, string[]>();
        const piece = (id: string): string[] => {
          const name = game.names.get(id)!;
          const things = room.get(name) ?? [];
          room.set(name, things);
          return things;
        };
        for (const [predicate, first, second] of game.start().facts()) {
          if (predicate === "receptacletype") piece(first!);
          if (predicate === "inreceptacle") piece(second!).push(game.names.get(first!)!);
        }
        yield room;
      }
    };
    expect(countPlaces(rooms())).toEqual(COUNTED_CHANCES);
  });
});
