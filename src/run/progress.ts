/**
 * What a running trainer tells whoever watches: one union of small records. The trainer calls `report`, the command line draws. Knows
 * no terminal and no trainer. Everything here is a by-product: the run directory holds what counts.
 */

/** What a watcher is shown of one iteration; a term that does not exist in the present phase is absent. */
export interface IterationSummary {
  /** Mean task success of the rollouts, [0, 1]. */
  readonly success?: number;
  /** The same by task type, [0, 1]. */
  readonly successByType?: Readonly<Record<string, number>>;
  /** Mean return per episode. */
  readonly reward?: number;
  readonly kl?: number;
  /** Share of tokens whose ratio was clipped, [0, 1]. */
  readonly clipFraction?: number;
  /** Nats per response token. */
  readonly entropy?: number;
  /** Share of groups whose members all had one return, [0, 1]: they teach nothing. */
  readonly zeroVarianceGroups?: number;
  /** Tokens through the engine per second, sampling and training together. */
  readonly tokensPerSecond?: number;
  /** Skills in the bank that are in use. */
  readonly skills?: number;
}

export type ProgressEvent =
  /** Once, before the first iteration. `from` is the number of iterations a resumed run has done. */
  | { readonly kind: "start"; readonly from: number; readonly iterations: number; readonly phase: string }
  /** A line of text to keep: the memory table, a phase's verdict, a warning. */
  | { readonly kind: "note"; readonly level: "info" | "warning"; readonly text: string }
  | { readonly kind: "phase"; readonly phase: string; readonly iteration: number }
  /** Inside an iteration, as often as it likes: `doing` is a few words ("rollout", "update"), counts are of one unit. */
  | { readonly kind: "activity"; readonly doing: string; readonly done: number; readonly total: number }
  /** `iteration` counts from 1; `seconds` is its wall-clock time. */
  | {
      readonly kind: "iteration";
      readonly iteration: number;
      readonly iterations: number;
      readonly phase: string;
      readonly seconds: number;
      readonly summary: IterationSummary;
    }
  /** Every task of a split played once; rates in [0, 1]. */
  | {
      readonly kind: "evaluation";
      readonly iteration: number;
      readonly split: string;
      readonly mode: "plain" | "with_skills";
      readonly success: number;
      readonly tasks: number;
      readonly successByType: Readonly<Record<string, number>>;
    }
  | { readonly kind: "checkpoint"; readonly step: number; readonly dir: string }
  /** The last event: the run is complete, or was asked to stop and can be resumed. */
  | { readonly kind: "end"; readonly finished: boolean; readonly iteration: number; readonly dir: string };

export type Report = (event: ProgressEvent) => void;
