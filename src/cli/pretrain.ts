/** `siri pretrain`: makes a small base policy by imitation, from nothing or from another policy, or only measures one. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { SiriError } from "../errors.js";
import { Policy, type PolicyOptions } from "../policy/policy.js";
import { Tokenizer } from "../policy/tokenizer.js";
import { type BaseSize, baseConfig } from "../pretrain/base.js";
import { retokenise } from "../pretrain/retokenise.js";
import type { Source } from "../pretrain/source.js";
import { DEFAULT_SOURCE, SOURCES } from "../pretrain/sources.js";
import { type Example, makeBaseFolder, type TrainProgress, type TrainSettings, textsOf, trainBase } from "../pretrain/train.js";

/** What is not given is the source's own default. */
interface PretrainFlags {
  readonly env: string;
  readonly out?: string;
  readonly init?: string;
  readonly rows?: number;
  readonly lr?: number;
  readonly seed: number;
  readonly device?: string;
  readonly hidden?: number;
  readonly layers?: number;
  readonly intermediate?: number;
  readonly games?: number;
  readonly temperature?: number;
  readonly reportOnly?: boolean;
  readonly report: boolean;
}

/** A run with every default filled in. */
interface Plan {
  readonly out: string;
  /** Folder to start from; absent: from nothing. */
  readonly init?: string;
  readonly size: BaseSize;
  readonly train: TrainSettings;
  readonly seed: number;
  readonly engine: Pick<PolicyOptions, "device">;
}

const REPORT_FILE = "README.md";
const NOTHING = "none";

export function register(program: Command): void {
  const abouts = Object.values(SOURCES).map(({ about }) => about);
  program
    .command("pretrain")
    .description(`make a small base policy by imitation, and measure it (${abouts.join("; ")})`)
    .addOption(program.createOption("--env <name>", "what is imitated").choices(Object.keys(SOURCES)).default(DEFAULT_SOURCE))
    .option("--out <dir>", "folder to write")
    .option("--init <dir>", `policy to start from, or '${NOTHING}': from nothing, with a tokenizer of its own`)
    .option("--rows <n>", "training rows, each seen once", whole)
    .option("--lr <rate>", "peak learning rate", Number)
    .option("--seed <n>", "seed of games and weights", whole, 0)
    .option("--device <name>", "cpu, cuda, cuda:N or auto (default: SIRI_DEVICE, else cpu)")
    .option("--hidden <n>", "from nothing: width of the model, a multiple of 64", whole)
    .option("--layers <n>", "from nothing: number of layers", whole)
    .option("--intermediate <n>", "from nothing: width of its feed-forward layers", whole)
    .option("--games <n>", "tasks per row of the report", whole)
    .option("--temperature <t>", "sampling temperature of the report", Number)
    .option("--report-only", "measure the policy in --out, train nothing")
    .option("--no-report", "train only")
    .action(pretrain);
}

async function pretrain(flags: PretrainFlags): Promise<void> {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const source = SOURCES[flags.env]!;
  const plan = planOf(source, flags);
  const facts = [`command: ${commandLine(flags, plan)}`, commitFact(), machineFact()];
  if (!flags.reportOnly) facts.push(await train(source, plan, say));
  if (!flags.report && !flags.reportOnly) return;
  if (!existsSync(join(plan.out, "model.safetensors"))) {
    throw new SiriError(
      "PRETRAIN_NO_MODEL",
      `No model.safetensors in ${plan.out}. Run \`npm run pretrain -- --env ${flags.env} --out ${plan.out}\` first.`,
    );
  }
  const policy = await Policy.load(plan.out, plan.engine);
  try {
    const { games = source.defaults.games, temperature = source.defaults.temperature } = flags;
    const begin = performance.now();
    const report = await source.measure(policy, await Tokenizer.load(plan.out), { games, temperature, onProgress: say });
    const parameters = `${policy.stats().parameters.toLocaleString("en")} parameters`;
    const text = report([parameters, ...facts, `time of this report: ${((performance.now() - begin) / 1000).toFixed(0)} s`]);
    if (!flags.reportOnly) await writeFile(join(plan.out, REPORT_FILE), text);
    say(text);
  } finally {
    await policy.close();
  }
}

