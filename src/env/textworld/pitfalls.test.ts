/**
 * What is easily got wrong about these games, one test each, on a small game of our own (test/games/kitchen). Pitfall 19 is the
 * environment's, see alfworld.test.ts; 21 is about licences.
 */
import { describe, expect, it } from "vitest";
import { testGame } from "../../../test/games/load.js";
import { parseGame, type Play } from "./index.js";

const game = parseGame(testGame("kitchen"), "kitchen");

function having(...commands: string[]): Play {
  const play = game.start();
  for (const command of commands) {
    expect(play.admissible).toContain(command);
    play.step(command);
  }
  return play;
}

describe("pitfalls of the text games", () => {
  it("1: look at the start sees nothing, though the intro lists every place", () => {
    const play = game.start();
    expect(play.observation).toContain("You look around and see a drawer 11, a drawer 10,");
    expect(play.step("look")).toBe("You look around and see nothing.");
  });

  it("2: an item is examined only while it is held, because of the comma in the domain", () => {
    expect(having("go to table 1").admissible.filter((command) => command.startsWith("examine"))).toEqual([
      "examine stove 1",
      "examine table 1",
    ]);
    expect(having("go to table 1", "take mug 2 from table 1").admissible).toContain("examine mug 2");
    const spaced = testGame("kitchen").pddl_domain.replace("?s - spot, ?r", "?s - spot ?r");
    const sane = parseGame({ ...testGame("kitchen"), pddl_domain: spaced }).start();
    sane.step("go to table 1");
    expect(sane.admissible).toContain("examine mug 2");
  });

  it("3: numbers of a class run down while ids run up", () => {
    expect(game.names.get("drawer_bar_01")).toBe("drawer 11");
    expect(game.names.get("drawer_bar_11")).toBe("drawer 1");
    expect(game.names.get("sink_bar_00_bar_sinkbasin")).toBe("sinkbasin 1");
    expect(game.names.get("cook1")).toBe("cook1 ");
  });

  it("4: go to leaves out every place at the current spot, the other commands take them all", () => {
    const play = having("go to table 1");
    expect(play.admissible).not.toContain("go to table 1");
    expect(play.admissible).not.toContain("go to stove 1");
    expect(play.step("go to stove 1")).toBe("Nothing happens.");
    expect(play.admissible).toEqual(
      expect.arrayContaining(["take pan 1 from stove 1", "take pan 1 from table 1", "take mug 2 from table 1"]),
    );
  });

  it("5: commands are sorted by code unit, not by number", () => {
    const { admissible } = game.start();
    expect(admissible).toEqual([...admissible].sort());
    expect(admissible.slice(0, 4)).toEqual(["go to drawer 1", "go to drawer 10", "go to drawer 11", "go to drawer 2"]);
  });

  it("6: lists inside texts are sorted by id: numbers descend, a sinkbasin sorts as a sink", () => {
    const places = /see (.*)\.\n/.exec(game.start().observation)![1]!;
    expect(places).toMatch(/drawer 1, a fridge 1, a oven 1, a shelf 1, a sinkbasin 1, a stove 1, and a table 1$/);
  });

  it("7: heating and cooling need no open appliance, and can be repeated", () => {
    const play = having("go to table 1", "take mug 2 from table 1", "go to oven 1");
    expect(play.observation).toBe("You reach oven 1. The oven 1 is closed.");
    for (const command of ["heat mug 2 with oven 1", "heat mug 2 with oven 1", "cool mug 2 with fridge 1"]) {
      expect(play.admissible).toContain(command);
      play.step(command);
    }
    expect(play.observation).toBe("You cool the mug 2 using the fridge 1.");
  });

  it("8: an item in two places stays in the one it was not taken from", () => {
    const play = having("go to table 1", "take pan 1 from stove 1");
    expect(play.step("examine table 1")).toBe("On the table 1: a lamp 1, a mug 2, and a pan 1.");
    expect(play.step("examine stove 1")).toBe("On the stove 1: nothing.");
  });

  it("9: what is also here are items once taken from a place and put into another at the same spot, once per such place", () => {
    expect(having("go to table 1", "look").observation).toBe("Before you: stove 1, and table 1. Also here: nothing.");
    const moved = ["go to table 1", "take mug 2 from table 1", "move mug 2 to stove 1"];
    expect(having(...moved, "look").observation).toBe("Before you: stove 1, and table 1. Also here: a mug 2.");
    expect(having(...moved, "take mug 2 from stove 1", "move mug 2 to table 1", "look").observation).toMatch(/Also here: a mug 2\.$/);
    expect(having(...moved, "take mug 2 from stove 1", "look").observation).toMatch(/Also here: nothing\.$/);
  });

  it("10: use always turns on, and a lamp that was never used is neither on nor off", () => {
    const play = having("go to table 1", "use lamp 1");
    expect(play.observation).toBe("You turn on the lamp 1.");
    expect(play.step("use lamp 1")).toBe("You turn on the lamp 1.");
    const lit = () => [...play.facts()].some(([predicate]) => predicate === "lit");
    expect(lit()).toBe(false);
    play.step("use lamp 1");
    expect(lit()).toBe(true);
  });

  it("11: the first rule that applies decides: cold alone, cool with clean", () => {
    const play = having("go to fridge 1", "open fridge 1", "take pear 1 from fridge 1");
    expect(play.step("examine pear 1")).toBe("A cold pear 1.");
    play.step("go to sinkbasin 1");
    play.step("clean pear 1 with sinkbasin 1");
    expect(play.step("examine pear 1")).toBe("A cool and clean pear 1.");
  });

  it("12: wording and the set of commands come from the file", () => {
    const { grammar, ...rest } = testGame("kitchen");
    const other = grammar.replace('"move {i} to {r}"', '"put {i} in/on {r}"').replace("You reach {r.name}", "You come to {to.name}");
    const play = parseGame({ ...rest, grammar: other }).start();
    expect(play.step("go to table 1")).toMatch(/^You come to spot 2\. /);
    play.step("take mug 2 from table 1");
    expect(play.admissible).toContain("put mug 2 in/on stove 1");
    expect(play.admissible).not.toContain("move mug 2 to stove 1");
  });

  it("13: a text loses its leading blanks and keeps its last line feed", () => {
    expect(game.start().step("help")).toBe("Commands:\n  look: look around\n");
  });

  it("14: two items are joined by ', and ', one stands alone", () => {
    expect(having("go to table 1").step("look")).toContain("stove 1, and table 1");
    expect(having("go to fridge 1", "open fridge 1").observation).toBe("You open the fridge 1. The fridge 1 is open. Inside: a pear 1.");
  });

  it("15: the article is always a", () => {
    expect(game.start().observation).toContain("a oven 1");
    expect(game.start().observation).not.toMatch(/\ban /);
  });

  it("16: a drawer without a lid shows its content at once", () => {
    expect(having("go to drawer 10").observation).toBe("You reach drawer 10. On the drawer 10: a knife 1.");
    const closed = having("go to drawer 11");
    expect(closed.observation).toBe("You reach drawer 11. The drawer 11 is closed.");
    expect(closed.admissible.filter((command) => command.startsWith("open"))).toEqual(["open drawer 11"]);
  });

  it("17: ids are read in lower case", () => {
    expect([...game.names.keys()].every((id) => id === id.toLowerCase())).toBe(true);
  });

  it("18: what a vessel holds is what it held at the start", () => {
    const play = having("go to shelf 1", "take soap 1 from shelf 1", "go to table 1", "move soap 1 to table 1", "go to shelf 1");
    play.step("take bowl 1 from shelf 1");
    expect(play.step("examine bowl 1")).toBe("A plain bowl 1. It holds a soap 1.");
  });

  it("20: nothing is won at the start; play goes on after a win, and a win can be lost", () => {
    const wash = (item: string) => [
      "go to shelf 1",
      `take ${item} from shelf 1`,
      `clean ${item} with sinkbasin 1`,
      `move ${item} to shelf 1`,
    ];
    const play = game.start();
    expect([play.won, play.score]).toEqual([false, 0]);
    const commands = [...wash("mug 1"), ...wash("bowl 1").slice(1)];
    for (const command of commands) {
      expect(play.won).toBe(false);
      expect(play.admissible).toContain(command);
      play.step(command);
    }
    expect([play.won, play.score]).toEqual([true, 1]);
    expect(play.step("take mug 1 from shelf 1")).toBe("You take the mug 1 from the shelf 1.");
    expect([play.won, play.score]).toEqual([false, 0]);
  });

  it("slices what lies at the spot, in a closed fridge too", () => {
    const play = having("go to drawer 10", "take knife 1 from drawer 10", "go to fridge 1", "slice pear 1 with knife 1");
    expect(play.observation).toBe("You slice the pear 1 with the knife 1.");
  });
});

