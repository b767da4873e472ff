// The worker of ticker.ts: told a number of milliseconds, it ticks that often.

onmessage = (e: MessageEvent<number>) => setInterval(() => postMessage(null), e.data);
