import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { RequestContext } from '../../../src/http/context.ts';
import { hopsOf, loopStep } from '../../../src/http/loop-detection.ts';

const HEADER = 'x-llm-serve-hops';
const ids = (count: number) => Array.from({ length: count }, (_, index) => `server-${index}`).join(', ');

/** What the step of the instance `own` does with a request that has these hops. */
function step(hops: string | undefined): void {
  const headers = hops === undefined ? {} : { [HEADER]: hops };
  const context = { request: { headers } as IncomingMessage } as RequestContext;
  loopStep('own')(context);
}

describe('a request', () => {
  it.each([
    ['of a client', undefined],
    ['that came through another server', 'other'],
    ['that came through seven others', ids(7)],
    ['whose header holds nothing of ours', 'own?, <own>, "own"'],
    ['with an empty header', ''],
  ])('%s passes', (_, hops) => {
    expect(() => step(hops)).not.toThrow();
  });

  it.each([
    ['that this server sent itself', 'own'],
    ['that came back to it through another', 'own, other'],
    ['that came back to it, written without spaces', 'other,own'],
    ['that came through eight others', ids(8)],
  ])('%s is a loop', (_, hops) => {
    expect(() => step(hops)).toThrow(expect.objectContaining({ code: 'loop_detected' }));
  });
});

describe('the hops for the next server', () => {
  it('are those that the request came through, without what did not come from us', () => {
    expect(hopsOf({ [HEADER]: 'one,two' })).toBe('one, two');
    expect(hopsOf({ [HEADER]: 'one, bad\tvalue, two' })).toBe('one, two');
    expect(hopsOf({ [HEADER]: '?' })).toBeUndefined();
    expect(hopsOf({})).toBeUndefined();
  });
});
