// How long to wait before the next attempt to connect.

export const minDelay = 500;
export const maxDelay = 20_000;

/**
 * backoff is the wait in ms before attempt n (from 0), with full jitter: many
 * pages that lost one server at one moment must not return at one moment.
 * random is uniform in [0, 1).
 */
export function backoff(attempt: number, random: () => number = Math.random): number {
  const span = Math.min(maxDelay, minDelay * 2 ** attempt);
  return Math.min(maxDelay, minDelay + random() * span);
}
