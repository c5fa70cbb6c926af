/**
 * Ctrl-C twice: the first asks for an orderly stop, the second leaves at once. The same for SIGTERM, which batch systems send. One
 * keypress can arrive twice (from the terminal and from npm), so a second signal counts only after a moment.
 */

const SAME_KEYPRESS_MS = 500;

export interface Stop {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Gives the signals their usual meaning back. */
  release(): void;
}

/**
 * @param doing what the first signal leads to, for the message: "finishing the iteration and saving"
 * @param leave is called before the process ends at the second one: to give the terminal back
 */
export function stopOnSignals(doing: string, tell: (text: string) => void, leave: () => void = () => {}): Stop {
  const controller = new AbortController();
  let first = 0;
  const onSignal = () => {
    if (!controller.signal.aborted) {
      first = performance.now();
      tell(`Stopping: ${doing}. Once more leaves at once.`);
      controller.abort();
    } else if (performance.now() - first > SAME_KEYPRESS_MS) {
      leave();
      process.exit(130);
    }
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    signal: controller.signal,
    release: () => {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}
