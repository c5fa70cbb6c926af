/**
 * Has anything become slower? Each item is held against a yardstick outside the engine (and against PyTorch where it is installed), in
 * turns, and compared with the ratio recorded for this processor in bench/baseline.json.
 *
 * Made for a machine that is shared: one thread and processor time, so that waiting for a core costs nothing; many short rounds, of which the
 * median counts; and a ratio that has fallen is measured again, because a slower program stays slow and a busy neighbour does not.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SiriError } from "../errors.js";
import { packageRoot } from "../native.js";
import { Policy } from "../policy/policy.js";
import { POLICY_LOSS, stepRows, TINY } from "./engine.js";
import { machine } from "./history.js";
import { KERNEL_SHAPES, kernelName } from "./kernels.js";
import { median } from "./report.js";
import { missingPeer, Torch } from "./torch.js";
import { burn, workload } from "./workload.js";

const ROUNDS = 25;
const ROUND_SECONDS = 0.004;
/** A ratio that fell is measured again this often, and fails if it never comes back. */
const RETRIES = 4;
/** Bounds of a recorded noise: below the first nothing can be told, above the second a slowdown of 15% (a ratio of 0.87) would pass. */
const LEAST_NOISE = 0.06;
const MOST_NOISE = 0.1;
const RECORDINGS = 7;

/** Processor seconds of one round. */
type Timed = () => Promise<number>;

interface Item {
  readonly name: string;
  readonly run: Timed;
  /** What it is held against. */
  readonly against: Timed;
}

interface Recorded {
  readonly ratio: number;
  readonly noise: number;
}
/** By processor and instruction set. */
type Baselines = Record<string, Record<string, Recorded>>;

export interface Checked {
  readonly name: string;
  readonly recorded: Recorded;
  /** Of the best try. */
  readonly ratio: number;
  readonly tries: number;
  readonly ok: boolean;
}

const path = () => join(packageRoot(), "bench", "baseline.json");
const key = () => {
  const { processor, isa } = machine();
  return `${processor}, ${isa}`;
};

async function readBaselines(): Promise<Baselines> {
  try {
    return JSON.parse(await readFile(path(), "utf8")) as Baselines;
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new SiriError("SIRI_FILE", `cannot read ${path()}: ${(e as Error).message}`, { cause: e });
  }
}

const repeated = (run: ReturnType<typeof workload>): Timed => {
  run(1);
  const times = Math.max(1, Math.round((3 * ROUND_SECONDS) / run(3).cpu));
  return async () => run(times).cpu / times;
};

async function ofEngine(): Promise<{ run: Timed; close(): Promise<void> }> {
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
  const yardstick = workload({ op: "yardstick", threads: 1 });
  const against: Timed = async () => yardstick(3).cpu / 3;
  const items: Item[] = KERNEL_SHAPES.map((shape) => ({
    name: kernelName(shape),
    run: repeated(workload({ ...shape, threads: 1 })),
    against,
  }));
  const engine = await ofEngine();
  items.push({ name: "training step of the tiny policy", run: engine.run, against });
  const torch = (await missingPeer()) === null ? await Torch.start(1) : null;
  if (torch)
    for (const dtype of ["float32", "bfloat16"] as const) {
      const shape = { rows: 2048, in: 256, out: 1024 };
      const request = { op: "gemm", kind: "forward", dtype, ...shape, times: 3 };
      items.push({
        name: `linear 2048x1024x256 ${dtype} against PyTorch`,
        run: repeated(workload({ op: "linear", dtype, ...shape, threads: 1 })),
        against: async () => (await torch.ask(request)).cpu / 3,
      });
    }
  try {
    return await work(items.filter(({ name }) => name.includes(only)));
  } finally {
    await engine.close();
    await torch?.close();
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

/** @throws SiriError SIRI_BENCH when this processor has no baseline yet. */
export async function benchCheck(only: string, onItem: (c: Checked) => void): Promise<boolean> {
  const baseline = (await readBaselines())[key()];
  if (!baseline)
    throw new SiriError(
      "SIRI_BENCH",
      `no baseline for ${key()} in ${path()}; record one on a tree you trust: npm run bench:check -- --record`,
    );
  return withItems(only, async (items) => {
    let good = true;
    for (const item of items) {
      const recorded = baseline[item.name];
      if (!recorded) continue;
      const least = recorded.ratio * (1 - recorded.noise);
      let ratio = await ratioOf(item);
      let tries = 1;
      for (; ratio < least && tries <= RETRIES; tries++) ratio = Math.max(ratio, await ratioOf(item));
      const ok = ratio >= least;
      good &&= ok;
      onItem({ name: item.name, recorded, ratio, tries, ok });
    }
    return good;
  });
}

/** Records this processor's ratios: medians of several passes over all items, with what they vary by. */
export async function recordBaseline(only: string, onPass: (pass: number) => void): Promise<string> {
  const passes = new Map<string, number[]>();
  await withItems(only, async (items) => {
    for (let pass = 0; pass < RECORDINGS; pass++) {
      for (const item of items) passes.set(item.name, [...(passes.get(item.name) ?? []), await ratioOf(item)]);
      onPass(pass + 1);
    }
  });
  const found: Record<string, Recorded> = {};
  for (const [name, ratios] of passes) {
    const ratio = median(ratios);
    const deviation = median(ratios.map((r) => Math.abs(r - ratio))) / ratio;
    found[name] = {
      ratio: Number(ratio.toPrecision(4)),
      noise: Number(Math.min(MOST_NOISE, Math.max(LEAST_NOISE, 4 * deviation)).toFixed(3)),
    };
  }
  const before = await readBaselines();
  const all = { ...before, [key()]: { ...before[key()], ...found } };
  await writeFile(path(), `${JSON.stringify(all, null, 2)}\n`);
  return path();
}
