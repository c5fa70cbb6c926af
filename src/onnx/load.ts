/** An exported policy's folder opened with onnxruntime-node. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SiriError } from "../errors.js";
import { readModelConfig } from "../policy/folder.js";
import { MODEL_FILE } from "./export.js";
import { OnnxPolicy } from "./policy.js";
import { loadOrt } from "./runtime.js";

export interface OnnxLoadOptions {
  /** Threads of one operator; default: the runtime's own choice, all cores. */
  readonly threads?: number;
  /** Requests of one batch. Default 16. */
  readonly batch?: number;
}

/** @throws SiriError ONNX_NOT_EXPORTED, ONNX_MODEL, and what loadOrt() throws */
export async function loadOnnxPolicy(dir: string, options: OnnxLoadOptions = {}): Promise<OnnxPolicy> {
  const path = join(dir, MODEL_FILE);
  if (!existsSync(path)) {
    throw new SiriError(
      "ONNX_NOT_EXPORTED",
      `${dir} holds no ${MODEL_FILE}: make it with \`siri export --policy ${dir} --onnx FOLDER\`, then name that folder.`,
    );
  }
  const { config, eosTokens } = await readModelConfig(dir);
  const ort = loadOrt();
  try {
    const threads = options.threads === undefined ? {} : { intraOpNumThreads: options.threads };
    const session = await ort.InferenceSession.create(path, { ...threads, logSeverityLevel: 3 });
    const batch = options.batch === undefined ? {} : { batch: options.batch };
    return new OnnxPolicy(ort, session, { maxPositions: config.native.maxPositions, eosTokens, ...batch });
  } catch (cause) {
    if (cause instanceof SiriError) throw cause;
    throw new SiriError("ONNX_MODEL", `cannot open ${path}: ${(cause as Error).message}`, { cause });
  }
}
