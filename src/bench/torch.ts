/**
 * PyTorch on the CPU, as a process that answers one request at a time (bench/peer.py), so that ours and theirs can be measured in turns.
 * Debian's own Python has it: apt-get install python3-torch libopenblas0-openmp. Nothing but benchmarks needs it.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { SiriError } from "../errors.js";
import { packageRoot } from "../native.js";

const run = promisify(execFile);

export const peerPython = (): string => process.env.SIRI_PEER_PYTHON ?? "/usr/bin/python3";

/** Why there is no peer, or null. */
export async function missingPeer(): Promise<string | null> {
  const script = join(packageRoot(), "bench", "peer.py");
  if (!existsSync(script)) return `${script} is not there (it is part of the repository, not of the npm package)`;
  try {
    await run(peerPython(), ["-c", "import torch"]);
    return null;
  } catch {
    return `${peerPython()} has no torch; apt-get install python3-torch libopenblas0-openmp (or name another Python in SIRI_PEER_PYTHON)`;
  }
}

export interface PeerAnswer {
  readonly seconds: number;
  readonly cpu: number;
  /** Of "decode": the part after the prompts. */
  readonly decode?: number;
}

export class Torch {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  /** "1.13.0a0" */
  readonly version: string;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, version: string) {
    this.#process = child;
    this.#lines = lines;
    this.version = version;
  }

  static async start(threads: number): Promise<Torch> {
    const child = spawn(peerPython(), [join(packageRoot(), "bench", "peer.py"), "--threads", String(threads)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) throw new SiriError("SIRI_PEER", "the PyTorch peer ended before its first line; its own message is above");
    return new Torch(child, lines, (JSON.parse(first.value) as { torch: string }).torch);
  }

  async ask(request: { readonly op: string; readonly [key: string]: unknown }): Promise<PeerAnswer> {
    this.#process.stdin!.write(`${JSON.stringify(request)}\n`);
    const line = await this.#lines.next();
    if (line.done) throw new SiriError("SIRI_PEER", `the PyTorch peer ended during ${request.op}; its own message is above`);
    const answer = JSON.parse(line.value) as PeerAnswer | { error: string };
    if ("error" in answer) throw new SiriError("SIRI_PEER", `PyTorch cannot do ${JSON.stringify(request)}: ${answer.error}`);
    return answer;
  }

  async close(): Promise<void> {
    const ended = new Promise((done) => this.#process.once("exit", done));
    this.#process.stdin!.end();
    await ended;
  }
}
