/**
 * The queue between who wants episodes and who plays them: publish, lease, renew, complete, fail. Here it lives in memory; the same five
 * calls are meant to stand over a broker for many machines. A result is idempotent on (iteration, group, member): the first one counts,
 * another is ignored, for by the seeds it is the same. Knows no environment and no policy.
 */
import { SiriError } from "../errors.js";

export interface Job {
  readonly iteration: number;
  readonly group: number;
  readonly member: number;
}

export interface Lease<J extends Job> {
  readonly job: J;
  /** Attempts of this job before this one. */
  readonly attempt: number;
  readonly token: number;
}

export interface Queue<J extends Job, R> {
  /** Adds jobs; one whose name is known already is ignored. */
  publish(jobs: readonly J[]): Promise<void>;
  /** The next free job in order of publication (or one whose lease ran out); null when there is none now. */
  lease(): Promise<Lease<J> | null>;
  /** Keeps a lease alive; false when it was lost to another worker. */
  renew(lease: Lease<J>): Promise<boolean>;
  /** Hands in a result; false when there was one already. */
  complete(lease: Lease<J>, result: R): Promise<boolean>;
  /** Gives a job back; it is offered again until its attempts are used up. @throws SiriError ROLLOUT_FAILED then */
  fail(lease: Lease<J>, error: unknown): Promise<void>;
}

interface Entry<J, R> {
  readonly job: J;
  attempt: number;
  token: number | null;
  expires: number;
  result: R | undefined;
}

export interface MemoryQueueOptions {
  /** Further attempts after a failure. */
  readonly retries: number;
  /** Milliseconds a lease lasts unless renewed; Infinity for ever. */
  readonly leaseMilliseconds: number;
  /** Milliseconds now; for tests. */
  readonly now?: () => number;
}

export class MemoryQueue<J extends Job, R> implements Queue<J, R> {
  readonly #entries = new Map<string, Entry<J, R>>();
  /** Jobs nobody holds, in order of publication, from `#next` on. */
  readonly #free: Entry<J, R>[] = [];
  #next = 0;
  readonly #options: MemoryQueueOptions;
  readonly #now: () => number;
  #tokens = 0;
  #finished = 0;

  constructor(options: MemoryQueueOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  get size(): number {
    return this.#entries.size;
  }

  get finished(): number {
    return this.#finished;
  }

  async publish(jobs: readonly J[]): Promise<void> {
    for (const job of jobs) {
      const key = nameOf(job);
      if (this.#entries.has(key)) continue;
      const entry: Entry<J, R> = { job, attempt: 0, token: null, expires: 0, result: undefined };
      this.#entries.set(key, entry);
      this.#free.push(entry);
    }
  }

  async lease(): Promise<Lease<J> | null> {
    const entry = this.#next < this.#free.length ? this.#free[this.#next++] : this.#expired();
    if (!entry) return null;
    entry.token = ++this.#tokens;
    entry.expires = this.#now() + this.#options.leaseMilliseconds;
    return { job: entry.job, attempt: entry.attempt, token: entry.token };
  }

  async renew(lease: Lease<J>): Promise<boolean> {
    const entry = this.#entry(lease);
    if (entry.token !== lease.token) return false;
    entry.expires = this.#now() + this.#options.leaseMilliseconds;
    return true;
  }

  async complete(lease: Lease<J>, result: R): Promise<boolean> {
    const entry = this.#entry(lease);
    if (entry.result !== undefined) return false;
    entry.result = result;
    entry.token = null;
    this.#finished++;
    return true;
  }

  async fail(lease: Lease<J>, error: unknown): Promise<void> {
    const entry = this.#entry(lease);
    if (entry.token !== lease.token || entry.result !== undefined) return; // somebody else has it, or has done it
    entry.token = null;
    entry.attempt++;
    if (entry.attempt <= this.#options.retries) {
      this.#free.push(entry);
      return;
    }
    const { iteration, group, member } = lease.job;
    throw new SiriError(
      "ROLLOUT_FAILED",
      `Rollout (iteration ${iteration}, group ${group}, member ${member}) failed ${entry.attempt} times; the last error: ${text(error)}. ` +
        "Mend the environment, or allow more attempts with rollout.retries.",
      { cause: error },
    );
  }

  /** All results, sorted by (iteration, group, member). @throws SiriError ROLLOUT_INCOMPLETE when one is missing */
  results(): R[] {
    if (this.#finished !== this.#entries.size) {
      throw new SiriError("ROLLOUT_INCOMPLETE", `${this.#finished} of ${this.#entries.size} rollouts have a result: wait for all of them.`);
    }
    return [...this.#entries.values()]
      .sort((a, b) => a.job.iteration - b.job.iteration || a.job.group - b.job.group || a.job.member - b.job.member)
      .map((entry) => entry.result as R);
  }

  /** A job whose worker has not been heard of for the length of a lease. */
  #expired(): Entry<J, R> | undefined {
    for (const entry of this.#entries.values()) {
      if (entry.token === null || entry.expires > this.#now()) continue;
      entry.attempt++;
      return entry;
    }
    return undefined;
  }

  #entry(lease: Lease<J>): Entry<J, R> {
    const entry = this.#entries.get(nameOf(lease.job));
    if (!entry) throw new SiriError("ROLLOUT_UNKNOWN", `Rollout ${nameOf(lease.job)} was never published to this queue.`);
    return entry;
  }
}

function nameOf(job: Job): string {
  return `${job.iteration}/${job.group}/${job.member}`;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
