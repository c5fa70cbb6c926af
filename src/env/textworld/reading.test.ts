/** How files are read: the mini-language of texts, grammar files, and errors that name what is wrong. */
import { describe, expect, it } from "vitest";
import { testGame } from "../../../test/games/load.js";
import { boundedCache } from "./cache.js";
import { loadGrammar, parseGrammar } from "./grammar.js";
import { type GameFile, parseGame } from "./index.js";
import { displayNames } from "./names.js";
import { pythonStrip } from "./strip.js";
import { parseTemplate } from "./template.js";

const literal = (text: string) =>
  parseTemplate(text, "test")
    .map((piece) => (piece.op === "text" ? piece.text : `<${piece.op}>`))
    .join("");

describe("texts", () => {
  it("drop everything from the first character that fits nowhere", () => {
    expect(literal("put a; b.")).toBe("put a");
    expect(literal("<b>")).toBe("");
    expect(literal("(on the shelf)} rest")).toBe("(on the shelf)");
    expect(literal("number #1 of all")).toBe("number ");
    expect(literal("an [open list")).toBe("an ");
    expect(literal('say "never closed')).toBe("say ");
  });

  it("skip blanks and comments at the start, tabs between pieces, and keep all other blanks", () => {
    expect(literal(" \n\t text \n")).toBe("text \n");
    expect(literal("// a comment\n text")).toBe("text");
    expect(literal("#a#\t#b#\n.")).toBe("<symbol><symbol>\n.");
  });

  it("give the inside of quotes", () => {
    expect(literal('say "a; <b>" twice')).toBe("say a; <b> twice");
  });

  it("hold lists, conditionals and symbols", () => {
    expect(parseTemplate("[{#one(o)# | in(o:thing, r:place) & not_wet(o)}]", "test")).toEqual([
      {
        op: "each",
        list: true,
        expression: { op: "symbol", name: "one(o)" },
        query: [
          {
            predicate: "in",
            args: [
              { variable: "o", type: "thing" },
              { variable: "r", type: "place" },
            ],
          },
          { predicate: "not_wet", args: [{ variable: "o", type: null }] },
        ],
      },
    ]);
    expect(parseTemplate("{r.name or r.id + '!'}", "test")[0]).toMatchObject({
      list: false,
      query: null,
      expression: { op: "or", parts: [{ attribute: "name" }, { op: "concat", parts: [{ attribute: "id" }, { op: "string", text: "!" }] }] },
    });
  });

  it.each(["{a b}", "{a +}", "{+ a}", "{a.colour}", "{a or}", "{}", "{f(x)}", "{a | no query}", "{a | p(x y)}", "{a | }"])(
    "refuse %s",
    (text) => {
      expect(() => parseTemplate(text, "symbol 'x'")).toThrowError(/grammar, symbol 'x'/);
    },
  );
});

describe("Python's strip", () => {
  it("removes what Python calls blank and nothing else", () => {
    expect(pythonStrip("\x1c\x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000\t\n\v\f\r a b \x1f")).toBe("a b");
    expect(pythonStrip("\ufeffa\ufeff")).toBe("\ufeffa\ufeff");
    expect(pythonStrip("\u200b \u180e")).toBe("\u200b \u180e");
    expect(pythonStrip(" \n ")).toBe("");
  });
});

describe("names", () => {
  it("count down inside a class; basins are their own class; ids without a class keep a blank", () => {
    expect(
      displayNames(["agent1", "bath_bar_1_bar_bathtubbasin", "mug_bar_1", "mug_bar_2", "sink_bar_1", "sink_bar_2_bar_sinkbasin"]),
    ).toEqual(["agent1 ", "bathbasin 1", "mug 2", "mug 1", "sink 1", "sinkbasin 1"]);
  });
});

