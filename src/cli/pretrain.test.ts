/** The command on a few rows: from nothing, from another policy, and what it refuses. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, expect, it, vi } from "vitest";
import { register } from "./pretrain.js";

const root = mkdtempSync(join(tmpdir(), "siri-pretrain-"));
afterAll(() => rmSync(root, { recursive: true }));
const at = (name: string) => join(root, name);

async function pretrain(...args: string[]): Promise<void> {
  const silent = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  register(program);
  try {
    await program.parseAsync(["pretrain", ...args], { from: "user" });
  } finally {
    silent.mockRestore();
  }
}

it("makes a policy from nothing, and another from that one with the same tokenizer and size", async () => {
  const size = ["--hidden", "64", "--layers", "1", "--intermediate", "64"];
  await pretrain("--out", at("first"), "--rows", "64", "--no-report", ...size);
  await pretrain("--out", at("second"), "--rows", "64", "--no-report", "--init", at("first"));
  const read = (folder: string, file: string) => readFileSync(join(at(folder), file));
  expect(JSON.parse(read("first", "config.json").toString())).toMatchObject({
    hidden_size: 64,
    num_hidden_layers: 1,
    intermediate_size: 64,
  });
  expect(read("second", "tokenizer.json")).toEqual(read("first", "tokenizer.json"));
  const [first, second] = [read("first", "model.safetensors"), read("second", "model.safetensors")];
  expect(second.length).toBe(first.length);
  expect(second.equals(first)).toBe(false);
  expect(existsSync(join(at("first"), "README.md"))).toBe(false);
});

it("refuses what contradicts itself before anything is written", async () => {
  await expect(pretrain("--out", at("a"), "--init", at("b"), "--hidden", "64")).rejects.toMatchObject({ code: "CONFIG_PRETRAIN" });
  await expect(pretrain("--out", at("a"), "--init", at("a"))).rejects.toMatchObject({ code: "CONFIG_PRETRAIN" });
  await expect(pretrain("--out", at("a"), "--report-only")).rejects.toMatchObject({ code: "PRETRAIN_NO_MODEL" });
  await expect(pretrain("--env", "chess")).rejects.toThrow(/household/);
  expect(existsSync(at("a"))).toBe(false);
});
