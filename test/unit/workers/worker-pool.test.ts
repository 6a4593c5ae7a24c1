import { describe, expect, it } from 'vitest';
import { ConnectionDoor } from '../../../src/workers/connection-door.ts';
import type { ToControl, ToWorker } from '../../../src/workers/messages.ts';
import { type WorkerPeer, WorkerPool } from '../../../src/workers/worker-pool.ts';
import type { WorkerEvents } from '../../../src/workers/worker-process.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { recordingLog } from '../../support/fake-engine.ts';

const STARTED_WITH = { name: 'llm-serve.yaml', text: '' };

class FakeProcess {
  readonly pid = 1;
  readonly received: ToWorker[] = [];
  readonly handed: number[] = [];
  pings = 0;
  unsentBytes = 0;
  readonly #events: WorkerEvents;
  constructor(events: WorkerEvents) {
    this.#events = events;
  }
  send(message: ToWorker): void {
    this.received.push(message);
  }
  hand({ id }: { readonly id: number }): void {
    this.handed.push(id);
  }
  ping(): void {
    this.pings += 1;
  }
  kill(because: string): void {
    this.#events.onEnd(because);
  }
  says(message: ToControl): void {
    this.#events.onMessage(message);
  }
  /** But for who serves. */
  get types(): string[] {
    return this.received.flatMap(({ type }) => (type === 'workers-serving' ? [] : type));
  }
}

function started(count: number) {
  const clock = new FakeClock();
  const processes: FakeProcess[] = [];
  const ended: string[] = [];
  const peers: WorkerPeer[] = [];
  const failures: string[] = [];
  const { log, lines } = recordingLog();
  const door = new ConnectionDoor<{ destroy(): void }>({ clock, workers: count });
  const pool = new WorkerPool({
    clock,
    log,
    count,
    door,
    start: (events) => {
      const process = new FakeProcess(events);
      processes.push(process);
      return process;
    },
    startMessage: { version: '1.0.0', instanceId: 'i', isTerminal: false, flags: {}, file: STARTED_WITH },
    attach: (peer) => {
      peers.push(peer);
      const receive = (message: { readonly type: string }) => {
        if (message.type === 'unknown') throw message;
      };
      return { receive, ended: () => ended.push(peer.name) };
    },
    onFatal: (message) => failures.push(message),
  });
  const serving = pool.start();
  const at = (index: number) => {
    const process = processes[index];
    if (process === undefined) throw new Error(`no process ${index}`);
    return process;
  };
  return { clock, processes, at, ended, failures, door, pool, serving, lines, peers };
}

async function allServe(count: number) {
  const parts = started(count);
  for (let index = 0; index < count; index += 1) parts.at(index).says({ type: 'serving' });
  await parts.serving;
  return parts;
}

describe('workers that can start only when the server has been started again', () => {
  const outdated = { type: 'failed', message: 'it is of another version', needsRestart: true } as const;

  it('are tried again while others serve, and end the server with their reason when none does', async () => {
    const { clock, at, failures, processes } = await allServe(2);
    at(0).kill('it was ended by SIGKILL');
    at(2).says(outdated);
    at(2).kill('it exited with code 1');
    await clock.advance(10_000);
    expect(failures).toEqual([]);
    expect(processes.length).toBeGreaterThan(3);
    const before = processes.length;
    at(1).kill('it was ended by SIGKILL');
    expect(processes).toHaveLength(before + 1);
    at(before).says(outdated);
    at(before).kill('it exited with code 1');
    expect(failures).toEqual(['it is of another version']);
  });
});

describe('a message that is not known', () => {
  it('ends the worker that sent it, and nothing else', async () => {
    const { at, ended, failures, processes, pool, lines } = await allServe(2);
    at(0).says({ type: 'unknown' } as unknown as ToControl);
    expect([ended, failures, pool.serving, processes.length]).toEqual([['1.1'], [], 1, 3]);
    expect(lines.at(-1)?.message).toContain('it sent what this server does not understand ("unknown")');
  });
});

