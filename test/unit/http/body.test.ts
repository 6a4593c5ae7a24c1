import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { decodeUtf8, isLarge, LoopTurns, parseJson, ReceivedBytes } from '../../../src/http/body.ts';

describe('the text of a body', () => {
  describe.each([
    ['small', 1],
    ['large', 40_000],
  ])('a %s body', (size, times) => {
    it.each(['a', 'ü', '語', '😀', 'a\u0000b', '\u2028', 'x😀ü語'])('of %j is decoded exactly', (piece) => {
      const text = piece.repeat(times * 2);
      const bytes = Buffer.from(text);
      expect(isLarge(bytes)).toBe(size === 'large');
      expect(decodeUtf8(bytes) === text).toBe(true);
    });

    it('may begin with a byte order mark', () => {
      const text = `{"a":"${'ü'.repeat(times * 2)}"}`;
      expect(decodeUtf8(Buffer.from(`\uFEFF${text}`)) === text).toBe(true);
    });

    it.each([
      ['a byte of Latin-1', Buffer.from([0xe4])],
      ['half a surrogate pair', Buffer.from([0xed, 0xa0, 0x80])],
      ['a character cut off', Buffer.from([0xe8, 0xaa])],
      ['an overlong slash', Buffer.from([0xc0, 0xaf])],
    ])('with %s is refused', (_, wrong) => {
      const bytes = Buffer.concat([Buffer.alloc(times * 2, 'a'), wrong]);
      expect(() => decodeUtf8(bytes)).toThrow('not valid UTF-8');
    });
  });

  it.each(['', ' ', '\n\t '.repeat(50_000)])('a body without a value is called empty', (text) => {
    expect(() => parseJson(text)).toThrow(
      new ServingError('invalid_json', { message: 'The body is empty. Send a JSON object.' }),
    );
  });

  it('what is no JSON is refused with what the parser found', () => {
    expect(() => parseJson('{"a":}')).toThrow(/^The body is not valid JSON: /);
  });
});

describe('the received bytes of a body', () => {
  const whole = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251));

  it.each([1, 7, 1000, 65_536, 65_537, 300_000])(
    'gives back what came in pieces of %i bytes',
    (pieceBytes) => {
      const received = new ReceivedBytes();
      for (let at = 0; at < whole.length; at += pieceBytes) received.add(whole.subarray(at, at + pieceBytes));
      expect(received.length).toBe(whole.length);
      expect(received.take().equals(whole)).toBe(true);
    },
  );

  it('of nothing gives nothing', () => {
    const received = new ReceivedBytes();
    received.add(Buffer.alloc(0));
    expect(received.take()).toHaveLength(0);
  });

  it('does not hold on to the memory of its pieces', () => {
    const received = new ReceivedBytes();
    const page = Buffer.from('abc');
    received.add(page);
    page.fill('x');
    expect(received.take().toString()).toBe('abc');
  });
});

describe('turns of the event loop', () => {
  it('gives each turn of the event loop to one, in their order', async () => {
    const ends: (() => void)[] = [];
    const turns = new LoopTurns({ atEndOfTurn: (run) => ends.push(run) });
    const done: string[] = [];
    const work = async (name: string) => {
      await turns.next();
      done.push(`${name} 1`);
      await turns.next();
      done.push(`${name} 2`);
    };
    const endTurn = async () => {
      ends.shift()?.();
      await Promise.resolve();
      await Promise.resolve();
      expect(ends.length).toBeLessThanOrEqual(1);
      return [...done];
    };
    const all = [work('a'), work('b')];
    expect(done).toEqual([]);
    expect(await endTurn()).toEqual(['a 1']);
    expect(await endTurn()).toEqual(['a 1', 'b 1']);
    expect(await endTurn()).toEqual(['a 1', 'b 1', 'a 2']);
    expect(await endTurn()).toHaveLength(4);
    await Promise.all(all);
  });
});
