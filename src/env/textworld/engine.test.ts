/** The engine against its plain twin on games that hold all of the PDDL subset, and what the generic rules say of small domains. */
import { describe, expect, it } from "vitest";
import { testGame } from "../../../test/games/load.js";
import { expectTwins, randomNumbers, sortedFacts } from "../../../test/games/random.js";
import { type GameFile, parseGame } from "./index.js";
import { ReferencePlay } from "./reference.js";

describe("engine and twin", () => {
  it.each(["kitchen", "yard"] as const)("agree on random play of %s", (name) => {
    const file = testGame(name);
    const game = parseGame(file, name);
    const random = randomNumbers(17);
    const verbs = new Set<string>();
    for (let episode = 0; episode < 8; episode++) for (const verb of expectTwins(game, file, 40, random)) verbs.add(verb);
    const all = {
      kitchen: "clean close cool examine go heat help inventory look move open slice take use",
      yard: "befriend fetch herd paint rain rest shine whistle",
    };
    expect([...verbs]).toEqual(expect.arrayContaining(all[name].split(" ")));
  });
});

const GRAMMAR = `grammar :: """ { "intro": [ { "rhs": "Start." } ] } """;`;

function tiny(domain: string, problem: string, actions: Record<string, string>, rules = GRAMMAR): GameFile {
  const texts = Object.entries(actions).map(([name, template]) => `action ${name} { template :: "${template}"; feedback :: "Done."; }`);
  return {
    pddl_domain: `(define (domain tiny) ${domain})`,
    pddl_problem: `(define (problem one) (:domain tiny) ${problem})`,
    grammar: [rules, ...texts].join("\n"),
  };
}

/** Both engines' lists of a game, which must be the same. */
function admissible(file: GameFile, ...commands: string[]): readonly string[] {
  const play = parseGame(file).start();
  const twin = new ReferencePlay(file);
  for (const command of commands) expect(play.step(command)).toBe(twin.step(command));
  expect(play.admissible).toEqual(twin.admissible);
  expect(sortedFacts(play)).toEqual(sortedFacts(twin));
  return play.admissible;
}

describe("ground actions", () => {
  it("without an effect beyond what their precondition says do not exist", () => {
    const file = tiny(
      `(:types cell) (:predicates (at ?c - cell) (seen ?c - cell))
       (:action jump :parameters (?a ?b - cell) :precondition (at ?a) :effect (and (not (at ?a)) (at ?b)))
       (:action stay :parameters (?a - cell) :precondition (at ?a) :effect (at ?a))
       (:action wait :parameters () :effect ())
       (:action gaze :parameters (?a - cell) :precondition (at ?a) :effect (seen ?a))
       (:action hide :parameters (?a - cell) :precondition (and (not (seen ?a))) :effect (not (seen ?a)))`,
      "(:objects a b c - cell) (:init (at b)) (:goal (at c))",
      { jump: "jump {b}", stay: "stay", wait: "wait", gaze: "gaze {a}", hide: "hide {a}" },
    );
    expect(admissible(file)).toEqual(["gaze b ", "jump a ", "jump c "]);
  });

  it("that read alike are one command, and the first by ids is played", () => {
    const file = tiny(
      "(:types cell) (:predicates (free ?c - cell) (taken ?c - cell)) (:action grab :parameters (?c - cell) :precondition (free ?c) :effect (and (not (free ?c)) (taken ?c)))",
      "(:objects b a c - cell) (:init (free c) (free b) (free a)) (:goal (and (taken a) (taken b)))",
      { grab: "grab" },
    );
    const play = parseGame(file).start();
    expect(play.admissible).toEqual(["grab"]);
    play.step("grab");
    expect([...play.facts()]).toContainEqual(["taken", "a"]);
    expect(play.won).toBe(false);
    play.step("grab");
    expect(play.won).toBe(true);
    expect(admissible(file, "grab", "grab", "grab")).toEqual([]);
  });
});

describe("types", () => {
  const domain = (types: string) =>
    `(:types ${types}) (:predicates (known ?x) (done ?x)) (:action take :parameters (?x - object) :precondition (known ?x) :effect (done ?x))`;
  const problem = "(:objects apple - object shelf - place) (:init (known apple) (known shelf)) (:goal (done apple))";

  it("that a file declares are strict, 'object' too", () => {
    expect(admissible(tiny(domain("object place"), problem, { take: "take {x}" }))).toEqual(["take apple "]);
  });

  it("without an 'object' of their own stand below it", () => {
    expect(admissible(tiny(domain("place"), problem, { take: "take {x}" }))).toEqual(["take apple ", "take shelf "]);
  });

  it("that nobody declared have no objects", () => {
    const file = tiny(
      "(:types a b) (:predicates (p ?x)) (:action one :parameters (?x - a, ?y - b) :effect (p ?y)) (:action two :parameters (?y - b) :precondition (or (exists (?x - a,) (p ?x)) (p ?y)) :effect (not (p ?y)))",
      "(:objects x - a y - b) (:init (p x) (p y)) (:goal (not (p y)))",
      { one: "one", two: "two" },
    );
    expect(admissible(file)).toEqual(["two"]);
  });
});

