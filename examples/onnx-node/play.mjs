// One household game with an exported policy, the plain prompt and ONNX Runtime: no engine, no trainer, no skills.
//   npm run export -- --policy models/tiny --onnx exported && npm run setup:onnx && node examples/onnx-node/play.mjs exported unseen/3
import { compact } from "../../dist/agent/compact.js";
import household, { householdTask } from "../../dist/env/household/index.js";
import { loadOnnxPolicy } from "../../dist/onnx/load.js";
import { Tokenizer } from "../../dist/policy/tokenizer.js";

const [folder = "exported", game = "unseen/0"] = process.argv.slice(2);
const [split, index] = game.split("/");
const [policy, tokenizer] = [await loadOnnxPolicy(folder), await Tokenizer.load(folder)];
const environment = await household().create();
let now = await environment.reset(householdTask(split, Number(index)));
const episode = compact.begin(now, { historyLength: 2 });
console.log(`${now.text}\n`);
for (let step = 0; step < 30 && !now.done; step++) {
  const reply = await policy.sample(tokenizer.chat(episode.prompt()), {
    maxTokens: 32,
    temperature: 0,
    stop: tokenizer.eosTokens,
    seed: 0,
  });
  const { action, valid } = compact.parse(tokenizer.decode(reply.tokens, { skipSpecial: true }));
  now = await environment.step(action);
  episode.record(action, valid, now);
  console.log(`> ${action}\n${now.text}\n`);
}
console.log(now.success ? "won" : "lost");
await policy.close();
