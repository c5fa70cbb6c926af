import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type ExternalWriterOptions, externalWriter } from "./external-writer.js";

let server: Server | undefined;
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)));
  server = undefined;
});

interface Seen {
  readonly path: string | undefined;
  readonly key: string | undefined;
  readonly body: Record<string, unknown>;
}

/** A stub endpoint on loopback; `answer` sees the number of the request. */
async function stub(answer: (n: number, response: ServerResponse, seen: Seen) => void): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  server = createServer(async (request: IncomingMessage, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    seen.push({ path: request.url, key: request.headers.authorization, body: JSON.parse(text) });
    answer(seen.length, response, seen.at(-1)!);
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, seen };
}

function ok(response: ServerResponse, content: string): void {
  response.end(JSON.stringify({ choices: [{ message: { role: "assistant", content } }] }));
}

function options(
  url: string,
  change: Partial<ExternalWriterOptions["endpoint"]> = {},
  rest: Partial<ExternalWriterOptions> = {},
): ExternalWriterOptions {
  return {
    endpoint: { url, model: "writer-1", apiKeyEnv: null, timeout: 2, retries: 2, ...change },
    temperature: 0.7,
    maxTokens: 99,
    firstPause: 1,
    ...rest,
  };
}

const prompt = (content: string) => [{ role: "user", content }] as const;

describe("externalWriter", () => {
  it("asks in the OpenAI chat form and keeps the order of the prompts", async () => {
    const { url, seen } = await stub((n, response, { body }) => {
      const content = (body.messages as { content: string }[])[0]!.content;
      setTimeout(() => ok(response, `skill from ${content}`), n === 1 ? 40 : 0);
    });
    const write = externalWriter(options(`${url}/`, { apiKeyEnv: "WRITER_TOKEN" }, { env: { WRITER_TOKEN: "secret" } }));
    const prompts = Array.from({ length: 7 }, (_, i) => prompt(`episode ${i}`));
    expect(await write(prompts, 3)).toEqual(prompts.map((_, i) => `skill from episode ${i}`));
    expect(seen).toHaveLength(7);
    expect(seen[0]).toMatchObject({
      path: "/v1/chat/completions",
      key: "Bearer secret",
      body: { model: "writer-1", temperature: 0.7, max_tokens: 99, messages: [{ role: "user" }] },
    });
  });

  it("sends no key when none is named", async () => {
    const { url, seen } = await stub((_, response) => ok(response, "x"));
    await externalWriter(options(url))([prompt("a")], 1);
    expect(seen[0]!.key).toBeUndefined();
  });

  it("tries again when the endpoint is busy", async () => {
    const { url, seen } = await stub((n, response) => {
      if (n < 3) response.writeHead(n === 1 ? 503 : 429).end("busy");
      else ok(response, "done");
    });
    expect(await externalWriter(options(url))([prompt("a")], 1)).toEqual(["done"]);
    expect(seen).toHaveLength(3);
  });

  it("gives up after its retries and says what the endpoint said", async () => {
    const { url, seen } = await stub((_, response) => void response.writeHead(500).end("out of cheese"));
    await expect(externalWriter(options(url))([prompt("a")], 1)).rejects.toMatchObject({
      code: "WRITER_HTTP",
      message: expect.stringMatching(/answered 500: out of cheese after 3 attempts/),
    });
    expect(seen).toHaveLength(3);
  });

  it("does not repeat what cannot get better", async () => {
    const { url, seen } = await stub((_, response) => void response.writeHead(401).end("no"));
    await expect(externalWriter(options(url))([prompt("a")], 1)).rejects.toMatchObject({
      code: "WRITER_HTTP",
      message: expect.stringContaining("writer.apiKeyEnv"),
    });
    expect(seen).toHaveLength(1);
  });

  it("stops waiting", async () => {
    const { url } = await stub(() => undefined);
    await expect(externalWriter(options(url, { timeout: 0.05, retries: 0 }))([prompt("a")], 1)).rejects.toMatchObject({
      code: "WRITER_TIMEOUT",
      message: expect.stringContaining("0.05 s"),
    });
  });

  it.each(["not json", "{}", '{"choices":[]}', '{"choices":[{"message":{"content":5}}]}', "null"])("refuses the reply %s", async (text) => {
    const { url } = await stub((_, response) => void response.end(text));
    await expect(externalWriter(options(url))([prompt("a")], 1)).rejects.toMatchObject({ code: "WRITER_REPLY" });
  });

  it("says that nobody listens", async () => {
    const { url } = await stub(() => undefined);
    server!.close();
    await expect(externalWriter(options(url, { retries: 0 }))([prompt("a")], 1)).rejects.toMatchObject({ code: "WRITER_UNREACHABLE" });
  });

  it("stops when the run does", async () => {
    const { url } = await stub(() => undefined);
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error("stopped")), 20);
    await expect(externalWriter(options(url, {}, { signal: stop.signal }))([prompt("a")], 1)).rejects.toThrow("stopped");
  });

  it("checks its settings before the run begins", () => {
    expect(() => externalWriter(options("ftp://example"))).toThrow(expect.objectContaining({ code: "WRITER_URL" }));
    expect(() => externalWriter(options("localhost 8000"))).toThrow(expect.objectContaining({ code: "WRITER_URL" }));
    expect(() => externalWriter(options("http://localhost/v1", { apiKeyEnv: "NOT_SET_ANYWHERE" }))).toThrow(
      expect.objectContaining({ code: "WRITER_KEY" }),
    );
  });
});