describe("grammar files", () => {
  it("that differ in the task alone share everything else", () => {
    const { grammar } = testGame("kitchen");
    const other = grammar.replace("rinse two things and put them on the shelf.", 'say \\"hello\\".');
    const [a, b] = [loadGrammar(grammar), loadGrammar(other)];
    expect(a.grammar).toBe(b.grammar);
    expect(b.task).toEqual([
      { op: "text", text: "Your task is to: say " },
      { op: "text", text: "hello" },
      { op: "text", text: "." },
    ]);
    expect(parseGame({ ...testGame("kitchen"), grammar: other }).start().observation).toMatch(/to: say hello\.$/);
    expect(parseGame(testGame("kitchen")).start().observation).toMatch(/to: rinse two things and put them on the shelf\.$/);
  });

  it("with several tasks or a conditional task mean what they say", () => {
    const base = `grammar :: """ { "intro": [{ "rhs": "#task#" }], "task": [{ "rhs": "first" }] } """;`;
    expect(loadGrammar(base).task).toEqual([{ op: "text", text: "first" }]);
    const later = loadGrammar(`${base} grammar :: """ { "task": [{ "rhs": "second" }] } """;`);
    expect(later.task).toBeNull();
    expect(later.grammar.rules.get("task")).toEqual([{ condition: null, template: [{ op: "text", text: "second" }] }]);
    const two = loadGrammar(`grammar :: """ { "task": [{ "rhs": "a", "condition": "p(x:y)" }, { "rhs": "b" }] } """;`);
    expect(two.task).toBeNull();
    expect(two.grammar.rules.get("task")).toHaveLength(2);
    const commented = loadGrammar(
      `grammar :: """ {\n# "task": [{ "rhs": "old" }],\n "task": [{ "rhs": "new", "condition": "p(x:y)" }] } """;`,
    );
    expect(commented.grammar.rules.get("task")![0]).toMatchObject({ condition: [{ predicate: "p" }], template: [{ text: "new" }] });
  });

  it("keep a condition beside the task's text", () => {
    const grammar = `grammar :: """ { "intro": [{ "rhs": "#task#" }], "task": [{ "rhs": "never", "condition": "nowhere(x:y)" }] } """;`;
    const file: GameFile = {
      pddl_domain: "(define (domain d) (:predicates (p)))",
      pddl_problem: "(define (problem q) (:domain d) (:objects) (:init) (:goal (p)))",
      grammar,
    };
    expect(() => parseGame(file).start()).toThrowError(/no rule of symbol '#task#' applies/);
  });

  it.each([
    ['grammar :: """ { "a": [ } """;', /grammar, block at line 1: not JSON/],
    ['grammar :: """ [] """;', /an object of symbols was expected/],
    ['grammar :: """ { "a": "b" } """;', /symbol 'a' needs a list of rules/],
    ['grammar :: """ { "a": [ { } ] } """;', /symbol 'a', rule 1 has no text 'rhs'/],
    ['grammar :: """ { "a": [ { "rhs": "", "condition": 3 } ] } """;', /condition of symbol 'a', rule 1/],
    ['\n\naction go { template :: "x"', /end of text where ';' was expected/],
    ['\naction go { template :: "x"; }', /line 2: action 'go' has no feedback/],
    ['action go { colour :: "x"; }', /line 1: 'colour' where template, feedback, grammar or '}'/],
    ['action go { template :: "x; }', /line 1: a string that is never closed/],
    ["type t { }", /line 1: 'type' where 'action' or 'grammar'/],
  ])("say what is wrong: %s", (text, message) => {
    expect(() => parseGrammar(text)).toThrowError(message);
  });
});

