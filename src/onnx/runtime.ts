/**
 * ONNX Runtime as this package uses it: the part of its JavaScript interface that onnxruntime-node and onnxruntime-web share, and the
 * loading of the first. It is installed by those who want it: it is 290 MB.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { SiriError } from "../errors.js";
import { packageRoot } from "../native.js";
import type { Ort } from "./policy.js";

/** Where it may lie: beside this package, in the user's own project, or (in a clone) where `npm run setup:onnx` puts it. */
function places(): string[] {
  return [
    import.meta.url,
    pathToFileURL(join(process.cwd(), "package.json")).href,
    join(packageRoot(), "extras", "onnxruntime", "package.json"),
  ];
}

/** @throws SiriError ONNX_RUNTIME_MISSING, or ONNX_RUNTIME_BROKEN with what its loading said */
export function loadOrt(): Ort {
  for (const place of places()) {
    let path: string;
    try {
      path = createRequire(place).resolve("onnxruntime-node");
    } catch {
      continue;
    }
    try {
      return createRequire(place)(path) as Ort;
    } catch (cause) {
      throw new SiriError("ONNX_RUNTIME_BROKEN", `${path} is installed but cannot be loaded: ${(cause as Error).message}`, { cause });
    }
  }
  throw new SiriError(
    "ONNX_RUNTIME_MISSING",
    "ONNX Runtime is not installed: run `npm install onnxruntime-node` (in a clone of siri-rl: `npm run setup:onnx`). It is 290 MB, so it does not come along by itself.",
  );
}
