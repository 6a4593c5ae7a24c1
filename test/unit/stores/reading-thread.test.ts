import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { MemoryStore } from '../../../src/stores/memory-store.ts';
import { withReadingThread } from '../../../src/stores/reading-thread.ts';
import type { Store } from '../../../src/stores/store.ts';
import { plainKey, usageRow } from '../../support/stores/records.ts';

const ALL_TIME = { by: [], from: 0, to: Number.MAX_SAFE_INTEGER };
const IDLE_MS = 30_000;

/** Reports are answered when they are told to. */
function slowReader() {
  const store = new MemoryStore();
  const waiting: (() => void)[] = [];
  let closed = 0;
  const reader: Store = {
    keys: store.keys,
    audit: store.audit,
    usage: {
      add: (rows, batch) => store.usage.add(rows, batch),
      report: () => new Promise((resolve) => waiting.push(() => resolve([]))),
    },
    close: async () => {
      closed += 1;
    },
  };
  return { reader, waiting, closed: () => closed };
}

describe('readings of much', () => {
  test('hold up neither keys, nor changes, nor usage, nor the audit log', async () => {
    const { reader, waiting } = slowReader();
    const store = withReadingThread(new MemoryStore(), async () => reader);
    const report = store.usage.report(ALL_TIME);
    await expect.poll(() => waiting.length).toBe(1);
    await store.keys.add(plainKey('alice'));
    expect(await store.keys.revision()).toBe(1);
    expect(await store.keys.changedSince(0)).toMatchObject({ revision: 1 });
    await store.usage.add([usageRow()], 'batch');
    await store.audit.add({ at: 1, actor: 'a', address: '', action: 'b', subject: '', details: {} });
    waiting[0]?.();
    expect(await report).toEqual([]);
    await store.close();
  });

  test('are opened by the first, and closed when there was none for a while', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const readers: ReturnType<typeof slowReader>[] = [];
    const store = withReadingThread(
      new MemoryStore(),
      async () => {
        const opened = slowReader();
        readers.push(opened);
        return opened.reader;
      },
      IDLE_MS,
    );
    await store.keys.revision();
    expect(readers).toHaveLength(0);
    await store.audit.list({ limit: 1 });
    await vi.advanceTimersByTimeAsync(IDLE_MS - 1);
    await store.keys.list();
    await vi.advanceTimersByTimeAsync(IDLE_MS - 1);
    expect(readers.map(({ closed }) => closed())).toEqual([0]);
    await vi.advanceTimersByTimeAsync(1);
    expect(readers.map(({ closed }) => closed())).toEqual([1]);
    await store.keys.list();
    expect(readers).toHaveLength(2);
    await store.close();
    expect(readers.map(({ closed }) => closed())).toEqual([1, 1]);
    await expect(store.keys.list()).rejects.toMatchObject({ fault: 'unavailable' });
  });

  test('where it can’t be opened, the next one tries again', async () => {
    let tries = 0;
    const store = withReadingThread(new MemoryStore(), async () => {
      tries += 1;
      if (tries === 1) throw new Error('away');
      return new MemoryStore();
    });
    await expect(store.keys.list()).rejects.toThrow('away');
    expect(await store.keys.list()).toEqual([]);
    await store.close();
  });
});
