/**
 * A skill writer outside the process: any endpoint that speaks the OpenAI chat form, by URL. Off by default; a run that uses one is no
 * longer a function of its seed, for the endpoint owes nobody the same answer twice.
 */
import type { ChatMessage } from "../agent/agent.js";
import type { Config } from "../config/schema.js";
import { SiriError } from "../errors.js";
import type { SkillWriter } from "./mine.js";

/** Requests at once. */
const CONCURRENCY = 4;
/** Milliseconds before the first further attempt; doubled for each one after it. */
const FIRST_PAUSE = 500;
const RETRIED = new Set([408, 409, 425, 429, 500, 502, 503, 504]);

export interface ExternalWriterOptions {
  readonly endpoint: Config["writer"] & { readonly url: string };
  readonly temperature: number;
  readonly maxTokens: number;
  readonly signal?: AbortSignal | undefined;
  /** Environment variables; for tests. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds; for tests. */
  readonly firstPause?: number;
}

/** @throws SiriError WRITER_URL, WRITER_KEY at once; WRITER_TIMEOUT, WRITER_HTTP, WRITER_UNREACHABLE, WRITER_REPLY when it is used */
export function externalWriter(options: ExternalWriterOptions): SkillWriter {
  const { endpoint } = options;
  if (!URL.canParse(endpoint.url) || !/^https?:$/.test(new URL(endpoint.url).protocol)) {
    throw new SiriError(
      "WRITER_URL",
      `writer.url is ${JSON.stringify(endpoint.url)}: give an http or https base URL such as http://localhost:8000/v1.`,
    );
  }
  const url = `${endpoint.url.replace(/\/+$/, "")}/chat/completions`;
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (endpoint.apiKeyEnv !== null) {
    const key = (options.env ?? process.env)[endpoint.apiKeyEnv];
    if (!key) throw new SiriError("WRITER_KEY", `writer.apiKeyEnv names ${endpoint.apiKeyEnv}, which is not set: set it, or use null.`);
    headers.authorization = `Bearer ${key}`;
  }
  return async (prompts) => {
    const replies: string[] = new Array(prompts.length);
    let next = 0;
    const worker = async () => {
      for (let i = next++; i < prompts.length; i = next++) replies[i] = await ask(url, headers, prompts[i]!, options);
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, prompts.length) }, worker));
    return replies;
  };
}

async function ask(
  url: string,
  headers: Record<string, string>,
  messages: readonly ChatMessage[],
  { endpoint, temperature, maxTokens, signal, firstPause }: ExternalWriterOptions,
): Promise<string> {
  const body = JSON.stringify({ model: endpoint.model, messages, temperature, max_tokens: maxTokens });
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    const outcome = await attemptOnce(url, { method: "POST", headers, body }, endpoint.timeout, signal);
    if (typeof outcome === "string") return outcome;
    if (!outcome.again || attempt === endpoint.retries) {
      const times = attempt === 0 ? "" : ` after ${attempt + 1} attempts`;
      throw new SiriError(outcome.code, `The skill writer at ${url} ${outcome.message}${times}. ${outcome.fix}`, { cause: outcome.cause });
    }
    await pause(outcome.wait ?? (firstPause ?? FIRST_PAUSE) * 2 ** attempt, signal);
  }
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly fix: string;
  readonly again: boolean;
  /** Milliseconds the endpoint asked for. */
  readonly wait?: number;
  readonly cause?: unknown;
}

async function attemptOnce(url: string, request: RequestInit, seconds: number, signal?: AbortSignal): Promise<string | Failure> {
  const alarm = AbortSignal.timeout(seconds * 1000);
  try {
    const response = await fetch(url, { ...request, signal: signal ? AbortSignal.any([alarm, signal]) : alarm });
    const text = await response.text();
    if (!response.ok) {
      const asked = Number(response.headers.get("retry-after"));
      return {
        code: "WRITER_HTTP",
        message: `answered ${response.status}: ${excerpt(text)}`,
        fix: response.status === 401 || response.status === 403 ? "Check writer.apiKeyEnv." : "Check writer.url and writer.model.",
        again: RETRIED.has(response.status),
        ...(Number.isFinite(asked) && asked > 0 ? { wait: Math.min(asked, seconds) * 1000 } : {}),
      };
    }
    const content = contentOf(text);
    if (content !== null) return content;
    return {
      code: "WRITER_REPLY",
      message: `sent no choices[0].message.content: ${excerpt(text)}`,
      fix: "It must speak the OpenAI chat completions form.",
      again: false,
    };
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    if (alarm.aborted) {
      return {
        code: "WRITER_TIMEOUT",
        message: `did not answer within ${seconds} s`,
        fix: "Raise writer.timeout or lower mining.maxTokens.",
        again: true,
        cause,
      };
    }
    return {
      code: "WRITER_UNREACHABLE",
      message: `cannot be reached (${reason(cause)})`,
      fix: "Is it running, and is writer.url right?",
      again: true,
      cause,
    };
  }
}

function contentOf(text: string): string | null {
  try {
    const reply = JSON.parse(text) as { choices?: { message?: { content?: unknown } }[] } | null;
    const content = reply?.choices?.[0]?.message?.content;
    return typeof content === "string" ? content : null;
  } catch {
    return null;
  }
}

function reason(error: unknown): string {
  const cause = (error as { cause?: unknown }).cause;
  return cause instanceof Error && cause.message !== "" ? cause.message : error instanceof Error ? error.message : String(error);
}

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 200 ? `${line.slice(0, 200)}...` : line || "(empty)";
}

function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