describe('a start', () => {
  it('is over when all serve, each under a name of its own', async () => {
    const { pool, at, serving } = started(2);
    at(0).says({ type: 'serving' });
    expect(pool.serving).toBe(1);
    at(1).says({ type: 'serving' });
    await serving;
    expect([at(0), at(1)].map(({ received }) => received[0])).toMatchObject([
      { type: 'start', name: '1.1', number: 1, workers: 2 },
      { type: 'start', name: '2.1', number: 2, workers: 2 },
    ]);
  });

  it('fails with what the workers say, where none can', async () => {
    const { clock, at, failures, processes } = started(2);
    at(1).says({ type: 'failed', message: 'the store cannot be opened' });
    at(1).kill('it exited with code 1');
    expect(failures).toEqual([]);
    await clock.advance(1000);
    expect(processes).toHaveLength(3);
    at(0).says({ type: 'failed', message: 'the store cannot be opened' });
    at(0).kill('it exited with code 1');
    expect(failures).toEqual(['the store cannot be opened']);
  });

  it('is over with those that can, while one that cannot is tried again after growing delays', async () => {
    const { clock, at, processes, serving, failures, lines } = started(2);
    at(0).says({ type: 'serving' });
    at(1).says({ type: 'failed', message: 'too many open files' });
    at(1).kill('it exited with code 1');
    await serving;
    expect(lines.map(({ message }) => message)).toContain(
      '1 of 2 workers serve. The others follow when they can start.',
    );
    const startedAfter: number[] = [];
    for (let second = 1; second <= 32; second += 1) {
      const before = processes.length;
      await clock.advance(1000);
      at(0).says({ type: 'alive' });
      if (processes.length === before) continue;
      startedAfter.push(second);
      at(before).says({ type: 'failed', message: 'too many open files' });
      at(before).kill('it exited with code 1');
    }
    expect(startedAfter).toEqual([1, 3, 7, 15, 31]);
    expect(failures).toEqual([]);
  });

  it('is over with those that can, while another one has crashed', async () => {
    const { at, serving } = started(2);
    at(1).kill('it was ended by SIGSEGV');
    at(0).says({ type: 'serving' });
    await serving;
  });

  it('does not wait for ever for one that does nothing', async () => {
    const { clock, at, serving } = started(2);
    at(1).says({ type: 'serving' });
    await clock.advance(10_000);
    await serving;
  });

  it('is not over while none serves, however often they crash', async () => {
    const { clock, processes, pool, serving } = started(2);
    let isOver = false;
    void serving.then(() => {
      isOver = true;
    });
    for (let round = 0; round < 10; round += 1) {
      for (const process of processes.slice(-2)) process.kill('it exited with code 3');
      await clock.advance(30_000);
    }
    expect([isOver, pool.serving]).toEqual([false, 0]);
  });
});

describe('those that serve', () => {
  it('are told how many do', async () => {
    const { at } = await allServe(2);
    const told = (index: number) =>
      at(index).received.flatMap((message) => (message.type === 'workers-serving' ? message.serving : []));
    at(1).kill('it was ended by SIGKILL');
    expect(told(0)).toEqual([1, 2, 1]);
    at(2).says({ type: 'serving' });
    expect([told(0), told(2)]).toEqual([[1, 2, 1, 2], [2]]);
  });

  it('are missed in the log where there are none', async () => {
    const { at, lines } = await allServe(2);
    at(0).kill('it was ended by SIGKILL');
    at(1).kill('it was ended by SIGKILL');
    expect(lines.filter(({ message }) => message.startsWith('No worker serves'))).toHaveLength(1);
  });
});

describe('a worker that dies', () => {
  it('is replaced at once, then after growing delays; the others are left alone', async () => {
    const { clock, processes, at, ended, pool } = await allServe(2);
    at(0).kill('it was ended by SIGKILL');
    expect(ended).toEqual(['1.1']);
    expect(at(2).received[0]).toMatchObject({ type: 'start', name: '1.2' });
    at(2).kill('again');
    expect(processes).toHaveLength(3);
    await clock.advance(999);
    expect(processes).toHaveLength(3);
    await clock.advance(1);
    expect(at(3).received[0]).toMatchObject({ name: '1.3' });
    expect(pool.restarts).toBe(2);
    expect(at(1).types).toEqual(['start']);
  });

  it('counts as healthy after a minute', async () => {
    const { clock, processes, at } = await allServe(1);
    at(0).kill('once');
    at(1).says({ type: 'serving' });
    for (let minute = 0; minute < 12; minute += 1) {
      await clock.advance(5000);
      at(1).says({ type: 'alive' });
    }
    at(1).kill('much later');
    expect(processes).toHaveLength(3);
  });
});

