// A clock that goes on in a hidden tab. Browsers slow the timers of a hidden
// page down to one a minute, but not those of its workers, and the messages of a
// worker are heard at once. The page itself has to hear them: one that hangs or
// was stopped no longer does what it promised by the clock, as it should be.

const script = "/assets/ticker.js"; // made of ticker.worker.ts

/**
 * startTicker calls onTick every ms. It returns false where there are no
 * workers: then the page's own timer ticks, and may be slowed down.
 */
export function startTicker(ms: number, onTick: () => void): boolean {
  try {
    const worker = new Worker(trusted());
    worker.onmessage = onTick;
    worker.postMessage(ms);
    return true;
  } catch {
    setInterval(onTick, ms);
    return false;
  }
}

// The one script that may become a worker, where the browser asks (Trusted Types).
function trusted(): string {
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  return types === undefined ? script : (types.createPolicy("ticker", { createScriptURL: () => script }).createScriptURL("") as string);
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(input: string): string }): { createScriptURL(input: string): unknown };
}
