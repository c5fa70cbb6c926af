/**
 * The facts of one predicate: rows of object numbers, kept in ascending order from the first argument to the last. Objects are
 * numbered in the order of their ids, so this is also the order in which grammar queries must meet them. Relations are small (tens
 * to hundreds of rows); a scan over one flat array beats an index.
 */
export class Relation {
  /** Rows. */
  count = 0;
  /** [count, arity] i32, with room behind. */
  data: Int32Array;

  constructor(
    readonly arity: number,
    room = 0,
  ) {
    this.data = new Int32Array(room * arity);
  }

  /** @param rows any order, repeats allowed. */
  static of(arity: number, rows: readonly (readonly number[])[]): Relation {
    const sorted = [...rows].sort((a, b) => {
      for (let i = 0; i < arity; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
      return 0;
    });
    const relation = new Relation(arity, rows.length);
    let end = 0;
    sorted.forEach((row, i) => {
      const previous = sorted[i - 1];
      if (previous?.every((value, k) => value === row[k])) return;
      relation.data.set(row, end);
      end += arity;
      relation.count++;
    });
    return relation;
  }

  copy(): Relation {
    const relation = new Relation(this.arity, this.count + 8);
    relation.data.set(this.data.subarray(0, this.count * this.arity));
    relation.count = this.count;
    return relation;
  }

  /** First row whose first argument is at least `value`. */
  lowerBound(value: number): number {
    const { data, arity } = this;
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (data[middle * arity]! < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The row (env[slots[0]], env[slots[1]], ...): its index, or ~index where it would be inserted. */
  find(env: readonly number[], slots: readonly number[]): number {
    const { data, arity } = this;
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      let order = 0;
      for (let i = 0; i < arity && order === 0; i++) order = data[middle * arity + i]! - env[slots[i]!]!;
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return ~low;
  }

  has(env: readonly number[], slots: readonly number[]): boolean {
    return this.find(env, slots) >= 0;
  }

  /** Adds at the place that `find` returned as ~place. */
  insert(place: number, env: readonly number[], slots: readonly number[]): void {
    const { arity } = this;
    const end = this.count * arity;
    if (end + arity > this.data.length) {
      const grown = new Int32Array(end + 8 * Math.max(arity, 1));
      grown.set(this.data.subarray(0, end));
      this.data = grown;
    }
    const start = place * arity;
    this.data.copyWithin(start + arity, start, end);
    for (let i = 0; i < arity; i++) this.data[start + i] = env[slots[i]!]!;
    this.count++;
  }

  delete(place: number): void {
    const { arity } = this;
    this.data.copyWithin(place * arity, (place + 1) * arity, this.count * arity);
    this.count--;
  }
}
