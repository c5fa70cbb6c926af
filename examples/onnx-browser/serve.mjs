// Serves the repository's files to the browser: node examples/onnx-browser/serve.mjs [port]
//   npm run setup && npm run setup:onnx && npm run export -- --policy models/tiny --onnx exported
//   then open http://localhost:8080/examples/onnx-browser/?game=unseen/3
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** A server of one folder on this machine alone. */
export function serve(root, port) {
  const server = createServer(async ({ url }, response) => {
    const path = decodeURIComponent(new URL(url, "http://localhost").pathname);
    const file = join(root, path.endsWith("/") ? `${path}index.html` : path);
    const content = file.startsWith(resolve(root) + sep) ? await readFile(file).catch(() => null) : null;
    if (content === null) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(content);
  });
  return new Promise((done) => server.listen(port, "127.0.0.1", () => done(server)));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const port = Number(process.argv[2] ?? 8080);
  await serve(fileURLToPath(new URL("../..", import.meta.url)), port);
  console.log(`http://localhost:${port}/examples/onnx-browser/?game=unseen/3`);
}
