// One binary for every Node: installs the packed packages once, and under each Node of extras/nodes looks at siri doctor and trains with the
// same seed. The policies that come out have to be equal to the last bit.
//   node scripts/test-nodes.mjs [PACKAGES]
import "./check-node.mjs";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { consumer, tarballs } from "./consumer.mjs";
import { installExtra } from "./extras.mjs";
import { thisPlatform } from "./platforms.mjs";
import { reportingErrors, SetupError } from "./setup.mjs";

await reportingErrors(() => {
  if (thisPlatform() !== "linux-x64-gnu") throw new SetupError(`extras/nodes holds Node for linux-x64-gnu, and this is ${thisPlatform()}.`);
  const extras = join(installExtra("nodes", "four versions of Node (730 MB)"), "node_modules");
  const nodes = readdirSync(extras)
    .map((name) => join(extras, name, "bin", "node"))
    .filter((file) => existsSync(file));
  const user = consumer(tarballs(process.argv[2] ?? "packages"));
  try {
    const policies = new Map();
    for (const node of nodes) {
      const version = spawnSync(
        node,
        ["-p", "process.version + ' (Node-API ' + process.versions.napi + ', modules ' + process.versions.modules + ')'"],
        { encoding: "utf8" },
      ).stdout.trim();
      const begun = Date.now();
      const doctor = user.run(["doctor"], { node });
      if (doctor.status !== 0) throw new SetupError(`siri doctor fails under Node ${version}:\n${doctor.stdout}${doctor.stderr}`);
      const name = version.split(" ")[0];
      const keys = [
        "iterations=2",
        "warmup.maxIterations=1",
        "mining.maxIterations=1",
        "mining.minIterations=1",
        "evaluation.every=0",
        "evaluation.tasks=24",
      ];
      const train = user.run(["train", "--name", name, "--seed", "3", ...keys.flatMap((key) => ["--set", key])], { node });
      if (train.status !== 0) throw new SetupError(`siri train fails under Node ${version}:\n${train.stdout}${train.stderr}`);
      const bytes = readFileSync(join(user.project, "runs", name, "final", "model.safetensors"));
      const hash = createHash("sha256").update(bytes).digest("hex");
      policies.set(hash, [...(policies.get(hash) ?? []), version]);
      console.log(
        `ok  Node ${version}: doctor, two iterations of training in ${((Date.now() - begun) / 1000).toFixed(0)} s, policy ${hash.slice(0, 16)}`,
      );
    }
    if (policies.size !== 1) throw new SetupError("The same seed gave different policies under different versions of Node.");
    console.log(`${nodes.length} passed: the same policy to the last bit under each`);
  } finally {
    user.remove();
  }
});
