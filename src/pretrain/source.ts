/** What `siri pretrain` imitates: a stream of examples, how the trained policy is measured, and the defaults of both. Knows no data. */
import type { AgentTemplate } from "../agent/agent.js";
import type { Awaitable } from "../env/environment.js";
import type { Tokenizer } from "../policy/tokenizer.js";
import type { PolicyHandle } from "../policy/types.js";
import type { BaseSize } from "./base.js";
import type { Example, TrainSettings } from "./train.js";

export interface StreamOptions {
  readonly seed: number;
  /** Examples are drawn from a buffer of this many; 1 = in the order they are made. Default: the source's own. */
  readonly shuffleBuffer?: number;
}

export interface MeasureOptions {
  /** Tasks per row of the report. */
  readonly games: number;
  readonly temperature: number;
  readonly onProgress: (text: string) => void;
}

/** A finished measurement as Markdown; `facts` are lines such as command, commit, machine. */
export type Measurement = (facts: readonly string[]) => string;

export interface Source {
  /** One line for the command's help. */
  readonly about: string;
  readonly defaults: {
    /** Folder that is written. */
    readonly out: string;
    /** Folder that training starts from; absent: from nothing, with a tokenizer of its own. */
    readonly init?: string;
    /** Gives the policy it starts from a tokenizer of its own texts. Default: the policy keeps the one it has. */
    readonly retokenise?: boolean;
    readonly size: BaseSize;
    readonly train: TrainSettings;
    readonly games: number;
    readonly temperature: number;
  };
  readonly template: AgentTemplate;
  /** An endless stream of ever new episodes; the same for the same options. @throws SiriError when what it is made from is missing */
  examples(options: StreamOptions): Awaitable<Iterator<Example, never>>;
  measure(policy: PolicyHandle, tokenizer: Tokenizer, options: MeasureOptions): Promise<Measurement>;
}