describe("what texts believe", () => {
  const rules = `grammar :: """ {
    "intro": [ { "rhs": "Start." } ],
    "state": [
      { "condition": "not_on(l:lamp) & on(l:lamp)", "rhs": "both" },
      { "condition": "not_on(l:lamp)", "rhs": "off" },
      { "condition": "on(l:lamp)", "rhs": "on" },
      { "rhs": "unknown" }
    ],
    "gone": [ { "condition": "not_lost(l:lamp)", "rhs": "not lost" }, { "rhs": "silent" } ]
  } """;`;
  const file = (effects: string, feedback: string): GameFile => ({
    ...tiny(
      `(:types lamp) (:predicates (on ?l - lamp) (lost ?l - lamp) (used ?l - lamp)) (:action use :parameters (?l - lamp) :effect (and ${effects} (used ?l)))`,
      "(:objects lamp_bar_1 - lamp) (:init (used lamp_bar_1)) (:goal (on lamp_bar_1))",
      {},
      `${rules}\naction use { template :: "use {l}"; feedback :: "${feedback}"; }`,
    ),
  });
  const told = (game: GameFile, times = 1) => {
    const play = parseGame(game).start();
    const twin = new ReferencePlay(game);
    for (let i = 0; i < times; i++) expect(play.step("use lamp 1")).toBe(twin.step("use lamp 1"));
    return [play.observation, play.won];
  };
  const toggle = "(when (on ?l) (not (on ?l))) (when (not (on ?l)) (on ?l))";

  it("is that both branches of a toggle happened, the last in the file winning", () => {
    expect(told(file(toggle, "#state#"), 1)).toEqual(["on", true]);
    expect(told(file(toggle, "#state#"), 2)).toEqual(["on", false]);
    const reversed = "(when (not (on ?l)) (on ?l)) (when (on ?l) (not (on ?l)))";
    expect(told(file(reversed, "#state#"), 1)).toEqual(["off", true]);
  });

  it("has no not_ fact of what could never be true", () => {
    expect(told(file("(not (lost ?l))", "#gone#"))).toEqual(["silent", false]);
    expect(told(file("(not (lost ?l)) (when (on ?l) (lost ?l)) (on ?l)", "#gone#"))).toEqual(["silent", true]);
    expect(told(file("(not (on ?l)) (when (not (used ?l)) (on ?l))", "#state#"))).toEqual(["on", false]);
  });

  it("adds an atom that is both added and deleted", () => {
    expect(told(file("(on ?l) (not (on ?l))", "#state#"))).toEqual(["on", true]);
  });
});

describe("queries", () => {
  const world = (rhs: string, condition = "") =>
    tiny(
      "(:types cat pen) (:predicates (in ?c - cat ?p - pen) (likes ?a ?b - cat)) (:action look :parameters (?c - cat ?p - pen) :precondition (in ?c ?p) :effect (likes ?c ?c))",
      `(:objects tom_bar_b tom_bar_a kit_bar_a - cat pen_bar_1 pen_bar_2 - pen)
       (:init (in tom_bar_b pen_bar_1) (in tom_bar_a pen_bar_1) (in kit_bar_a pen_bar_2) (likes tom_bar_a tom_bar_b) (likes tom_bar_a tom_bar_a)) (:goal (likes tom_bar_a kit_bar_a))`,
      { look: "look {c}" },
      `grammar :: """ { "intro": [ { "condition": "${condition}", "rhs": "${rhs}" }, { "rhs": "else" } ],
        "list_empty": [ { "rhs": "none" } ], "list_separator": [ { "rhs": ", " } ], "list_last_separator": [ { "rhs": "/ " } ] } """;`,
    );
  const intro = (rhs: string, condition = "") => {
    const file = world(rhs, condition);
    const { observation } = parseGame(file).start();
    expect(observation).toBe(new ReferencePlay(file).observation);
    return observation;
  };

  it("meet facts in the order of ids, from the first argument to the last", () => {
    expect(intro("[{c.name | in(c:cat, p:pen)}]")).toBe("kit 1, tom 2/ tom 1");
    expect(intro("[{p.id | in(c:cat, p:pen)}]")).toBe("pen_bar_2, pen_bar_1/ pen_bar_1");
  });

  it("never give one object to two variables", () => {
    expect(intro("[{a + '>' + b | likes(a:cat, b:cat)}]")).toBe("tom 2>tom 1");
    expect(intro("[{a + b | in(a:cat, p:pen) & in(b:cat, p:pen)}]")).toBe("tom 2tom 1/ tom 1tom 2");
  });

  it("match declared types and numbers of arguments only", () => {
    expect(intro("[{c | in(c:pen, p:pen)}]")).toBe("none");
    expect(intro("[{c | in(c:nobody, p:pen)}]")).toBe("none");
    expect(intro("[{c | in(c:cat)}]")).toBe("none");
    expect(intro("[{c | unheard(c:cat)}]")).toBe("none");
    expect(intro("[{c | in(c, p)}]")).toBe("kit 1, tom 2/ tom 1");
  });

  it("decide which rule is taken", () => {
    expect(intro("yes", "likes(a:cat, b:cat)")).toBe("yes");
    expect(intro("yes", "not_likes(a:cat, b:cat)")).toBe("else");
  });

  it("of a conditional without brackets are joined without a separator", () => {
    expect(intro("{c.indefinite + c.name + '.' | in(c:cat, p:pen)}!")).toBe("akit 1.atom 2.atom 1.!");
  });
});
