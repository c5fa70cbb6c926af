/** `siri export`: a trained policy as an ONNX folder that plays with the plain prompt, without this package's engine. */
import { existsSync } from "node:fs";
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import { template as templateByName } from "../agent/registry.js";
import { configForFolder } from "../config/load.js";
import { SiriError } from "../errors.js";
import { EXPORT_TYPES, type Exported, exportOnnx } from "../onnx/export.js";
import type { ExportType } from "../onnx/graph.js";
import { policyMetadata } from "../onnx/metadata.js";
import { Tokenizer } from "../policy/tokenizer.js";
import { evalConfig } from "./eval.js";
import { packageVersion } from "./package.js";

interface Options {
  readonly policy: string;
  readonly onnx: string;
  readonly dtype: ExportType;
  readonly externalData?: boolean;
  readonly config?: string;
}

export function register(program: Command): void {
  program
    .command("export")
    .description("a policy as an ONNX model with a KV cache, its tokenizer and run file beside it: for ONNX Runtime anywhere")
    .requiredOption("-p, --policy <folder>", "policy to export, for example runs/NAME/final")
    .requiredOption("--onnx <folder>", "folder to make; it must not exist yet")
    .addOption(new Option("--dtype <type>", "of matrices and cache").choices(EXPORT_TYPES).default("float32"))
    .option("--external-data", "keep the weights in a file of their own, as models above 2 GB always do")
    .option(
      "-c, --config <file>",
      "run file whose prompt the policy was trained with; default: that of the run it lies in, else the package's own",
    )
    .action(async (options: Options) => {
      const { path, parameters, bytes, externalData } = await exportPolicy(options);
      const size = `${(bytes / 1e6).toFixed(1)} MB${externalData ? ", weights in a file of their own" : ""}`;
      console.log(`${path}: ${parameters.toLocaleString("en")} parameters, ${options.dtype}, ${size}`);
      console.log(`play it: siri eval --runtime onnx --policy ${options.onnx} --temperature 0`);
    });
}

/** Writes the ONNX folder with the metadata of the policy's own prompt. @throws SiriError of the parts */
export async function exportPolicy(options: Options): Promise<Exported> {
  if (!existsSync(options.policy)) throw new SiriError("CONFIG_POLICY", `--policy is ${options.policy}: there is no such folder.`);
  const config = evalConfig({ policy: options.policy, set: [], ...(options.config === undefined ? {} : { config: options.config }) });
  const tokenizer = await Tokenizer.load(options.policy);
  const template = templateByName(config.agent.template);
  const maxResponseTokens = config.agent.maxResponseTokens ?? template.maxResponseTokens;
  const model = {
    stopTokens: tokenizer.eosTokens,
    stopTexts: tokenizer.eosTokens.map((id) => tokenizer.decode([id])),
    chatTemplate: tokenizer.chatTemplate,
  };
  const version = packageVersion();
  return exportOnnx({
    policy: options.policy,
    out: options.onnx,
    dtype: options.dtype,
    externalData: options.externalData ?? false,
    version,
    metadata: policyMetadata({ template, historyLength: config.agent.historyLength, maxResponseTokens }, model, version),
    files: { "config.yaml": stringify(configForFolder({ ...config, model: { ...config.model, path: options.onnx } }, options.onnx)) },
  });
}
