// The server under test: the real binary, a process of its own.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const binary = process.env.ROLLCALL_BIN;
if (!binary) throw new Error("ROLLCALL_BIN must name the server's binary: ./run.sh builds it");

/**
 * startServer starts a server with settings (by their paths, as in the
 * configuration file) and resolves when it listens. With no listen among them
 * it takes a free port of loopback.
 */
export async function startServer(settings = {}) {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ROLLCALL_LOG_FORMAT: "json" };
  for (const [path, value] of Object.entries({ listen: "127.0.0.1:0", drain: "200ms", ...settings })) {
    env[`ROLLCALL_${path.toUpperCase().replaceAll(".", "_")}`] = value;
  }
  const child = spawn(binary, [], { env, stdio: ["ignore", "ignore", "pipe"] });
  const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));

  const log = [];
  const address = await new Promise((resolve, reject) => {
    createInterface(child.stderr).on("line", (line) => {
      log.push(line);
      if (log.length > 500) log.shift();
      try {
        const entry = JSON.parse(line);
        if (entry.event === "listening") resolve(entry.address);
      } catch {
        // not a line of the log
      }
    });
    exited.then(({ code }) => reject(new Error(`the server exited with ${code} before it listened:\n${log.join("\n")}`)));
  });

  return {
    address,
    url: `http://${address}`,
    log,
    /** api calls the HTTP API: what it answers, as JSON where there is some. */
    async api(method, path, body) {
      const answer = await fetch(`http://${address}/api/v1/${path}`, {
        method, headers: { "Content-Type": "application/json" }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return text === "" ? undefined : JSON.parse(text);
    },
    async stop() {
      child.kill("SIGTERM");
      return exited;
    },
  };
}
