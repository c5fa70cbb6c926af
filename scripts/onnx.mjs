// `npm run setup:onnx`, and a part of `npm test`: installs ONNX Runtime into extras/onnxruntime, apart from the package's own dependencies,
// so that `npm run train` on a fresh machine does not wait for 430 MB it never uses.
import "./check-node.mjs";
import { pathToFileURL } from "node:url";
import { installExtra } from "./extras.mjs";
import { reportingErrors } from "./setup.mjs";

/** @throws SetupError */
export function setUpOnnx() {
  installExtra("onnxruntime", "ONNX Runtime for the tests of exported policies (430 MB)");
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await reportingErrors(setUpOnnx);
