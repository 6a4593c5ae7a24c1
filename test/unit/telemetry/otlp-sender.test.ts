import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRefused } from '../../../src/telemetry/otlp-answer.ts';
import { OtlpSender, pauseBeforeNextTry, readRetryAfter } from '../../../src/telemetry/otlp-sender.ts';
import { FakeClock } from '../../support/fake-clock.ts';

interface Answer {
  readonly status: number;
  readonly retryAfter?: string;
  readonly body?: Buffer;
}

const BODY = Buffer.from('an export');
const NOTHING = Buffer.alloc(0);

/** A sender over a connection that gives these answers, one after the other, and then 200. Nothing of it waits. */
function sending(...answers: readonly (Answer | 'no answer' | 'cut')[]) {
  const left = [...answers];
  const clock = new FakeClock();
  const triedAt: number[] = [];
  let end: (error: Error) => void = () => {};
  const connection = {
    post: async (_: Uint8Array, signal: AbortSignal) => {
      triedAt.push(clock.now());
      const next = left.shift() ?? { status: 200 };
      if (next === 'cut') throw new Error('socket hang up');
      if (next !== 'no answer')
        return { status: next.status, retryAfter: next.retryAfter, body: next.body ?? NOTHING };
      return new Promise<never>((_resolve, reject) => {
        end = reject;
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    },
    close: async () => end(new Error('destroyed')),
  };
  const sender = new OtlpSender({ connection, clock, random: () => 0.5 });
  const sent = sender.send(BODY).catch((error: Error) => error.message);
  return { sender, sent, clock, triedAt };
}

describe('an export', () => {
  it.each([429, 502, 503, 504])('that is answered %i is sent again after a growing pause', async (status) => {
    const { sent, clock, triedAt } = sending({ status }, { status }, { status });
    await clock.advance(9_000);
    expect(await sent).toBeUndefined();
    expect(triedAt).toEqual([0, 1000, 2500, 4750]);
  });

  it('is sent again after the time of Retry-After', async () => {
    const { sent, clock, triedAt } = sending({ status: 503, retryAfter: '7' });
    await clock.advance(9_000);
    expect(await sent).toBeUndefined();
    expect(triedAt).toEqual([0, 7000]);
  });

  it.each(['0', 'Fri, 27 Nov 1998 09:00:00 GMT'])(
    'is not sent again without a pause, whatever Retry-After has: %s',
    async (retryAfter) => {
      const { sent, clock, triedAt } = sending({ status: 503, retryAfter }, { status: 503, retryAfter });
      await clock.advance(3_000);
      expect(await sent).toBeUndefined();
      expect(triedAt).toEqual([0, 1000, 2500]);
    },
  );

  it('is lost after ten seconds too where its connection does not look at the signal', async () => {
    const clock = new FakeClock();
    const connection = { post: () => new Promise<never>(() => {}), close: async () => {} };
    const sender = new OtlpSender({ connection, clock, random: () => 0.5 });
    const sent = sender.send(BODY).catch((error: Error) => error.message);
    await clock.advance(10_000);
    expect(await sent).toBe('the receiver did not answer in time');
  });

  it('is lost at once where the time of Retry-After is too late', async () => {
    const { sent, triedAt } = sending({ status: 429, retryAfter: '10' });
    expect(await sent).toBe('status 429');
    expect(triedAt).toEqual([0]);
  });

  it.each([400, 401, 404, 408, 413, 500, 501, 301])('that is answered %i is lost at once', async (status) => {
    const { sent, triedAt } = sending({ status, retryAfter: '1' });
    expect(await sent).toBe(`status ${status}`);
    expect(triedAt).toEqual([0]);
  });

  it('that got no answer is sent again', async () => {
    const { sent, clock, triedAt } = sending('cut');
    await clock.advance(2_000);
    expect(await sent).toBeUndefined();
    expect(triedAt).toEqual([0, 1000]);
  });

  it('is lost after ten seconds, with its tries', async () => {
    const hanging = sending('no answer');
    await hanging.clock.advance(10_000);
    expect(await hanging.sent).toBe('the receiver did not answer in time');
    const failing = sending(...Array.from({ length: 10 }, () => 'cut' as const));
    await failing.clock.advance(10_000);
    expect(await failing.sent).toBe('socket hang up');
    expect(failing.triedAt).toEqual([0, 1000, 2500, 4750, 8125]);
    expect(failing.clock.pendingTimers).toBe(0);
  });

  it('that is under way at the end is not sent again', async () => {
    const { sender, sent, triedAt } = sending('no answer');
    await sender.close();
    expect(await sent).toBe('destroyed');
    expect(triedAt).toEqual([0]);
  });

  it('that is accepted in part says so', async () => {
    // partial_success { rejected_spans: 300, error_message: "old" }
    const body = Buffer.from([0x0a, 8, 0x08, 0xac, 0x02, 0x12, 3, 0x6f, 0x6c, 0x64]);
    expect(await sending({ status: 200, body }).sent).toEqual({ spans: 300, message: 'old' });
  });
});

describe('the pause before the next try', () => {
  it('grows to five seconds, give or take a fifth', () => {
    expect([1, 2, 3, 4, 5, 50].map((tries) => pauseBeforeNextTry(tries, 0.5))).toEqual([
      1000, 1500, 2250, 3375, 5000, 5000,
    ]);
    expect(pauseBeforeNextTry(1, 0)).toBe(800);
    expect(pauseBeforeNextTry(1, 1)).toBeCloseTo(1200);
  });

  const NOW = Date.parse('2026-11-27T10:00:00Z');
  it.each([
    ['3', 3000],
    ['0', 0],
    ['Fri, 27 Nov 2026 10:00:07 GMT', 7000],
    ['Fri, 27 Nov 2026 09:00:00 GMT', 0],
    ['soon', undefined],
    ['-1', undefined],
    [undefined, undefined],
  ])('is that of Retry-After: %s', (header, pauseMs) => {
    expect(readRetryAfter(header, NOW)).toBe(pauseMs);
  });
});

describe('what was refused', () => {
  it.each([
    ['nothing, in an empty answer', [], undefined],
    ['nothing, in a partial success without a field', [0x0a, 0], undefined],
    ['nothing, with a warning', [0x0a, 3, 0x12, 1, 0x61], { spans: 0, message: 'a' }],
    ['some', [0x0a, 2, 0x08, 7], { spans: 7, message: '' }],
    ['some, beside fields to come', [0x15, 1, 2, 3, 4, 0x0a, 4, 0x18, 1, 0x08, 7], { spans: 7, message: '' }],
    ['nothing, in an answer that breaks off', [0x0a, 9, 0x08], undefined],
    ['nothing, in JSON', [...Buffer.from('{"partialSuccess":{}}')], undefined],
  ])('is %s', (_, bytes, refused) => {
    expect(readRefused(Buffer.from(bytes))).toEqual(refused);
  });

  it('is read from any bytes without an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const refused = readRefused(Buffer.from(bytes));
        if (refused !== undefined) expect(refused.spans).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
