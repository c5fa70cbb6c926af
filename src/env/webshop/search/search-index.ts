/** A full-text index that is ready to be searched, and how one is written. Knows documents by number only. */
import { analyze } from "./analyzer.js";
import { inverseLengths, lengthByte, termWeight } from "./bm25.js";
import { type ByteSink, type ByteSource, MemorySink } from "./bytes.js";
import { Dictionary, DictionaryWriter } from "./dictionary.js";
import { PostingList, PostingsWriter, type TermPostings } from "./postings.js";
import { Segment } from "./segment.js";
import { type Collection, type ScoredDocument, topDocuments, type WeightedList } from "./top.js";

/** Sums over a collection, as Lucene's CollectionStatistics. */
export interface CollectionStatistics {
  /** Documents that have at least one term. */
  readonly docCount: number;
  readonly sumTotalTermFreq: number;
  readonly sumDocFreq: number;
  readonly uniqueTerms: number;
}

/** Lengths of documents while they are counted. */
export class Lengths {
  private bytes = new Uint8Array(1024);
  documents = 0;
  /** Documents that have at least one term. */
  filled = 0;
  total = 0;

  /** The next document's number of terms. */
  add(length: number): void {
    if (this.documents === this.bytes.length) {
      const larger = new Uint8Array(2 * this.bytes.length);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    this.bytes[this.documents++] = lengthByte(length);
    this.total += length;
    if (length > 0) this.filled++;
  }

  /** Length byte of each document. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.documents);
  }
}

/** Terms a document, over the documents that have any. */
export const averageLength = (total: number, filled: number): number => total / Math.max(1, filled);

/** Writes terms in ascending order with their postings. */
export class IndexWriter {
  private readonly dictionary: DictionaryWriter;
  private readonly postings: PostingsWriter;
  private pairs = 0;

  constructor(
    private readonly lengths: Lengths,
    sinks: { readonly postings: ByteSink; readonly entries: ByteSink; readonly heads: ByteSink },
    /** Where the postings begin in their sink. */
    private readonly start = 0,
  ) {
    const inverses = inverseLengths(averageLength(lengths.total, lengths.filled));
    const bytes = lengths.finish();
    this.dictionary = new DictionaryWriter(sinks.entries, sinks.heads);
    this.postings = new PostingsWriter(sinks.postings, (count, document) => Math.fround(count * inverses[bytes[document]!]!));
  }

  write(term: TermPostings): void {
    this.pairs += term.count;
    this.dictionary.write(term.term, this.postings.write(term) - this.start, term.count);
  }

  get statistics(): CollectionStatistics {
    const { filled, total } = this.lengths;
    return { docCount: filled, sumTotalTermFreq: total, sumDocFreq: this.pairs, uniqueTerms: this.dictionary.length };
  }
}

export interface IndexParts {
  readonly statistics: CollectionStatistics;
  readonly postings: ByteSource;
  readonly entries: ByteSource;
  readonly heads: Uint8Array;
  /** Length byte of each document. */
  readonly lengths: Uint8Array;
  /** Place of each document among those of equal score: lower ones first. */
  readonly ranks: Uint32Array;
}

/** Directories of posting lists that are kept, at most. */
const DIRECTORY_BYTES = 64 * 2 ** 20;
/** A list costs this beside its directory. */
const LIST_BYTES = 256;

export class SearchIndex {
  readonly statistics: CollectionStatistics;
  private readonly dictionary: Dictionary;
  private readonly collection: Collection;
  /** Lists by term, least recently used first; undefined for terms that do not occur. */
  private readonly lists = new Map<string, PostingList | undefined>();
  private listBytes = 0;

  constructor(private readonly parts: IndexParts) {
    const { statistics, lengths, ranks } = parts;
    this.statistics = statistics;
    this.dictionary = new Dictionary(parts.entries, parts.heads);
    const inverses = inverseLengths(averageLength(statistics.sumTotalTermFreq, statistics.docCount));
    this.collection = { documents: lengths.length, lengths, inverses, ranks };
  }

  /** The `limit` best documents for the words of a query, best first. */
  search(query: string, limit: number): readonly ScoredDocument[] {
    const repeats = new Map<string, number>();
    for (const term of analyze(query)) repeats.set(term, (repeats.get(term) ?? 0) + 1);
    const lists: WeightedList[] = [];
    for (const [term, count] of repeats) {
      const postings = this.list(term);
      if (postings) lists.push({ postings, weight: termWeight(count, postings.count, this.statistics.docCount) });
    }
    return topDocuments(lists, this.collection, limit);
  }

  private list(term: string): PostingList | undefined {
    if (this.lists.has(term)) {
      const known = this.lists.get(term);
      this.lists.delete(term);
      this.lists.set(term, known);
      return known;
    }
    const entry = this.dictionary.find(term);
    const list = entry && new PostingList(this.parts.postings, entry.offset, entry.count);
    this.lists.set(term, list);
    this.listBytes += LIST_BYTES + (list?.footprint ?? 0);
    for (const [oldest, dropped] of this.lists) {
      if (this.listBytes <= DIRECTORY_BYTES) break;
      this.lists.delete(oldest);
      this.listBytes -= LIST_BYTES + (dropped?.footprint ?? 0);
    }
    return list;
  }
}

/** An index in memory. @param texts of documents 0, 1, ... @param ranks of the same documents */
export function indexTexts(texts: Iterable<string>, ranks: Uint32Array): SearchIndex {
  const segment = new Segment();
  const lengths = new Lengths();
  for (const text of texts) lengths.add(segment.add(lengths.documents, text));
  const [postings, entries, heads] = [new MemorySink(), new MemorySink(), new MemorySink()];
  const writer = new IndexWriter(lengths, { postings, entries, heads });
  for (const term of segment.sorted()) writer.write(term);
  return new SearchIndex({
    statistics: writer.statistics,
    postings: postings.source(),
    entries: entries.source(),
    heads: heads.source().read(0, heads.length),
    lengths: lengths.finish(),
    ranks,
  });
}
