/** Exactness of searches: against every document scored and sorted, and against the real index. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { haveData, readData, readDataLines } from "../../../../test/webshop/data.js";
import { analyze } from "./analyzer.js";
import { inverseLengths, lengthByte, termScore, termWeight } from "./bm25.js";
import { MemorySink } from "./bytes.js";
import { Dictionary, DictionaryWriter } from "./dictionary.js";
import { PostingList, PostingsWriter, type TermPostings } from "./postings.js";
import { mergeRuns, writeRun } from "./runs.js";
import { indexTexts } from "./search-index.js";
import { Segment } from "./segment.js";

function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Scores every document and sorts all. */
class PlainSearch {
  /** Term frequencies of each document. */
  private readonly counts: readonly ReadonlyMap<string, number>[];
  private readonly lengths: readonly number[];
  private readonly filled: number;
  private readonly inverses: Float32Array;

  constructor(
    texts: readonly string[],
    private readonly ranks: Uint32Array,
  ) {
    const documents = texts.map(analyze);
    this.counts = documents.map(countsOf);
    this.lengths = documents.map((terms) => terms.length);
    this.filled = this.lengths.filter((length) => length > 0).length;
    this.inverses = inverseLengths(this.lengths.reduce((sum, length) => sum + length, 0) / this.filled);
  }

  search(query: string): { document: number; score: number }[] {
    const sums = new Map<number, number>();
    for (const [term, repeats] of countsOf(analyze(query))) {
      const holders = this.counts.flatMap((counts, document) => (counts.has(term) ? [document] : []));
      const weight = termWeight(repeats, holders.length, this.filled);
      for (const document of holders) {
        const impact = Math.fround(this.counts[document]!.get(term)! * this.inverses[lengthByte(this.lengths[document]!)]!);
        sums.set(document, (sums.get(document) ?? 0) + termScore(weight, impact));
      }
    }
    return Array.from(sums, ([document, sum]) => ({ document, score: Math.fround(sum) })).sort(
      (a, b) => b.score - a.score || this.ranks[a.document]! - this.ranks[b.document]!,
    );
  }
}

function countsOf(terms: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}

function shuffledRanks(count: number, random: (below: number) => number): Uint32Array {
  const ranks = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const other = random(i + 1);
    [ranks[i], ranks[other]] = [ranks[other]!, ranks[i]!];
  }
  return ranks;
}

describe("the best documents", () => {
  // Small vocabularies make many equal scores; more than 8,192 documents make more than one window.
  it.each([
    { documents: 1, vocabulary: 3, longest: 4 },
    { documents: 130, vocabulary: 5, longest: 3 },
    { documents: 700, vocabulary: 40, longest: 60 },
    { documents: 1500, vocabulary: 2000, longest: 120 },
    { documents: 20_000, vocabulary: 12, longest: 5 },
    { documents: 18_000, vocabulary: 3000, longest: 25 },
  ])("are those of scoring all: $documents documents, $vocabulary words", ({ documents, vocabulary, longest }) => {
    const random = randomNumbers(documents + vocabulary);
    // Squared: some words are in most documents, most in few.
    const word = () => `w${Math.floor((random(1000) / 1000) ** 2 * vocabulary)}x`;
    const text = (length: number) => Array.from({ length }, word).join(" ");
    const texts = Array.from({ length: documents }, () => text(random(longest + 1)));
    const ranks = shuffledRanks(documents, random);
    const index = indexTexts(texts, ranks);
    const plain = new PlainSearch(texts, ranks);
    for (let i = 0; i < 12; i++) {
      const query = `${text(1 + random(9))}${i % 4 === 0 ? " unknown" : ""}`;
      const all = plain.search(query);
      for (const limit of [1, 10, 50]) expect(index.search(query, limit)).toEqual(all.slice(0, limit));
      expect(
        index
          .search(query, documents)
          .map(({ document }) => document)
          .join(),
      ).toBe(all.map(({ document }) => document).join());
    }
  });

  it("are none for no words, stop words, unknown words, an empty collection or a limit of 0", () => {
    const index = indexTexts(["red shoes", "", "the and of"], Uint32Array.of(0, 1, 2));
    for (const query of ["", "the", "?!", "blue"]) expect(index.search(query, 50)).toEqual([]);
    expect(index.search("shoe", 0)).toEqual([]);
    expect(index.search("shoe", 50).map(({ document }) => document)).toEqual([0]);
    // Documents without a term do not count.
    expect(index.statistics).toEqual({ docCount: 1, sumTotalTermFreq: 2, sumDocFreq: 2, uniqueTerms: 2 });
    expect(indexTexts([], new Uint32Array(0)).search("shoe", 50)).toEqual([]);
  });

  it("count a repeated word of the query", () => {
    const index = indexTexts(["red red shoe", "blue shoe shoe"], Uint32Array.of(0, 1));
    const once = index.search("red", 1)[0]!.score;
    expect(index.search("red red red", 1)[0]!.score).toBe(termScore(termWeight(3, 1, 2), Math.fround(2 * inverseLengths(3)[3]!)));
    expect(index.search("red red red", 1)[0]!.score).toBeGreaterThan(2.9 * once);
  });
});