/** @throws SiriError CONFIG_PRETRAIN: a size for a policy that has one, or a folder written onto the one it starts from. */
function planOf({ defaults }: Source, flags: PretrainFlags): Plan {
  const { out = defaults.out, hidden, layers, intermediate } = flags;
  const init = flags.init === NOTHING ? undefined : (flags.init ?? defaults.init);
  if (init !== undefined && [hidden, layers, intermediate].some((size) => size !== undefined)) {
    throw new SiriError(
      "CONFIG_PRETRAIN",
      `--hidden, --layers and --intermediate are for a policy made from nothing; this one starts from ${init} and keeps its size. Add --init ${NOTHING}.`,
    );
  }
  if (init !== undefined && !flags.reportOnly && resolve(init) === resolve(out)) {
    throw new SiriError("CONFIG_PRETRAIN", `--init and --out are both ${init}; give another --out, so that the start is not lost.`);
  }
  return {
    out,
    ...(init === undefined ? {} : { init }),
    size: {
      ...defaults.size,
      ...(hidden === undefined ? {} : { hidden }),
      ...(layers === undefined ? {} : { layers }),
      ...(intermediate === undefined ? {} : { intermediate }),
    },
    train: {
      ...defaults.train,
      ...(flags.rows === undefined ? {} : { rows: flags.rows }),
      ...(flags.lr === undefined ? {} : { lr: flags.lr }),
    },
    seed: flags.seed,
    engine: flags.device === undefined ? {} : { device: flags.device },
  };
}

/** Trains and saves. @returns one line on time and loss */
async function train(
  source: Source,
  { out, init, size, train: settings, seed, engine }: Plan,
  say: (text: string) => void,
): Promise<string> {
  const examples = await source.examples({ seed });
  // The tokenizer's texts come from a stream of their own.
  const sample = async () => take(await source.examples({ seed: seed + 1, shuffleBuffer: 1 }), settings.tokenizerExamples);
  let tokenizer: Tokenizer;
  let policy: Policy;
  if (init === undefined) {
    tokenizer = await makeBaseFolder(out, size, await sample());
    policy = await Policy.create(baseConfig(size), { ...engine, seed });
  } else if (source.defaults.retokenise) {
    tokenizer = await retokenise(init, out, textsOf(await sample()));
    policy = await Policy.load(out, engine);
  } else {
    tokenizer = await Tokenizer.load(init);
    policy = await Policy.load(init, engine);
    await mkdir(out, { recursive: true });
  }
  let last: TrainProgress | undefined;
  try {
    await trainBase(policy, tokenizer, examples, settings, out, (line) => {
      last = line;
      say(
        `${line.rows} rows  nll ${line.nll.toFixed(4)}  prompt ${line.promptNll?.toFixed(3) ?? "-"}  lr ${line.lr.toExponential(1)}  ` +
          `${line.rowsPerSecond.toFixed(0)} rows/s  ${line.tokensPerSecond.toFixed(0)} tokens/s  ${line.seconds.toFixed(0)} s`,
      );
    });
  } finally {
    await policy.close();
  }
  return `training: ${last!.rows.toLocaleString("en")} rows in ${last!.seconds.toFixed(0)} s, last loss ${last!.nll.toFixed(3)} nats per response token`;
}

/** What makes the same policy again, defaults of the source spelt out. */
function commandLine(flags: PretrainFlags, { init, size, train: settings, seed }: Plan): string {
  const env = flags.env === DEFAULT_SOURCE ? "" : ` --env ${flags.env}`;
  const start =
    init === undefined ? `--hidden ${size.hidden} --layers ${size.layers} --intermediate ${size.intermediate}` : `--init ${init}`;
  return `siri pretrain${env} --rows ${settings.rows} --lr ${settings.lr} --seed ${seed} ${start}`;
}

function* take(source: Iterator<Example>, count: number): Generator<Example> {
  for (let i = 0; i < count; i++) yield source.next().value;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError("a whole number from 0 is expected");
  return value;
}

function commitFact(): string {
  try {
    return `commit: ${execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()}`;
  } catch {
    return "commit: unknown (no git repository)";
  }
}

function machineFact(): string {
  const processors = cpus();
  return `machine: ${processors.length} x ${processors[0]?.model.trim() ?? "unknown processor"}, Node ${process.version}`;
}
