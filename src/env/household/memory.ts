/**
 * What the scripted expert knows of a game: only what its observations and admissible lists have told it. It reads ALFWorld's
 * sentences, which the household's are too; the engine's state is never asked.
 */

const ITEM = /\ba ([a-z]+ \d+)/g;
const GO_TO = "go to ";

export interface Place {
  readonly name: string;
  visited: boolean;
  /** True from `... is closed.` until it is opened. */
  closed: boolean;
  /** What was last seen there; undefined until it has been seen inside. */
  contents: string[] | undefined;
}

export class Memory {
  readonly places = new Map<string, Place>();
  /** Where the agent stands; empty at the start. */
  here = "";
  /** What it holds; empty for nothing. */
  held = "";
  /** Where the held thing came from. */
  takenFrom = "";
  /** `clean mug 1`, `heat egg 2`. */
  readonly treated = new Set<string>();
  /** Names of lamps that were switched on. */
  readonly lit = new Set<string>();
  admissible: readonly string[] = [];

  /** @param command the executed command, null for the first observation */
  read(command: string | null, text: string, admissible: readonly string[]): void {
    this.admissible = admissible;
    for (const action of admissible) if (action.startsWith(GO_TO)) this.place(action.slice(GO_TO.length));
    if (command === null || text === "Nothing happens.") return;
    const [verb, ...rest] = command.split(" ");
    const first = rest.slice(0, 2).join(" ");
    const second = rest.slice(3).join(" ");
    switch (verb) {
      case "go":
        this.here = rest.slice(1).join(" ");
        this.place(this.here).visited = true;
        this.readContents(this.here, text);
        break;
      case "open":
      case "close":
      case "examine":
        if (this.places.has(first)) this.readContents(first, text);
        if (verb === "close") this.place(first).closed = true;
        break;
      case "take": {
        this.held = first;
        this.takenFrom = second;
        const place = this.place(second);
        place.contents = place.contents?.filter((thing) => thing !== first);
        break;
      }
      case "put":
      case "move": {
        this.held = "";
        const place = this.place(second);
        place.contents = [...(place.contents ?? []), first];
        break;
      }
      case "clean":
      case "heat":
      case "cool":
        if (verb === "heat") this.treated.delete(`cool ${first}`);
        if (verb === "cool") this.treated.delete(`heat ${first}`);
        this.treated.add(`${verb} ${first}`);
        break;
      case "use":
        this.lit.add(first);
        break;
    }
  }

  place(name: string): Place {
    let place = this.places.get(name);
    if (place === undefined) {
      place = { name, visited: false, closed: false, contents: undefined };
      this.places.set(name, place);
    }
    return place;
  }

  can(action: string): boolean {
    return this.admissible.includes(action);
  }

  /** Whether a place can be reached from where the agent stands; several places may share one spot. */
  atHand(place: string): boolean {
    return place === this.here || this.can(`examine ${place}`);
  }

  private readContents(name: string, text: string): void {
    const place = this.place(name);
    if (text.endsWith("is closed.")) {
      place.closed = true;
      return;
    }
    const start = text.indexOf("you see ");
    if (start < 0) return;
    place.closed = false;
    place.contents = [...text.slice(start).matchAll(ITEM)].map((match) => match[1]!);
  }
}
