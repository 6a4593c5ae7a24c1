// What a decision of the shared limit store takes, over loopback: the time that a request waits for it, one after the other and many at
// once, and CPU time here and in the server. Beside it a PING of the same client library: what any answer of that server takes.
import { packageVersions } from './machine.mjs';
import { cpuOf } from './process-usage.mjs';
import { overRounds } from './rounds.mjs';
import { percentile, show, table } from './statistics.mjs';
import { atMost, target } from './targets.mjs';
import { missingValkey, startValkey, valkeyVersion } from './valkey.mjs';

const TARGET_MS = 0.5;
const KEYS = 1000;
const AT_ONCE = 16;
const SPANS = [60_000, 3_600_000, 86_400_000, 60_000];

export const whatIsMissing = missingValkey;

export async function run({ rounds, decisions }) {
  const { openSharedLimits } = await import('../dist/stores/valkey/open.js');
  const { MemoryLimitStore } = await import('../dist/limits/memory-limit-store.js');
  const { systemClock } = await import('../dist/system-clock.js');
  const { Redis } = await import('iovalkey');
  const { pid, port, stop } = await startValkey();
  const silent = () => {};
  const store = await openSharedLimits({
    address: `valkey://127.0.0.1:${port}`,
    clock: systemClock,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    random: Math.random,
    replica: 'bench',
    local: new MemoryLimitStore({ clock: systemClock, maxKeys: () => 1000 }),
    settings: { timeoutMs: 10_000, onFailure: 'closed' },
    observer: { decided: silent, failed: silent },
  });
  const client = new Redis({ port, host: '127.0.0.1' });
  try {
    const cases = {
      ping: () => client.ping(),
      one: (index) => store.decide(chargesOf(index, 1)),
      four: (index) => store.decide(chargesOf(index, 4)),
      refused: () => store.decide([windowOf('key:full:requests_per_minute', 1, 60_000)]),
    };
    const measured = [];
    for (let round = -1; round < rounds; round += 1) {
      const results = {};
      for (const [name, once] of Object.entries(cases)) results[name] = await measure(once, decisions, pid);
      // The first one warms up.
      if (round >= 0) measured.push(results);
    }
    return {
      versions: { ...packageVersions(['iovalkey']), server: valkeyVersion() },
      settings: { rounds, decisions },
      rounds: measured,
    };
  } finally {
    await store.close();
    client.disconnect();
    await stop();
  }
}

/** Milliseconds one after the other; then microseconds of CPU time each, many at once. */
async function measure(once, decisions, pid) {
  const waits = [];
  for (let index = 0; index < decisions; index += 1) {
    const askedAt = performance.now();
    await once(index);
    waits.push(performance.now() - askedAt);
  }
  const before = { here: process.cpuUsage(), there: cpuOf(pid) };
  let index = 0;
  const ask = async () => {
    while (index < decisions) await once(index++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
  const here = process.cpuUsage(before.here);
  const there = cpuOf(pid);
  return {
    p50: percentile(waits, 0.5),
    p99: percentile(waits, 0.99),
    cpuHere: (here.user + here.system) / decisions,
    cpuThere: (there.user + there.system - before.there.user - before.there.system) / decisions,
  };
}

const windowOf = (counter, limit, windowMs) => ({
  counter,
  amount: 1,
  bound: { kind: 'window', limit, windowMs },
});

function chargesOf(index, count) {
  return SPANS.slice(0, count).map((windowMs, place) =>
    windowOf(`key:key_${index % KEYS}:limit_${place}`, 1_000_000, windowMs),
  );
}

const LABELS = {
  ping: 'PING, for comparison',
  one: 'one window',
  four: 'four windows',
  refused: 'one window, refused',
};

export function report({ rounds }) {
  const rows = Object.entries(LABELS).map(([name, label]) => {
    const of = (field, digits) =>
      show(
        overRounds(rounds, (round) => round[name][field]),
        digits,
      );
    return [label, of('p50', 3), of('p99', 3), of('cpuHere', 1), of('cpuThere', 1)];
  });
  return [
    `**A decision over loopback** (waits: one after the other; CPU time: ${AT_ONCE} at once):`,
    '',
    table(['', 'p50, ms', 'p99, ms', 'CPU here, µs', 'CPU in the server, µs'], rows),
  ].join('\n');
}

export function targets({ rounds }) {
  return [
    target(
      'a decision of the shared limit store, four windows, p50, ms',
      atMost(TARGET_MS),
      overRounds(rounds, (round) => round.four.p50),
      3,
    ),
  ];
}
