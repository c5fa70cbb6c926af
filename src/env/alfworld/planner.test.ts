/**
 * The planner on a small room in ALFWorld's predicates, against an exhaustive search on household games, and on real games where the data
 * is: ALFWORLD_GOLDENS (default ../shared/alfworld) and ALFWORLD_DATA. All games of a split: `npm run bench -- experts`.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { generateGame } from "../household/generate.js";
import { type Game, type GameFile, parseGame } from "../textworld/index.js";
import alfworld, { readGame } from "./index.js";
import { goalOf, plan } from "./planner.js";
import { findRelease } from "./release.js";

/** ALFWorld's predicates and the older wording of `put`, without what plans do not need. */
function room(goal: string, facts = ""): GameFile {
  const action = (name: string, parameters: string, precondition: string, effect: string) =>
    `(:action ${name} :parameters (?a - agent ${parameters}) :precondition (and ${precondition}) :effect (and ${effect}))`;
  const at = "(atLocation ?a ?l) (receptacleAtLocation ?r ?l)";
  const within = "(or (not (openable ?r)) (opened ?r))";
  const pddl_domain = `(define (domain room) (:types agent location receptacle object rtype otype)
    (:predicates (atLocation ?a - agent ?l - location) (receptacleAtLocation ?r - receptacle ?l - location) (openable ?r - receptacle)
      (opened ?r - receptacle) (inReceptacle ?o - object ?r - receptacle) (receptacleType ?r - receptacle ?t - rtype)
      (objectType ?o - object ?t - otype) (canContain ?t - rtype ?u - otype) (pickupable ?o - object) (holds ?a - agent ?o - object)
      (holdsAny ?a - agent) (isClean ?o - object) (cleanable ?o - object) (isHot ?o - object) (heatable ?o - object)
      (isCool ?o - object) (coolable ?o - object) (toggleable ?o - object) (isToggled ?o - object))
    ${action("go", "?s - location ?l - location ?r - receptacle", "(atLocation ?a ?s) (receptacleAtLocation ?r ?l)", "(not (atLocation ?a ?s)) (atLocation ?a ?l)")}
    ${action("open", "?l - location ?r - receptacle", `${at} (openable ?r) (not (opened ?r))`, "(opened ?r)")}
    ${action("take", "?l - location ?o - object ?r - receptacle", `${at} (inReceptacle ?o ?r) (pickupable ?o) (not (holdsAny ?a)) ${within}`, "(not (inReceptacle ?o ?r)) (holds ?a ?o) (holdsAny ?a)")}
    ${action("put", "?l - location ?o - object ?r - receptacle ?u - otype ?t - rtype", `${at} (holds ?a ?o) ${within} (objectType ?o ?u) (receptacleType ?r ?t) (canContain ?t ?u)`, "(inReceptacle ?o ?r) (not (holds ?a ?o)) (not (holdsAny ?a))")}
    ${action("clean", "?l - location ?o - object ?r - receptacle", `${at} (holds ?a ?o) (cleanable ?o) (receptacleType ?r SinkBasinType)`, "(isClean ?o)")}
    ${action("cool", "?l - location ?o - object ?r - receptacle", `${at} (holds ?a ?o) (coolable ?o) (receptacleType ?r FridgeType)`, "(isCool ?o) (not (isHot ?o))")}
    ${action("use", "?l - location ?o - object ?r - receptacle", `${at} (toggleable ?o) (inReceptacle ?o ?r)`, "(isToggled ?o)")})`;
  const pddl_problem = `(define (problem one) (:domain room)
    (:objects agent1 - agent loc_bar_0 loc_bar_1 loc_bar_2 loc_bar_3 - location
      shelf_bar_1 table_bar_1 sink_bar_1_bar_sinkbasin fridge_bar_1 - receptacle
      mug_bar_1 mug_bar_2 lamp_bar_1 - object ShelfType TableType SinkBasinType FridgeType - rtype MugType LampType - otype)
    (:init (atLocation agent1 loc_bar_0) (receptacleAtLocation shelf_bar_1 loc_bar_1) (receptacleAtLocation table_bar_1 loc_bar_1)
      (receptacleAtLocation sink_bar_1_bar_sinkbasin loc_bar_2) (receptacleAtLocation fridge_bar_1 loc_bar_3) (openable fridge_bar_1)
      (receptacleType shelf_bar_1 ShelfType) (receptacleType table_bar_1 TableType)
      (receptacleType sink_bar_1_bar_sinkbasin SinkBasinType) (receptacleType fridge_bar_1 FridgeType)
      (objectType mug_bar_1 MugType) (objectType mug_bar_2 MugType) (objectType lamp_bar_1 LampType)
      (canContain ShelfType MugType) (canContain TableType MugType) (pickupable mug_bar_1) (pickupable mug_bar_2)
      (cleanable mug_bar_1) (cleanable mug_bar_2) (toggleable lamp_bar_1) (inReceptacle lamp_bar_1 table_bar_1)
      (inReceptacle mug_bar_1 fridge_bar_1) (inReceptacle mug_bar_2 table_bar_1) ${facts})
    (:goal ${goal}))`;
  const templates = {
    go: "go to [{r.name | receptacleatlocation(r, l)}]",
    open: "open {r}",
    take: "take {o} from {r}",
    put: "put {o} in/on {r}",
    clean: "clean {o} with {r}",
    cool: "cool {o} with {r}",
    use: "use {o}",
  };
  const texts = Object.entries(templates).map(([name, text]) => `action ${name} { template :: "${text}"; feedback :: "Done."; }`);
  const rules = { intro: [{ rhs: "#task#" }], task: [{ rhs: "Your task is to: tidy up." }] };
  return { pddl_domain, pddl_problem, grammar: [`grammar :: """ ${JSON.stringify(rules)} """;`, ...texts].join("\n") };
}

