// A TCP proxy that can freeze: connections stay open and nothing passes, as
// when a cable is pulled or a phone leaves the network. It can also cut: every
// connection breaks and no new one is made, until it is mended. The browser's
// own offline emulation would not do: it lets open sockets work on.

import { connect, createServer } from "node:net";

/** startProxy forwards a free port of loopback to address (host:port). */
export async function startProxy(address) {
  const [host, port] = address.split(":");
  const pairs = new Set();
  let frozen = false;
  let broken = false;
  let thawed = []; // what is to be done when it thaws: a dead network passes no reset on, either

  const server = createServer({ pauseOnConnect: true }, (near) => {
    if (broken) return near.destroy();
    const far = connect({ host, port: Number(port) });
    const pair = [near, far];
    pairs.add(pair);
    for (const [from, to] of [[near, far], [far, near]]) {
      from.on("data", (bytes) => to.write(bytes));
      from.on("end", () => to.end());
      from.on("error", () => {}); // its close follows
      from.on("close", () => {
        const end = () => {
          to.destroy();
          pairs.delete(pair);
        };
        if (frozen) thawed.push(end);
        else end();
      });
    }
    hold(pair, frozen);
  });
  const hold = (pair, still) => pair.forEach((socket) => (still ? socket.pause() : socket.resume()));
  const setFrozen = (still) => {
    frozen = still;
    for (const pair of pairs) hold(pair, still);
    if (still) return;
    for (const end of thawed) end();
    thawed = [];
  };

  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    freeze: () => setFrozen(true),
    thaw: () => setFrozen(false),
    cut() {
      broken = true;
      for (const pair of pairs) pair.forEach((socket) => socket.destroy());
    },
    mend: () => (broken = false),
    stop() {
      for (const pair of pairs) pair.forEach((socket) => socket.destroy());
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