describe("game files", () => {
  const file = testGame("kitchen");
  const changed = (change: Partial<Record<keyof GameFile, unknown>>) => ({ ...file, ...change }) as GameFile;
  const domain = (from: string, to: string) => changed({ pddl_domain: file.pddl_domain.replace(from, to) });
  const doubling = (levels: number) =>
    Object.fromEntries(
      Array.from({ length: levels }, (_, i) => [i === 0 ? "intro" : `s${i}`, [{ rhs: i + 1 < levels ? `#s${i + 1}##s${i + 1}#` : "x" }]]),
    );
  const problem = (from: string, to: string) => changed({ pddl_problem: file.pddl_problem.replace(from, to) });

  it("carry what the file says of itself", () => {
    const game = parseGame(JSON.stringify({ ...file, walkthrough: ["look"] }), "evening");
    expect(game).toMatchObject({
      name: "evening",
      solvable: true,
      walkthrough: ["look"],
      task: "rinse two things and put them on the shelf",
    });
    expect(parseGame(changed({ solvable: undefined, walkthrough: null }))).toMatchObject({ solvable: null, walkthrough: null });
  });

  it.each<[string, string | GameFile, string, RegExp]>([
    ["half a file", JSON.stringify(file).slice(0, 5000), "GAME_FILE", /not JSON, or cut off/],
    ["no JSON", "two\nlines \u001f", "GAME_FILE", /not JSON, or cut off: it does not begin with '\{'/],
    ["JSON with a fault", '{"a":\nx\n}', "GAME_FILE", /not JSON, or cut off: /],
    ["another JSON file", "[1, 2]", "GAME_FILE", /a JSON object with the keys pddl_domain/],
    ["a missing key", changed({ grammar: undefined }), "GAME_FILE", /key 'grammar' is missing/],
    ["a key of the wrong kind", changed({ pddl_problem: 3 }), "GAME_FILE", /'pddl_problem' must be a text, got number/],
    ["a wrong flag", changed({ solvable: "yes" }), "GAME_FILE", /'solvable' must be true, false or null/],
    ["a wrong walkthrough", changed({ walkthrough: [1] }), "GAME_FILE", /'walkthrough' must be a list/],
    [
      "a problem that is cut off",
      changed({ pddl_problem: file.pddl_problem.slice(0, 200) }),
      "PDDL_SYNTAX",
      /pddl_problem, line 3: the list '\(:objects' is never closed; the text is cut off/,
    ],
    [
      "a parenthesis too many",
      changed({ pddl_domain: `${file.pddl_domain}\n)` }),
      "PDDL_SYNTAX",
      /pddl_domain, line \d+: '\)' without '\('/,
    ],
    [
      "conditions nested without end",
      domain(":precondition (and", `:precondition ${"(and ".repeat(50_000)}${")".repeat(50_000)} :precondition (and`),
      "PDDL_SYNTAX",
      /lists are nested more than 200 deep/,
    ],
    ["text behind the end", changed({ pddl_domain: `${file.pddl_domain}\nmore` }), "PDDL_SYNTAX", /'more' after the end/],
    ["an empty domain", changed({ pddl_domain: " ; nothing" }), "PDDL_SYNTAX", /pddl_domain: empty/],
    ["a character beyond ASCII", problem("cook1 - person", "köchin - person"), "PDDL_SYNTAX", /pddl_problem, line 4: character U\+00f6/],
    [
      "a problem as a domain",
      changed({ pddl_domain: file.pddl_problem }),
      "PDDL_CONTENT",
      /'\(domain NAME\)' was expected, got '\(problem/,
    ],
    ["another domain's problem", problem("(:domain kitchen)", "(:domain attic)"), "PDDL_CONTENT", /the problem is for domain 'attic'/],
    [
      "an unknown predicate",
      domain("(has ?p ?i))\n   :effect (and (noted", "(owns ?p ?i))\n   :effect (and (noted"),
      "PDDL_CONTENT",
      /unknown predicate 'owns'/,
    ],
    [
      "a wrong number of arguments",
      problem("(lidded Drawer_bar_01)", "(lidded Drawer_bar_01 Oven_bar_00)"),
      "PDDL_CONTENT",
      /line 22: predicate 'lidded' takes 1 arguments, got 2/,
    ],
    [
      "an undeclared object",
      problem("(lidded Drawer_bar_01)", "(lidded Drawer_bar_77)"),
      "PDDL_CONTENT",
      /undeclared object 'drawer_bar_77'/,
    ],
    [
      "an undeclared object in the goal",
      problem("(placeKind ?r ShelfKind) (inside ?a", "(placeKind ?r Nothing) (inside ?a"),
      "PDDL_CONTENT",
      /undeclared object 'nothing'/,
    ],
    ["an unbound variable", domain("(ajar ?r) (noted ?r)", "(noted ?z)"), "PDDL_CONTENT", /unbound variable '\?z' in action 'open'/],
    [
      "forall",
      domain("(has ?p ?i))\n   :effect (and (noted", "(forall (?x - item) (has ?p ?x)))\n   :effect (and (noted"),
      "PDDL_CONTENT",
      /'forall' is not supported in conditions/,
    ],
    ["an unknown section", domain("(:functions", "(:derived"), "PDDL_CONTENT", /unknown section ':derived'/],
    ["no goal", problem("(:goal", "(:metric"), "PDDL_CONTENT", /section ':goal' is missing/],
    [
      "an object of two types",
      problem("cook1 - person", "cook1 - person cook1 - item"),
      "PDDL_CONTENT",
      /object 'cook1' is declared as person and as item/,
    ],
    [
      "an action without texts",
      changed({ grammar: file.grammar.replace("action rinse", "action wash") }),
      "GRAMMAR_CONTENT",
      /action 'rinse' of the domain has no template/,
    ],
    [
      "a symbol without rules",
      changed({ grammar: file.grammar.replace('"#look.text#"', '"#gaze#"').replace("#look.text#", "#gaze#") }),
      "GRAMMAR_CONTENT",
      /no rules for symbol '#gaze#'/,
    ],
    [
      "a symbol that holds itself",
      changed({ grammar: file.grammar.replace("#look.text#\\n", "#intro#\\n") }),
      "GRAMMAR_CONTENT",
      /symbol 'intro' refers to itself/,
    ],
    [
      "a text that doubles at every symbol",
      changed({ grammar: `${file.grammar}\ngrammar :: """ ${JSON.stringify(doubling(60))} """;` }),
      "GRAMMAR_CONTENT",
      /one text unfolds into more than 1000000 symbols/,
    ],
  ])("say what is wrong: %s", (_, source, code, message) => {
    const read = () => parseGame(source, "evening").start();
    expect(read).toThrowError(expect.objectContaining({ name: "SiriError", code }));
    expect(read).toThrowError(message);
    expect(read).toThrowError(/^game 'evening': .+$/);
    expect(read).not.toThrowError(/\p{Cc}/u);
  });

  it("may nest conditions deeper than any game does", () => {
    const deep = (depth: number) => domain(":precondition (and", `:precondition (and ${"(not ".repeat(depth)}(and)${")".repeat(depth)}`);
    expect(parseGame(deep(100)).start().admissible).toEqual(parseGame(file).start().admissible);
  });
});

describe("cache", () => {
  it("drops the entry that was not used for the longest time", () => {
    const cache = boundedCache<string, number>(2);
    let made = 0;
    for (const key of ["a", "b", "a", "c", "a", "b"]) cache.get(key, () => ++made);
    expect([made, cache.size]).toEqual([4, 2]);
  });
});