describe("commands", () => {
  it("are stripped as Python strips and then compared exactly", () => {
    const blanks = ["\t", "\r", "\x1c", "\x1f", "\x85", "\xa0", "\u2003", "\u2028", "\u3000"];
    for (const blank of blanks) expect(game.start().step(`${blank}look ${blank}`)).toBe("You look around and see nothing.");
    for (const command of ["", " ", "Look", "go  to table 1", "\ufefflook", "look\u200b"]) {
      expect(game.start().step(command)).toBe("Nothing happens.");
    }
  });

  it("that are not admissible change nothing", () => {
    const play = having("go to table 1");
    const before = play.admissible;
    play.step("take table 1");
    expect(play.admissible).toBe(before);
    expect(play.step("examine table 1")).toContain("On the table 1:");
  });

  it("of earlier lists stay as they were", () => {
    const play = game.start();
    const first = play.admissible;
    const copy = [...first];
    play.step("go to table 1");
    expect(first).toEqual(copy);
    expect(play.admissible).not.toEqual(copy);
  });

  it("of one play do not touch another", () => {
    const [a, b] = [game.start(), game.start()];
    a.step("go to table 1");
    a.step("take mug 2 from table 1");
    b.step("go to table 1");
    expect(b.admissible).toContain("take mug 2 from table 1");
    expect(a.admissible).not.toContain("take mug 2 from table 1");
    expect(game.start().observation).toContain("-= The kitchen =-");
  });
});
