// What it costs a worker that the control process decides: the time that a request waits for a slot and for limits over the pipe between
// the two, and CPU time of both ends. Beside it the same slots from the dispatcher of one process. No HTTP: `scale` has whole requests.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { packageVersions } from '../machine.mjs';
import { inRounds, overRounds } from '../rounds.mjs';
import { show, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';
import { conversationWith } from '../worker.mjs';
import { entryOf, MODEL, SETTLED, targetOf } from './subjects.mjs';

const TARGET_MS = 0.15;
const WHATS = ['slot', 'one limit', 'four limits'];
const HOWS = ['alone', 'at once'];
const UNBOUNDED = Number.POSITIVE_INFINITY;
const silent = () => {};

export async function run({ rounds, decisions }) {
  const { host, limits, clock, local, modules } = await startControl();
  const workers = [];
  try {
    for (const name of ['w1.1', 'w2.1'])
      workers.push(await startWorker(name, { host, limits, clock, modules }));
    const measureRound = async () => {
      const result = {};
      for (const what of WHATS) {
        result[what] = {};
        for (const how of HOWS)
          result[what][how] = await measure(workers.slice(0, 1), { what, how, decisions });
      }
      result.slot['at once, two workers'] = await measure(workers, {
        what: 'slot',
        how: 'at once',
        decisions,
      });
      result.slot['one process'] = await measureHere(local, clock, decisions);
      return result;
    };
    // Not counted: a round in which everything is compiled by then.
    await measureRound();
    return {
      versions: packageVersions([]),
      settings: { rounds, decisions },
      rounds: await inRounds(rounds, measureRound),
    };
  } finally {
    for (const { stop } of workers) await stop();
    host.close();
  }
}

async function startControl() {
  const { LocalControl } = await import('../../dist/serving/local-control.js');
  const { Targets } = await import('../../dist/serving/targets.js');
  const link = await import('../../dist/workers/link.js');
  const { SchedulerHost } = await import('../../dist/workers/scheduler-host.js');
  const { LimitHost } = await import('../../dist/workers/limit-host.js');
  const { MemoryLimitStore } = await import('../../dist/limits/memory-limit-store.js');
  const { systemClock: clock } = await import('../../dist/system-clock.js');
  const targets = new Targets({ targets: [targetOf()], defaultModel: MODEL, aliases: new Map() });
  const hostTime = new link.HostTime(clock, () => Number(process.hrtime.bigint()) / 1e6);
  const newControl = () =>
    new LocalControl({
      clock,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      random: Math.random,
      scheduler: {
        mode: 'eager',
        order: 'fair',
        maxBatchSize: 32,
        windowMs: 0,
        maxQueue: UNBOUNDED,
        maxQueuePerClient: UNBOUNDED,
        maxQueueBytes: UNBOUNDED,
        maxBatchTokens: UNBOUNDED,
        maxTokensInFlight: UNBOUNDED,
        agingMs: 10_000,
        maxOvertakes: 4,
        routing: { policy: 'load', prefixAffinity: false, random: Math.random },
      },
      targets,
      targetsOf: (model) => targets.of(model),
      onFatal: silent,
      onTargetChange: silent,
    });
  const control = newControl();
  const host = new SchedulerHost({ clock, hostTime, control, targets: () => targets, setDrained: silent });
  const limits = new LimitHost(new MemoryLimitStore({ clock, maxKeys: () => 100_000 }));
  return { host, limits, clock, local: newControl(), modules: { Link: link.Link } };
}

const TO_LIMITS = new Set(['decide', 'peek', 'settle', 'unchanged']);

async function startWorker(name, { host, limits, clock, modules: { Link } }) {
  const child = spawn(process.execPath, [fileURLToPath(new URL('deciding.mjs', import.meta.url)), name], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe', 'pipe'],
  });
  const link = new Link({
    input: child.stdio[5],
    output: child.stdio[4],
    clock,
    onMessage: (message) => (TO_LIMITS.has(message.type) ? limited : scheduled).receive(message),
    onEnd: () => {
      scheduled.end();
      limited.end();
    },
  });
  const scheduled = host.connect((message) => link.send(message));
  const limited = limits.connect((message) => link.send(message));
  const { message, ask, ended } = conversationWith(child, 'the deciding worker');
  await message();
  const stop = async () => {
    child.kill('SIGKILL');
    await ended.catch(() => {});
  };
  return { ask, stop };
}

/** `cpuThere` is of the control process, which is this one. */
async function measure(workers, { what, how, decisions }) {
  const before = process.cpuUsage();
  const answers = await Promise.all(workers.map(({ ask }) => ask({ what, how, decisions })));
  const { user, system } = process.cpuUsage(before);
  const cpuHere = answers.reduce((sum, { cpu }) => sum + cpu, 0) / workers.length;
  const { p50, p99 } = answers[0];
  return { p50, p99, cpuHere, cpuThere: (user + system) / (decisions * workers.length) };
}

async function measureHere({ slotQueue }, clock, decisions) {
  const before = process.cpuUsage();
  let index = 0;
  const ask = async () => {
    while (index < decisions) {
      const entry = entryOf(slotQueue.newEntryId(), index++, clock.now());
      await new Promise((resolve, reject) => {
        const granted = ({ release }) => {
          release(SETTLED);
          resolve();
        };
        slotQueue.enter(entry, { describe: silent, granted, rejected: reject });
      });
      await new Promise(setImmediate);
    }
  };
  await Promise.all(Array.from({ length: 32 }, ask));
  const { user, system } = process.cpuUsage(before);
  return { cpuHere: (user + system) / decisions, cpuThere: 0 };
}

const LABELS = {
  slot: 'a slot',
  'one limit': 'one window, settled',
  'four limits': 'four windows, settled',
};

export function report({ rounds }) {
  const of = (read, digits) => show(overRounds(rounds, read), digits);
  const waits = WHATS.map((what) => [
    LABELS[what],
    of((round) => round[what].alone.p50, 3),
    of((round) => round[what].alone.p99, 3),
  ]);
  const cases = [
    ...WHATS.flatMap((what) => HOWS.map((how) => [what, how])),
    ['slot', 'at once, two workers'],
    ['slot', 'one process'],
  ];
  const cpu = cases.map(([what, how]) => [
    LABELS[what],
    how === 'one process' ? 'at once, without workers' : how,
    of((round) => round[what][how].cpuHere, 1),
    of((round) => round[what][how].cpuThere, 1),
    of((round) => round[what][how].cpuHere + round[what][how].cpuThere, 1),
  ]);
  return [
    '**How long a worker waits for a decision of the control process**, one after the other:',
    '',
    table(['', 'p50, ms', 'p99, ms'], waits),
    '',
    '**CPU time of a decision**, asked for one after the other (alone) and by 32 callers (at once):',
    '',
    table(['', '', 'worker, µs', 'control process, µs', 'both, µs'], cpu),
  ].join('\n');
}

export function targets({ rounds }) {
  return [
    target(
      'a slot from the control process, p50, ms',
      atMost(TARGET_MS),
      overRounds(rounds, (round) => round.slot.alone.p50),
      3,
    ),
  ];
}
