/**
 * Has anything become slower? Each item is held against two yardsticks outside the engine (their geometric mean), or against PyTorch where it
 * is installed, in turns, and compared with the ratio recorded for this processor in bench/baseline.json.
 *
 * Made for a machine that is shared: one thread and processor time, so that waiting for a core costs nothing; rounds shorter than what a
 * scheduler hands out at a time, of which the median counts; two yardsticks, because neighbours slow arithmetic and memory down in different
 * measure; and what seems to have fallen is measured again after everything else, because a slower program stays slow and a busy neighbour
 * does not.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SiriError } from "../errors.js";
import { COMPUTE_TYPES, packageRoot } from "../native.js";
import { Policy } from "../policy/policy.js";
import { POLICY_LOSS, stepRows, TINY } from "./engine.js";
import { machine } from "./history.js";
import { KERNEL_SHAPES, kernelName } from "./kernels.js";
import { median } from "./report.js";
import { missingPeer, Torch } from "./torch.js";
import { burn, workload } from "./workload.js";

/** Of one of the two that take turns, about. */
const ROUND_SECONDS = 0.002;
/** Of a visit to an item. */
const ROUNDS = 15;
/** Something fell when it fell at every one of so many visits. */
const VISITS = 6;
/**
 * What a ratio may fall by: the recorded noise, but no less than the first, for the yardstick's own moods, and no more than the second, which is
 * as far from 0 as from what a slowdown of 15% makes of a ratio (-13%).
 */
const LEAST_ALLOWED = 0.06;
const MOST_ALLOWED = 0.085;
/** Standard deviations of the recordings that count as noise. */
const DEVIATIONS = 3;
const RECORDINGS = 9;

/** Processor seconds of one round. */
type Timed = () => Promise<number>;

interface Item {
  readonly name: string;
  readonly run: Timed;
  /** What it is held against. */
  readonly against: Timed;
}

export interface Recorded {
  readonly ratio: number;
  /** Standard deviation of the recordings, as a share of their median. */
  readonly noise: number;
}
/** By processor and instruction set. */
type Baselines = Record<string, Record<string, Recorded>>;

/** The share that a ratio may fall by. */
export const allowed = ({ noise }: Recorded): number => Math.min(MOST_ALLOWED, Math.max(LEAST_ALLOWED, DEVIATIONS * noise));

/** new: measured, but there is no baseline to hold it against; absent: in the baseline, but cannot be measured here. */
export type Outcome = "ok" | "slower" | "new" | "absent";

export interface Checked {
  readonly name: string;
  readonly outcome: Outcome;
  /** Of the last visit; of "absent" items the recorded one. */
  readonly ratio: number;
  readonly visits: number;
  readonly recorded?: Recorded;
}

export interface CheckOptions {
  /** Items whose name holds it. */
  readonly only: string;
  readonly baseline?: string;
  /** Default 1. */
  readonly passes?: number;
}

const defaultBaseline = () => join(packageRoot(), "bench", "baseline.json");
const key = () => {
  const { processor, isa } = machine();
  return `${processor}, ${isa}`;
};

async function readBaselines(path: string): Promise<Baselines> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Baselines;
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new SiriError("SIRI_FILE", `cannot read ${path}: ${(e as Error).message}`, { cause: e });
  }
}

const repeated = (run: ReturnType<typeof workload>): Timed => {
  run(1);
  const times = Math.max(1, Math.round((3 * ROUND_SECONDS) / run(3).cpu));
  return async () => run(times).cpu / times;
};

/** What an item is made of, opened only when it is asked for: making up data for all of them takes seconds. */
interface Maker {
  readonly name: string;
  /** Needs PyTorch. */
  readonly peered?: boolean;
  open(): Promise<{ readonly run: Timed; readonly against: Timed; close?(): Promise<void> }>;
}

function makers(torch: () => Promise<Torch>): Maker[] {
  const [arithmetic, memory] = [workload({ op: "yardstick", threads: 1 }), workload({ op: "memory_yardstick", threads: 1 })];
  const against: Timed = async () => Math.sqrt(arithmetic(1).cpu * memory(1).cpu);
  const kernels = KERNEL_SHAPES.map((shape) => ({
    name: kernelName(shape),
    open: async () => ({ run: repeated(workload({ ...shape, threads: 1 })), against }),
  }));
  const step = { name: "training step of the tiny policy", open: async () => ({ ...(await trainingStep()), against }) };
  const shape = { rows: 2048, in: 256, out: 1024 };
  const products = COMPUTE_TYPES.map((dtype) => ({
    name: `linear 2048x1024x256 ${dtype} against PyTorch`,
    peered: true,
    open: async () => {
      const peer = await torch();
      const request = { op: "gemm", kind: "forward", dtype, ...shape, times: 3 };
      return {
        run: repeated(workload({ op: "linear", dtype, ...shape, threads: 1 })),
        against: async () => (await peer.ask(request)).cpu / 3,
      };
    },
  }));
  return [...kernels, step, ...products];
}

