/** One error type for bad input: it names the thing, the value, the limit and the fix, and carries a stable `code`. */
export class SiriError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "SiriError";
    this.code = code;
  }
}
