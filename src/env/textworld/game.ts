/**
 * A parsed text game. Domains and grammars are cached by their text, so that thousands of files that share them load in about a
 * millisecond each. All logic and all wording come from the file.
 */
import { boundedCache } from "./cache.js";
import { type GameFile, inGame, readGameFile } from "./file.js";
import { loadGrammar } from "./grammar.js";
import { Machine } from "./machine.js";
import { type Domain, type Formula, parseDomain, parseProblem } from "./pddl.js";
import { FastPlay, type Play } from "./play.js";

export interface Game {
  readonly name: string;
  /** Entity id -> displayed name, for every object that stands in an initial fact, ascending by id. */
  readonly names: ReadonlyMap<string, string>;
  /** The task, without "Your task is to: " and the final full stop. */
  readonly task: string;
  /** What wins, as the file states it. */
  readonly goal: Formula;
  /** Null: the file does not say. */
  readonly solvable: boolean | null;
  readonly walkthrough: readonly string[] | null;
  /** A new play from the initial state. */
  start(): Play;
}

const domains = boundedCache<string, Domain>(16);

/** The task in a sentence such as "Your task is to: put a mug in shelf."; any other sentence is returned as it is. */
export function taskOf(sentence: string): string {
  const match = /Your task is to: ([\s\S]*?)\.?$/.exec(sentence);
  return match ? match[1]! : sentence;
}

class ParsedGame implements Game {
  readonly task: string;
  private table: ReadonlyMap<string, string> | undefined;

  constructor(
    readonly name: string,
    private readonly machine: Machine,
    readonly goal: Formula,
    readonly solvable: boolean | null,
    readonly walkthrough: readonly string[] | null,
  ) {
    this.task = taskOf(machine.taskText(new FastPlay(machine)));
  }

  get names(): ReadonlyMap<string, string> {
    const { ids, names, entities } = this.machine;
    this.table ??= new Map(entities.map((number) => [ids[number]!, names[number]!]));
    return this.table;
  }

  start(): Play {
    return new FastPlay(this.machine);
  }
}

/**
 * @param source the JSON text of a `.tw-pddl` file, or its content.
 * @param name what errors call the game.
 * @throws SiriError `GAME_FILE`, `PDDL_SYNTAX`, `PDDL_CONTENT`, `GRAMMAR_SYNTAX`, `GRAMMAR_CONTENT`
 */
export function parseGame(source: string | GameFile, name = "game"): Game {
  return inGame(name, () => {
    const file = readGameFile(source);
    const domain = domains.get(file.pddl_domain, () => parseDomain(file.pddl_domain));
    const problem = parseProblem(file.pddl_problem, domain);
    // Names in the goal are slices of the problem's text; a copy of their own lets that text go, which is half of a game's memory.
    const goal = JSON.parse(JSON.stringify(problem.goal)) as Formula;
    const machine = new Machine(domain, { ...problem, goal }, loadGrammar(file.grammar));
    return new ParsedGame(name, machine, goal, file.solvable ?? null, file.walkthrough ?? null);
  });
}
