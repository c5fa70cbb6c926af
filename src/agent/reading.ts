/**
 * What an agent remembers of a text-world episode: the places it has been to, the task-named things it saw there, and what
 * it holds. Everything is read from observation texts (ALFWorld wording, both vintages) and from the agent's own commands;
 * the environment's state is never asked. Texts of other worlds match nothing and leave the memory empty.
 */

const NAME = "[a-z]+ \\d+";
const CONTENTS = new RegExp(`(?:On the (${NAME})|The (${NAME}) is open\\. In it), you see ([^.]*)\\.`, "g");
const TAKEN = new RegExp(`^You pick up the (${NAME}) from the (${NAME})\\.`);
const PUT = new RegExp(`^You (?:move|put) the (${NAME}) (?:to|in/on) the (${NAME})\\.`);
const CHANGED = new RegExp(`^You (clean|heat|cool) the (${NAME}) using the ${NAME}\\.`);
const GO = new RegExp(`^go to (${NAME})$`);
const ITEM = new RegExp(`\\ba (${NAME})`, "g");

export class Reading {
  readonly #taskWords: ReadonlySet<string>;
  /** Place -> task-named things seen there, in the order of the first visit. */
  readonly #places = new Map<string, string[]>();
  #held: string | undefined;
  readonly #states = new Map<string, Set<string>>();

  constructor(task: string) {
    this.#taskWords = new Set(task.toLowerCase().match(/[a-z]+/g) ?? []);
  }

  /** Takes an executed command and the text it led to. */
  read(action: string, text: string): void {
    const place = GO.exec(action)?.[1];
    if (place !== undefined && text.startsWith("You arrive at ")) this.#at(place);
    for (const match of text.matchAll(CONTENTS)) {
      const names = [...match[3]!.matchAll(ITEM)].map((item) => item[1]!);
      const things = this.#at(match[1] ?? match[2]!);
      things.splice(0, things.length, ...names.filter((name) => this.#taskWords.has(name.slice(0, name.indexOf(" ")))));
    }
    const taken = TAKEN.exec(text);
    if (taken) {
      this.#held = taken[1]!;
      const things = this.#at(taken[2]!);
      const index = things.indexOf(taken[1]!);
      if (index >= 0) things.splice(index, 1);
    }
    const put = PUT.exec(text);
    if (put) {
      this.#held = undefined;
      if (this.#taskWords.has(put[1]!.slice(0, put[1]!.indexOf(" ")))) this.#at(put[2]!).push(put[1]!);
    }
    const changed = CHANGED.exec(text);
    if (changed) {
      const states = this.#states.get(changed[2]!) ?? new Set();
      if (changed[1] === "heat") states.delete("cool");
      if (changed[1] === "cool") states.delete("heat");
      this.#states.set(changed[2]!, states.add(changed[1]!));
    }
  }

  /** `cabinet 1 ( mug 2 ) cabinet 2`, in blanks so that a name has one spelling; empty before the first visit. */
  been(): string {
    return [...this.#places].map(([place, things]) => (things.length > 0 ? `${place} ( ${things.join(" ")} )` : place)).join(" ");
  }

  /** `tomato 1 clean`; empty when nothing is held. */
  have(): string {
    return this.#held === undefined ? "" : [this.#held, ...(this.#states.get(this.#held) ?? [])].join(" ");
  }

  #at(place: string): string[] {
    const things = this.#places.get(place) ?? [];
    this.#places.set(place, things);
    return things;
  }
}