const planOf = (goal: string, facts?: string) => plan(parseGame(room(goal, facts)));
const inPlace = (furniture: string, more = "") =>
  `(and (exists (?r - receptacle) (exists (?o - object) (and (inReceptacle ?o ?r) (objectType ?o MugType) (receptacleType ?r ${furniture}) ${more}))))`;
const CLEAN = "(cleanable ?o) (isClean ?o)";

describe("a plan", () => {
  it("takes the nearest thing, does not walk where it stands, and speaks the file's words", () => {
    expect(planOf(inPlace("ShelfType"))).toEqual(["go to table 1", "take mug 1 from table 1", "put mug 1 in/on shelf 1"]);
  });

  it("treats a thing that needs it, and only that", () => {
    const bring = ["go to shelf 1", "put mug 1 in/on shelf 1"];
    expect(planOf(inPlace("ShelfType", CLEAN))).toEqual([
      "go to table 1",
      "take mug 1 from table 1",
      "go to sinkbasin 1",
      "clean mug 1 with sinkbasin 1",
      ...bring,
    ]);
    expect(planOf(inPlace("ShelfType", CLEAN), "(isClean mug_bar_1)")).toEqual([
      "go to fridge 1",
      "open fridge 1",
      "take mug 2 from fridge 1",
      "go to shelf 1",
      "put mug 2 in/on shelf 1",
    ]);
  });

  it("is over when another piece still holds the thing where it should be", () => {
    expect(planOf(inPlace("TableType", CLEAN), "(inReceptacle mug_bar_2 shelf_bar_1)")).toEqual([
      "go to shelf 1",
      "take mug 1 from shelf 1",
      "go to sinkbasin 1",
      "clean mug 1 with sinkbasin 1",
    ]);
  });

  it("counts what is in its place already", () => {
    const two = `(exists (?r - receptacle) (exists (?o - object) (and (objectType ?o MugType) (receptacleType ?r TableType) (inReceptacle ?o ?r)
      (exists (?p - object) (and (not (= ?o ?p)) (objectType ?p MugType) (receptacleType ?r TableType) (inReceptacle ?p ?r))))))`;
    expect(planOf(two)).toEqual([
      "go to fridge 1",
      "open fridge 1",
      "take mug 2 from fridge 1",
      "go to table 1",
      "put mug 2 in/on table 1",
    ]);
    const onShelf = two.replaceAll("TableType", "ShelfType");
    expect(planOf(onShelf)).toHaveLength(7);
  });

  it("brings a thing to the light", () => {
    const look = `(and (exists (?t - object ?r - receptacle ?a - agent ?l - location) (and (objectType ?t LampType) (toggleable ?t) (isToggled ?t)
      (receptacleAtLocation ?r ?l) (atLocation ?a ?l) (inReceptacle ?t ?r))) (exists (?o - object ?a - agent) (and (objectType ?o MugType) (holds ?a ?o))))`;
    expect(planOf(look)).toEqual(["go to table 1", "take mug 1 from table 1", "use lamp 1"]);
  });

  it("that does not exist is an error that says why", () => {
    expect(() => planOf(inPlace("TableType"))).toThrowError(/"tidy up" is done before the first command/);
    expect(() => planOf(inPlace("SinkBasinType"))).toThrowError(/no plan for "tidy up": nothing that can be brought fits there/);
    expect(() => planOf(inPlace("ShelfType", "(coolable ?o) (isCool ?o)"))).toThrowError(/of 0 such things none can be taken/);
    expect(() => planOf("(and (holdsAny agent1))")).toThrowError(/its goal is of none of ALFWorld's six task types/);
  });
});

/** Length of a shortest plan, found by trying everything; states are told apart by their facts. */
function shortest(game: Game, limit: number): number {
  const seen = new Set<string>();
  let front: (readonly string[])[] = [[]];
  for (let length = 1; length <= limit; length++) {
    const next: (readonly string[])[] = [];
    for (const path of front) {
      const start = game.start();
      for (const command of path) start.step(command);
      for (const command of start.admissible) {
        if (/^(?:look|inventory|examine|close)/.test(command)) continue;
        const play = game.start();
        for (const each of path) play.step(each);
        play.step(command);
        if (play.won) return length;
        const state = [...play.facts()]
          .map((fact) => fact.join(" "))
          .sort()
          .join("\n");
        if (seen.has(state)) continue;
        seen.add(state);
        next.push([...path, command]);
      }
    }
    front = next;
  }
  throw new Error(`no plan within ${limit} commands`);
}

describe("plans of household games", () => {
  // Types 0 and 1 have the plans that an exhaustive search can still reach.
  it.each([0, 1, 6, 7])("of seed %i are as short as any", (seed) => {
    const { file } = generateGame(seed);
    const game = parseGame(file);
    expect(shortest(game, file.walkthrough!.length)).toBe(file.walkthrough!.length);
  });
});

const shared = process.env.ALFWORLD_GOLDENS ?? resolve(import.meta.dirname, "../../../../shared/alfworld");
const folders = ["2.1.1", "2.1.3"].map((vintage) => join(shared, "games", vintage)).filter((folder) => existsSync(folder));
if (folders.length === 0) console.warn(`skipped: the ALFWorld games are not in ${shared}; set ALFWORLD_GOLDENS`);

describe.skipIf(folders.length === 0)("plans of the recorded games", () => {
  it("win in both vintages, in as many commands, never more than the recorded walkthrough", () => {
    const lengths = new Map<string, number>();
    let recorded = 0;
    let planned = 0;
    for (const folder of folders) {
      for (const file of readdirSync(folder)) {
        const game = parseGame(readFileSync(join(folder, file), "utf8"), file);
        const commands = plan(game);
        expect(commands.length, file).toBe(lengths.get(file) ?? commands.length);
        lengths.set(file, commands.length);
        if (!game.walkthrough) continue;
        expect(commands.length, file).toBeLessThanOrEqual(game.walkthrough.length);
        recorded += game.walkthrough.length;
        planned += commands.length;
      }
    }
    expect(lengths.size).toBe(40);
    console.info(`recorded walkthroughs: ${recorded} commands, plans of the same games: ${planned}`);
  });
});

const data = process.env.ALFWORLD_DATA;
if (!data) console.warn("skipped: plans of the released games; set ALFWORLD_DATA to the folder that holds json_2.1.1/");

describe.skipIf(!data)("plans of the released games", () => {
  it.each([
    ["valid_seen", 1],
    ["train", 35],
  ])("win in all sampled games of %s (one in %i)", (split, every) => {
    const root = findRelease(data);
    const tasks = alfworld().tasks(split);
    for (let i = 0; i < tasks.length; i += every) {
      const { id, type, data: file } = tasks.at(i);
      const game = readGame(join(root, (file as { file: string }).file));
      expect(goalOf(game).type).toBe(type);
      const commands = plan(game);
      const play = game.start();
      for (const command of commands) {
        expect(play.won, id).toBe(false);
        play.step(command);
      }
      expect(play.won, id).toBe(true);
      expect(commands.length, id).toBeLessThanOrEqual(12);
    }
  });
});
