// A worker process of the benchmark: asks its control process for slots and for limits, one after the other and many at once. As a worker
// of the server it has pipes from and to that on the file descriptors 4 and 5.
import { Socket } from 'node:net';
import { percentile } from '../statistics.mjs';

const { Targets } = await import('../../dist/serving/targets.js');
const { HostTime, Link } = await import('../../dist/workers/link.js');
const { RemoteControl } = await import('../../dist/workers/remote-control.js');
const { RemoteLimitStore } = await import('../../dist/workers/remote-limit-store.js');
const { systemClock } = await import('../../dist/system-clock.js');
const { entryOf, MODEL, chargesOf, targetOf, SETTLED } = await import('./subjects.mjs');

const AT_ONCE = 32;

const [, , name] = process.argv;
const silent = () => {};
const targets = new Targets({ targets: [targetOf()], defaultModel: MODEL, aliases: new Map() });
const link = new Link({
  input: new Socket({ fd: 4 }),
  output: new Socket({ fd: 5, readable: false }),
  clock: systemClock,
  onMessage: (message) => (message.type in LIMITS ? store : control).receive(message),
  onEnd: () => process.exit(),
});
const LIMITS = { decided: true, peeked: true };
const control = new RemoteControl({
  clock: systemClock,
  log: { debug: silent, info: silent, warn: silent, error: silent },
  hostTime: new HostTime(systemClock, () => Number(process.hrtime.bigint()) / 1e6),
  name,
  send: (message) => link.send(message),
  targets,
  targetsOf: (model) => targets.of(model),
  onTargetChange: silent,
});
const store = new RemoteLimitStore({
  send: (message) => link.send(message),
  flush: () => {
    control.slotQueue.sendLate();
    link.flush();
  },
  mayAsk: () => true,
  isShared: false,
});

/** A slot, given back at once. */
function slot(index) {
  return new Promise((resolve) => {
    const entry = entryOf(control.slotQueue.newEntryId(), index, systemClock.now());
    control.slotQueue.enter(entry, {
      describe: silent,
      granted: ({ release }) => {
        release(SETTLED);
        resolve();
      },
      rejected: (error) => {
        throw error;
      },
    });
  });
}

async function limits(index, count) {
  const { admission } = await store.decide(chargesOf(index, count));
  store.settle(
    admission,
    admission.charges.map(({ amount }) => amount),
  );
}

const DECISIONS = {
  slot,
  'one limit': (index) => limits(index, 1),
  'four limits': (index) => limits(index, 4),
};

/** Milliseconds of each, one after the other; then microseconds of CPU time here of each, many at once. */
process.on('message', async ({ what, how, decisions }) => {
  const decide = DECISIONS[what];
  const before = process.cpuUsage();
  const waits = [];
  if (how === 'alone') {
    for (let index = 0; index < decisions; index += 1) {
      const askedAt = performance.now();
      await decide(index);
      waits.push(performance.now() - askedAt);
      // As requests of a server: the next one comes in another turn.
      await new Promise(setImmediate);
    }
  } else {
    let index = 0;
    const ask = async () => {
      while (index < decisions) {
        await decide(index++);
        await new Promise(setImmediate);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, ask));
  }
  const { user, system } = process.cpuUsage(before);
  process.send({
    cpu: (user + system) / decisions,
    ...(how === 'alone' && { p50: percentile(waits, 0.5), p99: percentile(waits, 0.99) }),
  });
});
await control.informed;
process.send('ready');
