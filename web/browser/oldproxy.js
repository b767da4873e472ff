// An HTTP proxy from before WebSockets: it passes requests on one by one, and
// no upgrade.

import { createServer, request } from "node:http";

/**
 * startOldProxy forwards a free port of loopback to address (host:port).
 * What it does to a request that asks for an upgrade: a status: answers with
 * that; "drop": breaks the connection; "ignore": passes it on as any other.
 * With buffers, it passes a response on when all of it is there.
 */
export async function startOldProxy(address, { upgrade = "ignore", buffers = false } = {}) {
  const [host, port] = address.split(":");
  const server = createServer((near, answer) => {
    const headers = { ...near.headers };
    delete headers.connection; // of one hop, RFC 9110 §7.6.1
    delete headers.upgrade;
    const far = request({ host, port, method: near.method, path: near.url, headers, agent: false }, async (response) => {
      if (buffers) {
        const all = await response.toArray().catch(() => null);
        if (all === null) return answer.destroy();
        answer.writeHead(response.statusCode, response.headers).end(Buffer.concat(all));
      } else {
        answer.writeHead(response.statusCode, response.headers).flushHeaders();
        response.on("error", () => answer.destroy()).pipe(answer);
      }
    });
    far.on("error", () => answer.destroy());
    answer.on("close", () => far.destroy());
    near.pipe(far);
  });
  if (upgrade !== "ignore") {
    server.on("upgrade", (_, socket) => {
      socket.on("error", () => {});
      if (upgrade === "drop") socket.destroy();
      else socket.end(`HTTP/1.1 ${upgrade} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    });
  }
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
