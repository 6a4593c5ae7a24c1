import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FairShare } from '../../../src/scheduling/fair-share.ts';
import { QueuedRequest } from '../../../src/scheduling/queued-request.ts';
import { runs } from '../../support/property-runs.ts';
import { entry } from '../../support/scheduling.ts';

let arrivals = 0;

function waiting(client: string, tokens = 10): QueuedRequest {
  arrivals += 1;
  return new QueuedRequest({
    entry: entry(`e${arrivals}`, { client, promptTokens: 0 }),
    rank: { priority: 'normal', flow: client, dueAt: 0 },
    enqueuedAt: 0,
    arrival: arrivals,
    answerTokens: tokens,
    chargedTokens: tokens,
    startBy: 0,
  });
}

/** A class that is never empty. */
function backlogged(): FairShare<QueuedRequest> {
  const share = new FairShare<QueuedRequest>();
  for (let index = 0; index < 50; index += 1) share.add(waiting('flood'));
  return share;
}

it('thousands of clients that came once and were served leave no account behind', () => {
  const share = backlogged();
  for (let index = 0; index < 3000; index += 1) {
    share.add(waiting(`once${index}`));
    share.add(waiting('flood'));
    for (let turn = 0; turn < 2; turn += 1) {
      const next = share.next;
      const flow = next && share.grant(next);
      if (flow) share.settle(flow, { chargedTokens: 10, usedTokens: 10 });
    }
  }
  expect(share.accounts).toBeLessThan(200);
});

it('nor do those that left without having been served', () => {
  const share = backlogged();
  for (let index = 0; index < 3000; index += 1) {
    const left = waiting(`left${index}`);
    share.add(left);
    share.remove(left);
  }
  expect(share.accounts).toBeLessThanOrEqual(2);
});

it('what a client still owes is remembered while others wait', () => {
  const share = backlogged();
  share.add(waiting('debtor', 5000));
  while (share.next?.entry.client === 'flood') share.grant(share.next);
  const flow = share.next && share.grant(share.next);
  if (flow) share.settle(flow, { chargedTokens: 5000, usedTokens: 5000 });
  for (let index = 0; index < 50; index += 1) share.add(waiting('flood'));
  share.add(waiting('debtor'));
  for (let index = 0; index < 50; index += 1) {
    expect(share.next?.entry.client).toBe('flood');
    if (share.next) share.grant(share.next);
  }
});

it('looks ahead in the very order in which it would grant', () => {
  const joins = fc.record({
    client: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    tokens: fc.integer({ min: 1, max: 30 }),
  });
  fc.assert(
    fc.property(fc.array(joins, { maxLength: 40 }), fc.nat({ max: 20 }), (given, grantedBefore) => {
      const share = new FairShare<QueuedRequest>();
      for (const { client, tokens } of given) share.add(waiting(client, tokens));
      const grantNext = () => {
        const { next } = share;
        if (next) share.grant(next);
        return next;
      };
      for (let count = 0; count < grantedBefore; count += 1) grantNext();
      const seen = share.upcoming(8);
      expect(seen).toEqual(Array.from({ length: seen.length }, grantNext));
      expect(seen.length === 8 || share.next === undefined).toBe(true);
    }),
    runs(500),
  );
});
