import { describe, expect, it } from 'vitest';
import type { ServingError } from '../../../src/core/errors.ts';
import { BODY_BOUNDS, type BodyBound, BodyBudget, JsonScan } from '../../../src/http/body-limits.ts';

describe('the shape of a body', () => {
  const { depth, values, containers, strings, differentKeys } = BODY_BOUNDS;

  function scan(json: string, pieceBytes = Number.POSITIVE_INFINITY): BodyBound | undefined {
    const bytes = Buffer.from(json);
    const reading = new JsonScan();
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const exceeded = reading.push(bytes.subarray(at, at + pieceBytes));
      if (exceeded !== undefined) return exceeded;
    }
    return undefined;
  }

  const list = (count: number, value: (index: number) => string) =>
    `[${Array.from({ length: count }, (_, index) => value(index)).join(',')}]`;
  const object = (count: number, key: (index: number) => string) =>
    `{${Array.from({ length: count }, (_, index) => `"${key(index)}":1`).join(',')}}`;

  describe('at a bound it is content, one above it is not', () => {
    it.each<[BodyBound, string, string]>([
      ['depth', '['.repeat(depth) + ']'.repeat(depth), '['.repeat(depth + 1)],
      ['depth', '{"a":['.repeat(depth / 2), '{"a":['.repeat(depth / 2 + 1)],
      ['values', list(values, () => '1'), list(values + 1, () => '1')],
      ['containers', list(containers - 1, () => '{}'), list(containers, () => '[]')],
      ['strings', list(strings, () => '"a"'), list(strings + 1, () => '"a"')],
      ['strings', object(strings, () => 'same'), object(strings + 1, () => 'same')],
      ['differentKeys', object(differentKeys, (at) => `k${at}`), object(differentKeys + 1, (at) => `k${at}`)],
    ])('%s', (bound, fits, exceeds) => {
      expect(scan(fits)).toBeUndefined();
      expect(scan(exceeds)).toBe(bound);
    });
  });

  it.each([1, 2, 3, 7, 64])('finds the same in pieces of %i bytes', (pieceBytes) => {
    const quoted = `{"a\\"{[,":"\\\\","b":"[[[","ü":["\\u0022,"]}`;
    expect(scan(quoted.repeat(100), pieceBytes)).toBeUndefined();
    expect(scan(`${quoted}${'['.repeat(depth + 1)}`, pieceBytes)).toBe('depth');
    expect(
      scan(
        object(differentKeys + 1, (at) => `k"${at}`.replace('"', '\\"')),
        pieceBytes,
      ),
    ).toBe('differentKeys');
  });

  it('counts nothing inside of strings', () => {
    expect(scan(`{"a":"${'[{,:'.repeat(500_000)}\\"${'[{,:'.repeat(500_000)}"}`)).toBeUndefined();
  });

  it('counts keys that begin alike and are long as different', () => {
    const head = 'k'.repeat(300);
    expect(scan(object(differentKeys + 1, () => head))).toBe('differentKeys');
  });

  it('tells once-seen keys from seen ones whatever object they are in', () => {
    const messages = list(20_000, () => '{"role":"user","content":"hi"}');
    expect(scan(messages)).toBeUndefined();
    expect(scan(list(2500, (at) => `{"a${at}":1,"b${at}":1,"c${at}":1,"d${at}":1,"e":1}`))).toBe(
      'differentKeys',
    );
  });

  it('stops at the first byte that exceeds a bound', () => {
    const bytes = Buffer.alloc(1_000_000, '[');
    const visited = { last: 0 };
    const watched = new Proxy(bytes, {
      get: (target, name) => {
        if (typeof name === 'string' && /^\d+$/.test(name)) visited.last = Number(name);
        return Reflect.get(target, name, target);
      },
    });
    expect(new JsonScan().push(watched)).toBe('depth');
    expect(visited.last).toBe(depth);
  });
});

describe('the bytes of all bodies', () => {
  function budgetOf(maxBytes: number) {
    const budget = new BodyBudget({ maxBodyBytesInFlight: maxBytes });
    const refused: string[] = [];
    const errors: ServingError[] = [];
    const open = (client: string, name = client) =>
      budget.open(client, (error) => {
        refused.push(name);
        errors.push(error);
      });
    return { budget, open, refused, errors };
  }

  describe('the bytes of bodies under way', () => {
    it('are those that have arrived and have not been given back', () => {
      const { budget, open } = budgetOf(100);
      const body = open('a');
      expect(budget.bytes).toBe(0);
      body.add(30);
      body.add(20);
      open('b').add(10);
      expect(budget.bytes).toBe(60);
      body.release();
      expect(budget.bytes).toBe(10);
    });

    it('are given back once, however often it is asked for', () => {
      const { budget, open } = budgetOf(100);
      const body = open('a');
      body.add(30);
      open('a').add(5);
      body.release();
      body.release();
      body.add(50);
      expect(budget.bytes).toBe(5);
    });

    it('fill the bound to its last byte', () => {
      const { open, refused } = budgetOf(100);
      open('a').add(100);
      expect(refused).toEqual([]);
    });
  });

  describe('beyond the bound', () => {
    it('the client that holds most loses its largest body, whoever sent the byte too many', () => {
      const { budget, open, refused } = budgetOf(100);
      open('flood', 'flood small').add(30);
      open('flood', 'flood large').add(40);
      open('single').add(25);
      open('light').add(10);
      expect(refused).toEqual(['flood large']);
      expect(budget.bytes).toBe(65);
    });

    it('of equal bodies the newest goes', () => {
      const { open, refused } = budgetOf(100);
      open('flood', 'first').add(50);
      open('flood', 'second').add(50);
      open('light').add(1);
      expect(refused).toEqual(['second']);
    });

    it('as many go as are needed, and what goes is a 503 that says when to retry', () => {
      const { budget, open, refused, errors } = budgetOf(100);
      for (const name of ['1', '2', '3', '4']) open('flood', name).add(25);
      open('other').add(60);
      // Until the other holds more than what is left of the flood.
      expect(refused).toEqual(['4', '3', 'other']);
      expect(budget.bytes).toBe(50);
      expect(errors[0]).toMatchObject({ code: 'server_busy', retryAfterSeconds: 1 });
    });

    it('what was refused counts no more, also when it sends on', () => {
      const { budget, open } = budgetOf(100);
      const body = open('a');
      body.add(101);
      body.add(1000);
      body.release();
      expect(budget.bytes).toBe(0);
    });
  });
});
