/**
 * Environments that are used again from episode to episode, and calls into them that end. Knows no policy.
 */
import type { Environment, EnvironmentModule } from "../env/environment.js";
import { SiriError } from "../errors.js";

export class EnvironmentPool {
  readonly #module: EnvironmentModule;
  readonly #idle: Environment[] = [];

  constructor(module: EnvironmentModule) {
    this.#module = module;
  }

  async take(): Promise<Environment> {
    return this.#idle.pop() ?? (await this.#module.create());
  }

  /** Takes back an environment that works; one that failed is closed instead. */
  give(environment: Environment): void {
    this.#idle.push(environment);
  }

  /** Closes the idle environments. */
  close(): void {
    for (const environment of this.#idle.splice(0)) environment.close?.();
  }
}

/**
 * Waits for an environment, at most `seconds` (0: for ever). Answers that are not promises cost no timer.
 * @throws SiriError ENVIRONMENT_TIMEOUT
 */
export async function within<T>(answer: T | Promise<T>, seconds: number, what: string): Promise<T> {
  if (!(answer instanceof Promise) || seconds === 0) return answer;
  let timer: NodeJS.Timeout | undefined;
  const alarm = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new SiriError(
            "ENVIRONMENT_TIMEOUT",
            `${what} took longer than ${seconds} s; raise rollout.environmentTimeout or mend the environment.`,
          ),
        ),
      seconds * 1000,
    );
  });
  try {
    return await Promise.race([answer, alarm]);
  } finally {
    clearTimeout(timer);
  }
}
