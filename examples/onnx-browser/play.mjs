// One household game in the browser: onnxruntime-web computes, @huggingface/tokenizers reads, the game is generated on the spot.
import { Template } from "@huggingface/jinja";
import { Tokenizer } from "@huggingface/tokenizers";
import * as ort from "onnxruntime-web";
import { compact } from "/dist/agent/compact.js";
import household, { householdTask } from "/dist/env/household/index.js";
import { OnnxPolicy } from "/dist/onnx/policy.js";

/** Plays one game with the exported policy at a URL; `show` gets one line after another, "won" or "lost" at the end. */
export async function play(folder, game, show) {
  const files = ["config.json", "tokenizer.json", "tokenizer_config.json"];
  const [config, ...texts] = await Promise.all(files.map(async (name) => (await fetch(`${folder}/${name}`)).json()));
  const tokenizer = new Tokenizer(...texts);
  const template = new Template(texts[1].chat_template);
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(`${folder}/model.onnx`, { executionProviders: ["wasm"] });
  const policy = new OnnxPolicy(ort, session, { maxPositions: config.max_position_embeddings, eosTokens: [config.eos_token_id].flat() });
  const environment = await household().create();
  const [split, index] = game.split("/");
  let now = await environment.reset(householdTask(split, Number(index)));
  const episode = compact.begin(now, { historyLength: 2 });
  for (let step = 0; step < 30 && !now.done; step++) {
    const prompt = tokenizer.encode(template.render({ messages: episode.prompt(), add_generation_prompt: true }), {
      add_special_tokens: false,
    }).ids;
    const reply = await policy.sample(prompt, { maxTokens: 32, temperature: 0, seed: 0 });
    const { action, valid } = compact.parse(tokenizer.decode([...reply.tokens], { skip_special_tokens: true }));
    now = await environment.step(action);
    episode.record(action, valid, now);
    show(`> ${action}\n${now.text}`);
  }
  show(now.success ? "won" : "lost");
}
