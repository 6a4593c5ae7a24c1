import { describe, expect, it } from 'vitest';
import type { Caller } from '../../../src/core/caller.ts';
import type { Log } from '../../../src/core/log.ts';
import { Prices } from '../../../src/usage/prices.ts';
import type { UsageRow } from '../../../src/usage/usage-row.ts';
import { UsageWriter } from '../../../src/usage/usage-writer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

interface Write {
  readonly rows: readonly UsageRow[];
  readonly batch: string;
  succeed(): Promise<void>;
  fail(message?: string): Promise<void>;
}

/** A writer whose every write a test answers by hand. */
function writer({ maxRows = 1000, flushMs = 500 } = {}) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const note =
    (severity: string) =>
    (message: string): void =>
      void lines.push(`${severity}: ${message}`);
  const log: Log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
  const writes: Write[] = [];
  let underWay = 0;
  let most = 0;
  const store = {
    add: (rows: readonly UsageRow[], batch: string) =>
      new Promise<void>((resolve, reject) => {
        underWay += 1;
        most = Math.max(most, underWay);
        const end = (run: () => void) => {
          underWay -= 1;
          run();
          return clock.settle();
        };
        writes.push({
          rows: structuredClone(rows),
          batch,
          succeed: () => end(resolve),
          fail: (message = 'the disk is full') => end(() => reject(new Error(message))),
        });
      }),
  };
  let batches = 0;
  const settings = { enabled: true, flushMs, maxRows, prices: new Prices({}), currency: 'USD' };
  const usage = new UsageWriter({ clock, log, store, settings, newBatchId: () => `batch_${++batches}` });
  const ended = (...names: string[]) => {
    for (const id of names) usage.ended({ caller: { id } as Caller, model: 'm', target: 't' });
  };
  const last = (): Write => {
    const write = writes.at(-1);
    if (write === undefined) throw new Error('nothing was written');
    return write;
  };
  const requestsIn = (written: readonly Write[]) =>
    written.flatMap(({ rows }) => rows).reduce((sum, { requests }) => sum + requests, 0);
  return { clock, lines, writes, usage, ended, last, settings, requestsIn, mostAtOnce: () => most };
}

describe('usage', () => {
  it('is written at once, and then with half a second from one write to the next, for all that ended meanwhile', async () => {
    const { clock, writes, ended, last } = writer();
    ended('a');
    await clock.advance(25);
    await last().succeed();
    ended('a');
    await clock.advance(499);
    ended('b', 'a');
    expect(writes).toHaveLength(1);
    await clock.advance(1);
    expect(last().rows).toMatchObject([
      { caller: 'a', requests: 2 },
      { caller: 'b', requests: 1 },
    ]);
    await last().succeed();
    await clock.advance(10_000);
    expect(writes).toHaveLength(2);
    expect(clock.pendingTimers).toBe(0);
    ended('a');
    await clock.advance(25);
    expect(writes).toHaveLength(3);
  });

  it('of requests that end during a write comes in the next one: never two at the same time', async () => {
    const { clock, writes, ended, last, mostAtOnce } = writer();
    ended('a');
    await clock.advance(500);
    ended('b');
    await clock.advance(5000);
    expect(writes).toHaveLength(1);
    await last().succeed();
    await clock.advance(500);
    expect(last().rows).toMatchObject([{ caller: 'b' }]);
    expect(mostAtOnce()).toBe(1);
  });

  it('that could not be written is written again as it was, under the same id, with longer and longer pauses', async () => {
    const { clock, writes, ended, last, lines } = writer();
    ended('a');
    await clock.advance(500);
    const times: number[] = [];
    for (let failure = 0; failure < 4; failure += 1) {
      ended('later');
      await last().fail();
      const before = clock.now();
      const count = writes.length;
      while (writes.length === count) await clock.advance(100);
      times.push(clock.now() - before);
    }
    expect(times).toEqual([500, 1000, 2000, 5000]);
    expect(new Set(writes.map(({ batch }) => batch))).toEqual(new Set(['batch_1']));
    expect(writes.map(({ rows }) => rows)).toEqual(writes.map(() => writes[0]?.rows));
    await last().succeed();
    await clock.advance(500);
    expect(last()).toMatchObject({ batch: 'batch_2', rows: [{ caller: 'later', requests: 4 }] });
    expect(lines).toEqual([
      'warn: Usage can’t be written, and is kept to be tried again: the disk is full',
      'info: Usage is written again.',
    ]);
  });

  it('is bounded while the store takes nothing; what is dropped is counted, and logged once', async () => {
    const { clock, ended, last, usage, lines } = writer({ maxRows: 3 });
    ended('a', 'b');
    await clock.advance(500);
    await last().fail();
    ended('c', 'd', 'd', 'c');
    expect(usage).toMatchObject({ unwritten: 3, dropped: 2 });
    expect(lines.filter((line) => line.includes('usage.max_rows'))).toHaveLength(1);
  });

  it('that is much is written in pieces, one after the other without a pause', async () => {
    const { clock, ended, writes, last } = writer({ maxRows: 10_000 });
    ended(...Array.from({ length: 2500 }, (_, index) => `key_${index}`));
    await clock.advance(500);
    await last().succeed();
    await clock.advance(0);
    await last().succeed();
    await clock.advance(500);
    await last().succeed();
    expect(writes.map(({ rows }) => rows.length)).toEqual([1000, 1000, 500]);
  });

  it('is not counted while it is turned off', async () => {
    const { clock, ended, writes, settings } = writer();
    settings.enabled = false;
    ended('a');
    await clock.advance(500);
    expect(writes).toHaveLength(0);
  });
});

