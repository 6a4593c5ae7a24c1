import { beforeEach, describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { WrongKeys } from '../../../src/http/wrong-keys.ts';
import type { LimitStore } from '../../../src/limits/limit-store.ts';
import { MemoryLimitStore } from '../../../src/limits/memory-limit-store.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const MINUTE_MS = 60_000;

let clock: FakeClock;
let store: LimitStore;
let kinds: string[];
let wrongKeys: WrongKeys;

beforeEach(() => {
  clock = new FakeClock();
  store = new MemoryLimitStore({ clock, maxKeys: () => 1000 });
  kinds = [];
  wrongKeys = new WrongKeys({ store, onWrongKey: (kind) => kinds.push(kind) });
});

function refusal(address = '192.0.2.1'): ServingError {
  const error = wrongKeys.refusalOf(address);
  if (error instanceof ServingError) return error;
  throw new Error('it had to be waited for');
}

const codes = (count: number) => Array.from({ length: count }, () => refusal().code);

describe('wrong keys of an address', () => {
  it('are a 401 ten times in a minute, then a 429 that says how long', () => {
    expect(new Set(codes(10))).toEqual(new Set(['invalid_api_key']));
    clock.pass(1000);
    const error = refusal();
    expect(error).toMatchObject({ code: 'too_many_attempts', retryAfterSeconds: 59 });
    expect(error.message).toBe(
      'The API key is not valid, and this address has sent 10 invalid keys within 1 min. A valid key is accepted at any time.',
    );
    expect(kinds).toEqual([...Array.from({ length: 10 }, () => 'invalid'), 'blocked']);
    expect(refusal('192.0.2.2').code, 'of another address').toBe('invalid_api_key');
  });

  it('are a 401 while a shared store is away that decides nothing: nobody knows how many there were', () => {
    const undecided = new WrongKeys({
      store: { ...store, decide: () => ({ admission: undefined, states: [] }) } as unknown as LimitStore,
      onWrongKey: (kind) => kinds.push(kind),
    });
    expect(undecided.refusalOf('192.0.2.1')).toMatchObject({ code: 'invalid_api_key' });
    expect(kinds).toEqual(['invalid']);
  });

  it('have to wait the longer, the more there were', () => {
    const waits: number[] = [];
    for (let day = clock.now() + 24 * 60 * MINUTE_MS; clock.now() < day; ) {
      const error = refusal();
      if (error.code === 'invalid_api_key') continue;
      const seconds = error.retryAfterSeconds ?? 0;
      waits.push(seconds);
      clock.pass(seconds * 1000);
    }
    expect(kinds.filter((kind) => kind === 'invalid')).toHaveLength(100);
    expect(waits.slice(0, 2)).toEqual([60, 540]);
    expect(Math.max(...waits)).toBeGreaterThan(12 * 3600);
  });

  it('are waited for where a shared store decides', async () => {
    wrongKeys = new WrongKeys({
      store: { ...store, decide: async (charges) => store.decide(charges) },
      onWrongKey: (kind) => kinds.push(kind),
    });
    expect(await wrongKeys.refusalOf('192.0.2.1')).toMatchObject({ code: 'invalid_api_key' });
    expect(kinds).toEqual(['invalid']);
  });
});