describe("postings", () => {
  it("come back as they were written, whatever the gaps and counts", () => {
    const random = randomNumbers(5);
    const sink = new MemorySink();
    const inverses = (count: number, document: number) => Math.fround(count / (1 + (document % 7)));
    const writer = new PostingsWriter(sink, inverses);
    const lists = [
      [1, 1],
      [127, 2],
      [128, 300],
      [129, 70_000],
      [1000, 5],
      [5000, 3_000_000],
    ].map(([count, spread]) => {
      const documents = new Uint32Array(count! + 3);
      const counts = new Uint32Array(count! + 3);
      let document = random(2) === 0 ? 0 : random(spread!);
      for (let i = 0; i < count!; i++) {
        documents[i] = document;
        counts[i] = random(3) === 0 ? 1 + random(random(2) === 0 ? 400 : 100_000) : 1;
        document += 1 + random(i % 300 < 150 ? 2 : Math.max(1, Math.floor(spread! / 10)));
      }
      return { term: "x", documents, counts, count: count! };
    });
    const offsets = lists.map((list) => writer.write(list));
    for (const [i, { documents, counts, count }] of lists.entries()) {
      const list = new PostingList(sink.source(), offsets[i]!, count);
      const [readDocuments, readCounts] = [new Int32Array(128), new Int32Array(128)];
      let at = 0;
      for (let block = 0; block < list.blocks; block++) {
        const length = list.read(block, readDocuments, readCounts);
        expect([...readDocuments.subarray(0, length)]).toEqual([...documents.subarray(at, at + length)]);
        expect([...readCounts.subarray(0, length)]).toEqual([...counts.subarray(at, at + length)]);
        expect(list.lastDocuments[block]).toBe(documents[at + length - 1]);
        const impacts = Array.from({ length }, (_, k) => inverses(counts[at + k]!, documents[at + k]!));
        expect(list.impacts[block]).toBe(Math.max(...impacts));
        at += length;
      }
      expect(at).toBe(count);
    }
  });
});

describe("the dictionary", () => {
  it.each([0, 1, 64, 65, 1000])("finds each of %i terms, and no other", (count) => {
    const terms = Array.from({ length: count }, (_, i) => `${i % 3 === 0 ? "日" : "t"}${i * 7}é`).sort();
    const [entries, heads] = [new MemorySink(), new MemorySink()];
    const writer = new DictionaryWriter(entries, heads);
    for (const [i, term] of terms.entries()) writer.write(term, i * 5_000_000_000, i + 1);
    const dictionary = new Dictionary(entries.source(), heads.source().read(0, heads.length));
    for (const [i, term] of terms.entries()) expect(dictionary.find(term)).toEqual({ offset: i * 5_000_000_000, count: i + 1 });
    for (const other of ["", "a", "t", "t1é", "zz", "日", "\u{10ffff}"]) expect(dictionary.find(other)).toBeUndefined();
  });
});

describe("runs", () => {
  const copies = (terms: Iterable<TermPostings>) =>
    Array.from(terms, ({ term, documents, counts, count }) => [term, [...documents.subarray(0, count)], [...counts.subarray(0, count)]]);

  it("merge to what one segment of all documents holds", () => {
    const folder = mkdtempSync(join(tmpdir(), "siri-runs-"));
    try {
      const random = randomNumbers(9);
      const texts = Array.from({ length: 900 }, () => Array.from({ length: random(30) }, () => `w${random(random(400) + 1)}`).join(" "));
      const whole = new Segment();
      const parts = [new Segment(), new Segment(), new Segment(), new Segment()];
      for (const [document, text] of texts.entries()) {
        expect(parts[Math.floor(document / 300)]!.add(document, text)).toBe(whole.add(document, text));
      }
      const paths = parts.map((part, i) => {
        writeRun(join(folder, `${i}`), part.sorted());
        return join(folder, `${i}`);
      });
      expect(copies(mergeRuns(paths))).toEqual(copies(whole.sorted()));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

interface Document {
  readonly id: string;
  readonly contents: string;
}

describe.skipIf(!haveData("index_documents_1k.jsonl.gz", "goldens/search.jsonl.gz", "goldens/index_stats.json"))("goldens", () => {
  const documents = haveData("index_documents_1k.jsonl.gz") ? readDataLines<Document>("index_documents_1k.jsonl.gz") : [];
  const ranks = new Uint32Array(documents.length);
  const order = documents.map((_, i) => i).sort((a, b) => (documents[a]!.id < documents[b]!.id ? -1 : 1));
  for (const [rank, document] of order.entries()) ranks[document] = rank;
  const index = indexTexts(
    documents.map(({ contents }) => contents),
    ranks,
  );

  it("index_stats: the sums of the real index", () => {
    expect(index.statistics).toEqual(readData("goldens/index_stats.json"));
  });

  it("search: every list in order, with its scores", () => {
    const rows = readDataLines<{ readonly query: string; readonly hits: readonly (readonly [string, number])[] }>(
      "goldens/search.jsonl.gz",
    );
    expect(rows.length).toBeGreaterThan(300);
    for (const { query, hits } of rows) {
      const found = index.search(query, 50);
      expect(found.map(({ document }) => documents[document]!.id).join()).toBe(hits.map(([asin]) => asin).join());
      // The goldens print the shortest digits of each float.
      expect(found.map(({ score }) => score).join()).toBe(hits.map(([, score]) => Math.fround(score)).join());
    }
  });
});
