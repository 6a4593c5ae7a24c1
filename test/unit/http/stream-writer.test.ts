import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { RequestContext } from '../../../src/http/context.ts';
import { StreamWriter } from '../../../src/http/stream-writer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A response whose reader takes what the test lets it take. */
class SlowResponse extends EventEmitter {
  writableLength = 0;
  writableNeedDrain = false;
  destroyed = false;

  readonly written: string[] = [];

  writeHead(): void {}

  write(text: string): boolean {
    this.written.push(text);
    this.writableLength += text.length;
    this.writableNeedDrain = true;
    return false;
  }

  take(bytes: number): void {
    this.writableLength -= bytes;
    if (this.writableLength === 0) this.emit('drain');
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function start() {
  const clock = new FakeClock();
  const raw = new SlowResponse();
  let stall: (() => void) | undefined;
  const context = {
    response: raw,
    begin() {},
    write: (text: string) => raw.write(text),
    watchReader(onStalled: () => void) {
      expect(stall, 'one watch at a time').toBeUndefined();
      stall = onStalled;
      return {
        cancel: () => {
          stall = undefined;
        },
      };
    },
    onClose: (run: () => void) => raw.on('close', run),
    offClose: (run: () => void) => raw.off('close', run),
  };
  const told: string[] = [];
  const writer = new StreamWriter({
    context: context as unknown as RequestContext,
    clock,
    contentType: 'text/event-stream',
    heartbeat: () => ':\n',
    heartbeatMs: 60_000,
    bufferBytes: 10,
    onFull: () => told.push('full'),
    onDrained: () => told.push('drained'),
    onStalled: () => told.push('stalled'),
  });
  return { clock, raw, writer, told, watched: () => stall };
}

/** The end of this turn: then it is written. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

it('what comes in one turn leaves in one write', async () => {
  const { raw, writer } = start();
  for (const text of ['a', 'b', 'c']) writer.write(text);
  expect(raw.written).toEqual([]);
  await turn();
  writer.write('d');
  await turn();
  expect(raw.written).toEqual(['abc', 'd']);
});

it('what is more than is kept for a slow reader leaves at once', async () => {
  const { raw, writer, told } = start();
  writer.write('x'.repeat(11));
  expect(raw.written).toEqual(['x'.repeat(11)]);
  expect(told).toEqual(['full']);
  await turn();
  expect(raw.written).toHaveLength(1);
});

describe('a reader that is slower than the model', () => {
  it('is watched until it has taken everything, and not before it fell behind', async () => {
    const { raw, writer, told, watched } = start();
    writer.write('x'.repeat(10));
    await turn();
    expect([told, watched()]).toEqual([[], undefined]);
    raw.take(10);
    writer.write('x'.repeat(50));
    await turn();
    for (let taken = 0; taken < 5; taken += 1) {
      expect(told).toEqual(['full']);
      expect(watched()).toBeDefined();
      raw.take(10);
    }
    expect(told).toEqual(['full', 'drained']);
    expect(watched()).toBeUndefined();
    expect(raw.destroyed).toBe(false);
  });

  it('is waited for no longer than the request may take', async () => {
    const { clock, raw, writer, told, watched } = start();
    writer.write('x'.repeat(50));
    await turn();
    writer.stop();
    expect(watched()).toBeUndefined();
    expect(told).toEqual(['full']);
    expect(raw.destroyed).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is cut off when it takes nothing', async () => {
    const { raw, writer, told, watched } = start();
    writer.write('x'.repeat(50));
    await turn();
    raw.take(10);
    watched()?.();
    expect(told).toEqual(['full', 'stalled']);
    expect(raw.destroyed).toBe(true);
  });

  it('hears no heartbeat after the stream has stopped', async () => {
    const { clock, raw, writer } = start();
    writer.write('x'.repeat(50));
    await turn();
    writer.stop();
    raw.take(50);
    await clock.advance(120_000);
    expect(raw.writableLength).toBe(0);
  });
});