describe('a worker that does not answer', () => {
  it('is killed after half a minute and replaced', async () => {
    const { clock, processes, at } = await allServe(1);
    await clock.advance(30_000);
    expect(processes).toHaveLength(1);
    expect(at(0).pings).toBe(1);
    await clock.advance(5000);
    expect(processes).toHaveLength(2);
  });

  it('is killed after five minutes, though it answers, where it has not begun to serve', async () => {
    const { clock, processes, at } = await allServe(1);
    at(0).kill('once');
    for (let count = 0; count < 60; count += 1) {
      await clock.advance(5000);
      at(1).says({ type: 'alive' });
    }
    expect(processes).toHaveLength(2);
    await clock.advance(6000);
    expect(processes).toHaveLength(3);
  });

  it('is left alone while it answers', async () => {
    const { clock, processes, at } = await allServe(1);
    for (let count = 0; count < 40; count += 1) {
      await clock.advance(5000);
      at(0).says({ type: 'alive' });
    }
    expect(processes).toHaveLength(1);
    expect(at(0).pings).toBe(40);
  });
});

describe('a worker that reads nothing', () => {
  const position = { type: 'position', id: 'w1.1_entry_1', position: { position: 1, etaMs: 0 } } as const;
  const granted = {
    type: 'granted',
    id: 'w1.1_entry_1',
    target: 't',
    slot: 0,
    batch: { id: 'batch_1', size: 1 },
  } as const;

  it('is not told how things are now, but what it waits for', async () => {
    const { at, peers } = await allServe(1);
    at(0).unsentBytes = 1024 * 1024 + 1;
    peers[0]?.send(position);
    peers[0]?.send(granted);
    at(0).unsentBytes = 0;
    peers[0]?.send(position);
    expect(at(0).types.slice(1)).toEqual(['granted', 'position']);
  });

  it('is told that there is no answer now to what it asks, instead of an answer that would lie here', async () => {
    const { at, peers, processes } = await allServe(1);
    at(0).unsentBytes = 8 * 1024 * 1024 + 1;
    peers[0]?.send({ type: 'answer', call: 7, answer: 'much' });
    expect(at(0).received.at(-1)).toMatchObject({ type: 'answer', call: 7, failed: { code: 'server_busy' } });
    expect(processes).toHaveLength(1);
  });

  it('is killed and replaced when 64 MiB lie here for it', async () => {
    const { at, peers, processes, lines } = await allServe(1);
    at(0).unsentBytes = 64 * 1024 * 1024 + 1;
    peers[0]?.send(granted);
    expect(processes).toHaveLength(2);
    expect(lines[0]?.message).toMatch('it did not read 64 MiB');
  });
});

it('answers a worker that asks whether anybody is there', async () => {
  const { at } = await allServe(1);
  at(0).says({ type: 'ping' });
  expect(at(0).types).toEqual(['start', 'alive']);
});

describe('a drain', () => {
  const accepted = { door: 'main', socket: { destroy: () => {} } } as const;

  it('ends when no worker has requests, while all take connections', async () => {
    const { at, door, pool } = await allServe(2);
    const drained = pool.drain({ delayMs: 0, graceMs: 60_000 });
    at(0).says({ type: 'idle', isIdle: true });
    door.accept({ ...accepted, admission: { moveTo: () => true, close: () => {} } });
    expect(at(0).handed).toEqual([1]);
    at(0).says({ type: 'idle', isIdle: false });
    at(1).says({ type: 'idle', isIdle: true });
    expect(at(0).types).toEqual(['start', 'drain']);
    at(0).says({ type: 'idle', isIdle: true });
    await drained;
    expect(at(0).types).toEqual(['start', 'drain', 'all-idle']);
  });

  it('ends after its grace period, and is not held up by a worker that dies', async () => {
    const { clock, at, processes, pool } = await allServe(2);
    const drained = pool.drain({ delayMs: 1000, graceMs: 2000 });
    at(0).kill('it was ended by SIGKILL');
    await clock.advance(3000);
    await drained;
    const closed = pool.close({ now: false });
    at(1).kill('it exited with code 0');
    await closed;
    expect(processes).toHaveLength(2);
  });

  it('kills what has not ended in time', async () => {
    const { clock, ended, pool } = await allServe(1);
    const closed = pool.close({ now: true });
    await clock.advance(15_000);
    await closed;
    expect(ended).toEqual(['1.1']);
  });
});

it('tells all of a reload, also one that has not begun to serve, and the next ones at their start', async () => {
  const { at, pool } = await allServe(2);
  const file = { name: 'llm-serve.yaml', text: 'models: []' };
  at(1).kill('it was ended by SIGKILL');
  expect(at(2).received[0]).not.toHaveProperty('reloaded');
  pool.reload('SIGHUP', file);
  expect([at(0).types, at(2).types]).toEqual([
    ['start', 'reload'],
    ['start', 'reload'],
  ]);
  at(0).kill('it was ended by SIGKILL');
  expect(at(3).received[0]).toMatchObject({ type: 'start', file: STARTED_WITH, reloaded: file });
});
