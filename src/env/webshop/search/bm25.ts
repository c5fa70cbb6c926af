/**
 * BM25 as Lucene 8 and 9 compute it (BM25Similarity, k1 0.9, b 0.4, no factor k1 + 1): every intermediate value is a 32-bit float, and
 * the length of a document is known only through one byte. Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and
 * Beyond", 2009; the byte is Lucene's SmallFloat.intToByte4.
 *
 *   score(document) = sum over distinct query terms of  w - w / (1 + tf * inverse(length))
 *   w = qtf * ln(1 + (N - df + 0.5) / (df + 0.5)),   inverse(length) = 1 / (k1 * ((1 - b) + b * length / average))
 */

const { fround } = Math;
const K1 = fround(0.9);
const B = fround(0.4);

/** Lengths below this have a byte each; from there on 24 is taken off and four significant bits stay. */
const FREE = 24;

/** Byte for a document of `length` terms: exact below 40. */
export function lengthByte(length: number): number {
  if (length < FREE) return length;
  const rest = length - FREE;
  const bits = 32 - Math.clz32(rest);
  if (bits < 4) return FREE + rest;
  const shift = bits - 4;
  return FREE + (((rest >>> shift) & 7) | ((shift + 1) << 3));
}

/** The length that a byte stands for: the smallest that is written so. */
export function lengthOfByte(byte: number): number {
  if (byte < FREE) return byte;
  const code = byte - FREE;
  const shift = (code >> 3) - 1;
  return FREE + (shift < 0 ? code & 7 : ((code & 7) | 8) * 2 ** shift);
}

/** `inverse(length)` for every length byte. @param average terms a document, over documents that have any */
export function inverseLengths(average: number): Float32Array {
  const mean = fround(average);
  return Float32Array.from({ length: 256 }, (_, byte) => {
    const ratio = fround(fround(B * fround(lengthOfByte(byte))) / mean);
    return fround(1 / fround(K1 * fround(fround(1 - B) + ratio)));
  });
}

/** `w` of a query term. @param repeats how often the query has the term @param documents those that have any term at all */
export function termWeight(repeats: number, documentFrequency: number, documents: number): number {
  const idf = fround(Math.log(1 + (documents - documentFrequency + 0.5) / (documentFrequency + 0.5)));
  return fround(fround(repeats) * idf);
}

/** What a term adds to a score. @param impact `tf * inverse(length)` as a float; the result never falls as it grows */
export function termScore(weight: number, impact: number): number {
  return fround(weight - fround(weight / fround(1 + impact)));
}