describe('before a report', () => {
  it('what waits is written, also what came during the write under way', async () => {
    const { clock, ended, writes, last, usage } = writer();
    ended('a');
    await clock.advance(500);
    ended('b');
    let isDone = false;
    void usage.flush(1000).then(() => {
      isDone = true;
    });
    await last().succeed();
    expect(isDone).toBe(false);
    expect(last().rows).toMatchObject([{ caller: 'b' }]);
    await last().succeed();
    expect(isDone).toBe(true);
    expect(writes).toHaveLength(2);
  });

  it('a store that is slow or failing is not waited for', async () => {
    const { clock, ended, last, usage } = writer();
    ended('a');
    const flushed = usage.flush(1000);
    await clock.advance(1000);
    await flushed;
    await last().fail();
    await usage.flush(1000);
  });
});

describe('at the end', () => {
  it('all that waits is written, in as many writes as it takes', async () => {
    const { ended, writes, last, usage, requestsIn, lines, clock } = writer({ maxRows: 10_000 });
    ended(...Array.from({ length: 1500 }, (_, index) => `key_${index}`));
    const closed = usage.close();
    await last().succeed();
    await last().succeed();
    await closed;
    expect(requestsIn(writes)).toBe(1500);
    expect(lines).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('a write that fails is tried again', async () => {
    const { ended, last, usage, clock, lines } = writer();
    ended('a');
    const closed = usage.close();
    await last().fail();
    await clock.advance(100);
    await last().succeed();
    await clock.settle();
    await closed;
    expect(lines.at(-1)).toBe('info: Usage is written again.');
  });

  it('a store that does not answer is left after three seconds, with what was lost in the log', async () => {
    const { ended, usage, clock, lines } = writer();
    ended('a');
    const closed = usage.close();
    await clock.advance(3000);
    await closed;
    expect(lines).toEqual(['error: Usage was lost: the store took no more in the 3 seconds before the end.']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('a store that failed before is left after one second', async () => {
    const { ended, usage, clock, last } = writer();
    ended('a');
    await clock.advance(500);
    await last().fail();
    const closed = usage.close();
    await clock.advance(1000);
    await closed;
    expect(clock.pendingTimers).toBe(0);
  });
});
