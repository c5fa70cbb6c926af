/**
 * Which products bear a name, where many share one: the category a product is in, the query it was found by. Names are kept once, products
 * hold numbers of them.
 */
import { boundedCache } from "../../textworld/cache.js";

/** The name of each position is `names[numbers[position]]`. */
export interface NameColumn {
  readonly names: readonly string[];
  readonly numbers: Uint32Array;
}

/** Gathers names in the order of the positions. */
export class NameGathering {
  private readonly known = new Map<string, number>();
  private numbers = new Uint32Array(1024);
  private length = 0;

  add(name: string): void {
    let number = this.known.get(name);
    if (number === undefined) {
      number = this.known.size;
      this.known.set(name, number);
    }
    if (this.length === this.numbers.length) {
      const larger = new Uint32Array(2 * this.length);
      larger.set(this.numbers);
      this.numbers = larger;
    }
    this.numbers[this.length++] = number;
  }

  finish(): NameColumn {
    return { names: [...this.known.keys()], numbers: this.numbers.slice(0, this.length) };
  }
}

/** Lists of positions that are kept. */
const KEPT_LISTS = 64;
const NOTHING: readonly number[] = [];

/**
 * Positions of a name, ascending; none for a name nobody bears.
 * @param column is asked for at the first call
 */
export function bearersOf(column: () => NameColumn): (name: string) => readonly number[] {
  let opened: { readonly byName: ReadonlyMap<string, number>; readonly numbers: Uint32Array } | undefined;
  const lists = boundedCache<number, readonly number[]>(KEPT_LISTS);
  return (name) => {
    if (!opened) {
      const { names, numbers } = column();
      opened = { byName: new Map(names.map((known, number) => [known, number])), numbers };
    }
    const { byName, numbers } = opened;
    const sought = byName.get(name);
    if (sought === undefined) return NOTHING;
    return lists.get(sought, () => {
      const positions: number[] = [];
      for (let position = 0; position < numbers.length; position++) if (numbers[position] === sought) positions.push(position);
      return positions;
    });
  };
}
