/**
 * Makes the index of a large catalogue: one pass over the data writes the products and gathers postings in segments, a second over the
 * segments writes the search index. Memory is bounded by a segment and the entries of the attribute file, not by the catalogue.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { SiriError } from "../../../errors.js";
import { combinationsOf } from "../product.js";
import { MemorySink } from "../search/bytes.js";
import { mergeRuns, writeRun } from "../search/runs.js";
import { IndexWriter, Lengths } from "../search/search-index.js";
import { Segment } from "../search/segment.js";
import type { DataFiles } from "./data-files.js";
import { IndexFileWriter } from "./index-file.js";
import { indexedText } from "./indexed-text.js";
import { type Listing, readListings } from "./listings.js";
import { NameGathering } from "./names.js";
import type { Problems } from "./problems.js";
import { encodeInstruction, encodeProduct } from "./record.js";
import { ranksOf } from "./stock.js";

/** How far the making of an index has come. */
export interface BuildProgress {
  readonly phase: "reading products" | "writing the search index";
  /** Share of the phase that is done, 0 to 1. */
  readonly done: number;
  readonly products: number;
}

export interface BuildOptions {
  readonly limit?: number | undefined;
  readonly problems: Problems;
  /** What the index is an index of; kept in the file. */
  readonly source: unknown;
  readonly onProgress?: ((progress: BuildProgress) => void) | undefined;
  /** (document, term) pairs a segment, 8 million by default: about 400 MB of memory. */
  readonly segmentPairs?: number;
}

const SEGMENT_PAIRS = 8_000_000;
/** Terms between two looks at the clock and the event loop. */
const TERMS_A_TURN = 20_000;

/** Numbers by position while they are gathered. */
class Column {
  private values = new Float64Array(1024);
  length = 0;

  add(value: number): void {
    if (this.length === this.values.length) {
      const larger = new Float64Array(2 * this.length);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.length++] = value;
  }

  finish(): Float64Array {
    return this.values.slice(0, this.length);
  }
}

/** Products on their way into the file. */
class Gathering {
  readonly asins: string[] = [];
  readonly lengths = new Lengths();
  readonly runs: string[] = [];
  private segment = new Segment();
  private readonly productEnds = new Column();
  private readonly instructions = new MemorySink();
  private readonly instructionEnds = new Column();
  private readonly prices = new Column();
  private readonly combinations = new Column();
  private readonly categories = new NameGathering();
  private readonly queries = new NameGathering();

  constructor(
    private readonly file: IndexFileWriter,
    private readonly folder: string,
    private readonly segmentPairs: number,
  ) {}

  add({ product, instruction }: Listing): void {
    const position = this.asins.length;
    this.asins.push(product.asin);
    this.file.sink.write(encodeProduct(product));
    this.productEnds.add(this.file.sink.length);
    if (instruction) this.instructions.write(encodeInstruction(instruction));
    this.instructionEnds.add(this.instructions.length);
    this.prices.add(product.pricing[0]!);
    this.prices.add(product.pricing[1] ?? Number.NaN);
    this.combinations.add(combinationsOf(product));
    this.categories.add(product.category);
    this.queries.add(product.query);
    this.lengths.add(this.segment.add(position, indexedText(product)));
    if (this.segment.size >= this.segmentPairs) this.spill();
  }

  private spill(): void {
    const path = join(this.folder, `run-${this.runs.length}`);
    writeRun(path, this.segment.sorted());
    this.runs.push(path);
    this.segment = new Segment();
  }

  /** Writes everything but the search index. The products have been written from byte 0 on. */
  finish(): void {
    this.spill();
    const { file } = this;
    file.note("products", 0);
    file.table("product ends", this.productEnds.finish());
    const instructions = this.instructions.source();
    file.section("instructions", () => file.sink.write(instructions.read(0, instructions.length)));
    file.table("instruction ends", this.instructionEnds.finish());
    file.table("prices", this.prices.finish());
    file.table("combinations", this.combinations.finish());
    for (const [kind, gathering] of [
      ["category", this.categories],
      ["query", this.queries],
    ] as const) {
      const { names, numbers } = gathering.finish();
      file.table(`${kind} names`, Buffer.from(JSON.stringify(names)));
      file.table(`${kind} of`, numbers);
    }
    file.table("lengths", this.lengths.finish());
    file.table("ranks", ranksOf(this.asins));
    const asins = this.asins.map((asin) => Buffer.from(asin));
    const width = asins.reduce((most, asin) => Math.max(most, asin.length), 1);
    const table = Buffer.alloc(width * asins.length);
    for (const [position, asin] of asins.entries()) asin.copy(table, position * width);
    file.table("asins", table);
  }
}

/** Folders of builds that were killed on this machine. */
function removeRemains(path: string): void {
  const prefix = `${basename(path)}.building-${hostname()}-`;
  for (const name of readdirSync(dirname(path))) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number(name.slice(prefix.length));
    if (Number.isInteger(pid) && pid !== process.pid && !isRunning(pid))
      rmSync(join(dirname(path), name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * Writes the index under another name and puts it in place when it is whole.
 * @throws SiriError WEBSHOP_DATA when no product can be read, Error of the file system
 */
export async function buildIndex(files: DataFiles, path: string, options: BuildOptions): Promise<void> {
  removeRemains(path);
  const folder = `${path}.building-${hostname()}-${process.pid}`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  let file: IndexFileWriter | undefined;
  try {
    file = new IndexFileWriter(join(folder, "index"));
    const gathering = await gather(files, file, folder, options);
    gathering.finish();
    const statistics = await writeSearchIndex(file, gathering, options);
    const { count, first } = options.problems;
    file.finish({ source: options.source, products: gathering.asins.length, statistics, problems: { count, first } });
    file = undefined;
    renameSync(join(folder, "index"), path);
  } finally {
    file?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function gather(files: DataFiles, file: IndexFileWriter, folder: string, options: BuildOptions): Promise<Gathering> {
  const { limit, problems, onProgress, segmentPairs = SEGMENT_PAIRS } = options;
  const gathering = new Gathering(file, folder, segmentPairs);
  const size = statSync(files.items).size;
  const onRead = (bytes: number) => onProgress?.({ phase: "reading products", done: bytes / size, products: gathering.asins.length });
  await readListings(files, { limit, problems, onRead }, (listing) => gathering.add(listing));
  if (gathering.asins.length === 0) throw new SiriError("WEBSHOP_DATA", `WebShop data: no product could be read from '${files.items}'`);
  return gathering;
}

async function writeSearchIndex(file: IndexFileWriter, { lengths, runs, asins }: Gathering, { onProgress }: BuildOptions) {
  const entries = new MemorySink();
  const heads = new MemorySink();
  const start = file.sink.length;
  const writer = new IndexWriter(lengths, { postings: file.sink, entries, heads }, start);
  const total = runs.reduce((sum, run) => sum + statSync(run).size, 0);
  let terms = 0;
  for (const term of mergeRuns(runs)) {
    writer.write(term);
    if (++terms % TERMS_A_TURN > 0) continue;
    // Eight bytes a pair in the runs.
    onProgress?.({
      phase: "writing the search index",
      done: Math.min(1, (writer.statistics.sumDocFreq * 8) / total),
      products: asins.length,
    });
    await setImmediate();
  }
  file.note("postings", start);
  for (const [name, sink] of [
    ["entries", entries],
    ["heads", heads],
  ] as const) {
    const source = sink.source();
    file.section(name, () => file.sink.write(source.read(0, source.length)));
  }
  return writer.statistics;
}
