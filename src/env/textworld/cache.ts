/** A least-recently-used cache with a limit on the number of entries. */
export interface BoundedCache<K, V> {
  /** The value under a key; made, and the oldest unused one dropped, when it is not there. */
  get(key: K, make: () => V): V;
  readonly size: number;
}

export function boundedCache<K, V>(limit: number): BoundedCache<K, V> {
  const entries = new Map<K, V>();
  return {
    get(key, make) {
      const known = entries.get(key);
      if (known !== undefined) {
        entries.delete(key);
        entries.set(key, known);
        return known;
      }
      const value = make();
      entries.set(key, value);
      if (entries.size > limit) entries.delete(entries.keys().next().value as K);
      return value;
    },
    get size() {
      return entries.size;
    },
  };
}
