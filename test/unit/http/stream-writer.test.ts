import { EventEmitter } from 'node:events';
import type { FastifyReply } from 'fastify';
import { describe, expect, it } from 'vitest';
import { EventWriter } from '../../../src/http/event-writer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A response whose reader takes what the test lets it take. */
class SlowResponse extends EventEmitter {
  readonly socket = { bytesWritten: 0 };
  writableLength = 0;
  writableNeedDrain = false;
  destroyed = false;

  writeHead(): void {}

  write(text: string): boolean {
    this.writableLength += text.length;
    this.writableNeedDrain = true;
    return false;
  }

  take(bytes: number): void {
    this.socket.bytesWritten += bytes;
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
  const cancellation = new AbortController();
  const receipt = { requestId: 'r', receivedAt: 0 };
  const reply = {
    raw,
    request: { scope: { receipt, leaving: () => false } },
    header() {},
    hijack() {},
    getHeaders: () => ({}),
  };
  const writer = new EventWriter({
    reply: reply as unknown as FastifyReply,
    clock,
    contentType: 'text/event-stream',
    heartbeat: () => ':\n',
    heartbeatMs: 60_000,
    bufferBytes: 10,
    stalledMs: 1000,
    signal: cancellation.signal,
  });
  return { clock, raw, writer, cancellation };
}

describe('a reader that is slower than the model', () => {
  it('is waited for as long as it takes anything at all', async () => {
    const { clock, raw, writer } = start();
    const written = writer.write('x'.repeat(50));
    for (let taken = 0; taken < 5; taken += 1) {
      await clock.advance(900);
      raw.take(10);
    }
    await written;
    expect(raw.destroyed).toBe(false);
  });

  it('is waited for no longer than the request may take', async () => {
    const { raw, writer, cancellation } = start();
    const outcome = (writer.write('x'.repeat(50)) ?? Promise.resolve()).catch((error) => error);
    const reason = new Error('the time is over');
    cancellation.abort(reason);
    expect(await outcome).toBe(reason);
    expect(raw.destroyed).toBe(false);
  });

  it('is cut off when it takes nothing for the whole time', async () => {
    const { clock, raw, writer } = start();
    const outcome = (writer.write('x'.repeat(50)) ?? Promise.resolve()).catch((error) => error.code);
    await clock.advance(900);
    raw.take(10);
    await clock.advance(2000);
    expect(await outcome).toBe('client_gone');
    expect(raw.destroyed).toBe(true);
  });

  it('hears no heartbeat after the stream has stopped', async () => {
    const { clock, raw, writer } = start();
    const written = writer.write('x'.repeat(50));
    writer.stop();
    raw.take(50);
    await written;
    await clock.advance(120_000);
    expect(raw.writableLength).toBe(0);
  });
});