async function trainingStep(): Promise<{ run: Timed; close(): Promise<void> }> {
  const policy = await Policy.create(TINY, { threads: 1, kvCacheMiB: 16, seed: 1 });
  const rows = stepRows(4, TINY.vocab_size);
  return {
    run: async () => {
      const start = process.cpuUsage();
      await policy.train(rows, POLICY_LOSS);
      await policy.update({ lr: 1e-6 });
      const { user, system } = process.cpuUsage(start);
      return burn((user + system) / 1e6);
    },
    close: () => policy.close(),
  };
}

/** Opens the items whose name holds `only`, hands them over, closes them. */
async function withItems<T>(only: string, work: (items: readonly Item[]) => Promise<T>): Promise<T> {
  let torch: Promise<Torch> | undefined;
  const start = () => (torch ??= Torch.start(1));
  const closing: (() => Promise<void>)[] = [];
  try {
    const items: Item[] = [];
    const wanted = makers(start).filter(({ name }) => name.includes(only));
    const alone = wanted.some(({ peered }) => peered) && (await missingPeer()) !== null;
    for (const { name, open, peered } of wanted) {
      if (peered && alone) continue;
      const { run, against, close } = await open();
      if (close) closing.push(close);
      items.push({ name, run, against });
    }
    return await work(items);
  } finally {
    for (const close of closing) await close();
    await (await torch)?.close();
  }
}

/** How often the item fits into what it is held against. The two take turns, and turns in being first. */
async function ratioOf(item: Item): Promise<number> {
  const ratios: number[] = [];
  await item.run();
  for (let round = 0; round < ROUNDS; round++) {
    const first = round % 2 === 0;
    const a = first ? await item.run() : await item.against();
    const b = first ? await item.against() : await item.run();
    ratios.push(first ? b / a : a / b);
  }
  return median(ratios);
}

/**
 * Checks every item, `passes` times in a row, and reports each as soon as it is decided; false when one is slower: below the least ratio at
 * every visit of a pass.
 * @throws SiriError SIRI_FILE
 */
export async function benchCheck(options: CheckOptions, onItem: (c: Checked, pass: number) => void): Promise<boolean> {
  const baseline = (await readBaselines(options.baseline ?? defaultBaseline()))[key()] ?? {};
  return withItems(options.only, async (items) => {
    const names = new Set(items.map(({ name }) => name));
    for (const [name, recorded] of Object.entries(baseline))
      if (name.includes(options.only) && !names.has(name))
        onItem({ name, outcome: "absent", ratio: recorded.ratio, visits: 0, recorded }, 1);
    let good = true;
    for (let pass = 1; pass <= (options.passes ?? 1); pass++) {
      const held = await onePass(items, baseline, (found) => onItem(found, pass));
      good &&= held;
    }
    return good;
  });
}

async function onePass(
  items: readonly Item[],
  baseline: Readonly<Record<string, Recorded>>,
  onItem: (c: Checked) => void,
): Promise<boolean> {
  let left = items;
  for (let visits = 1; visits <= VISITS && left.length > 0; visits++) {
    const slow: Item[] = [];
    for (const item of left) {
      const recorded = baseline[item.name];
      const ratio = await ratioOf(item);
      const fell = recorded !== undefined && ratio < recorded.ratio * (1 - allowed(recorded));
      if (fell) slow.push(item);
      if (!recorded) onItem({ name: item.name, outcome: "new", ratio, visits });
      else if (!fell || visits === VISITS) onItem({ name: item.name, outcome: fell ? "slower" : "ok", ratio, visits, recorded });
    }
    left = slow;
  }
  return left.length === 0;
}

export function checkLine({ name, outcome, ratio, visits, recorded }: Checked): string {
  const head = `${(outcome === "slower" ? "SLOWER" : outcome).padEnd(6)} ${name}: ratio ${ratio.toPrecision(3)}`;
  if (outcome === "absent") return `${head} recorded, not measured here`;
  if (!recorded) return `${head}, no baseline`;
  const change = 100 * (ratio / recorded.ratio - 1);
  const line = `${head}, ${change >= 0 ? "+" : ""}${change.toFixed(1)}% of allowed -${(100 * allowed(recorded)).toFixed(1)}%`;
  return visits > 1 ? `${line} (look ${visits})` : line;
}

/** Records this processor's ratios: medians of several passes over all items, with what they vary by. */
export async function recordBaseline(options: CheckOptions, onPass: (pass: number) => void): Promise<string> {
  const path = options.baseline ?? defaultBaseline();
  const passes = new Map<string, number[]>();
  await withItems(options.only, async (items) => {
    for (let pass = 0; pass < RECORDINGS; pass++) {
      for (const item of items) {
        passes.set(item.name, [...(passes.get(item.name) ?? []), await ratioOf(item)]);
      }
      onPass(pass + 1);
    }
  });
  const found: Record<string, Recorded> = {};
  for (const [name, ratios] of passes) {
    const ratio = median(ratios);
    const deviation = Math.sqrt(ratios.reduce((sum, r) => sum + (r / ratio - 1) ** 2, 0) / (ratios.length - 1));
    found[name] = { ratio: Number(ratio.toPrecision(4)), noise: Number(deviation.toFixed(4)) };
  }
  const before = await readBaselines(path);
  const all = { ...before, [key()]: { ...before[key()], ...found } };
  await writeFile(path, `${JSON.stringify(all, null, 2)}\n`);
  return path;
}
