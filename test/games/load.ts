/** Small games of our own, as the three texts that a `.tw-pddl` file holds. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { GameFile } from "../../src/env/textworld/index.js";

export function testGame(name: "kitchen" | "yard"): GameFile {
  const read = (file: string) => readFileSync(join(import.meta.dirname, name, file), "utf8");
  return { pddl_domain: read("domain.pddl"), pddl_problem: read("problem.pddl"), grammar: read("grammar.twl2"), solvable: true };
}
