import { expect, it } from 'vitest';
import type { LeasedSlots } from '../../../src/core/leased-slots.ts';
import { withoutShare } from '../../../src/serving/lease-state.ts';

function without(store: 'up' | 'away', leased: Partial<LeasedSlots>): boolean {
  const none: LeasedSlots = { slots: 0, basis: 'none', replicas: 0, target_slots: 0, even_share: null };
  return withoutShare({ store, targets: [{ shared: 'gpu-1', ...none, ...leased }] }).has('gpu-1');
}

it.each<[string, boolean, 'up' | 'away', Partial<LeasedSlots>]>([
  ['of a server that has started while the store is away', true, 'away', {}],
  ['of one whose even share is none', true, 'away', { basis: 'even_share', replicas: 3, even_share: 0 }],
  ['before the store has answered for the first time', true, 'up', {}],
  ['of a store that has just started and grants nothing yet', false, 'up', { basis: 'lease', replicas: 1 }],
  ['after a lease has ended, of a store that is asked', false, 'up', { replicas: 2 }],
  ['while a lease lasts', false, 'away', { basis: 'lease', replicas: 2, slots: 1 }],
  ['of one with an even share', false, 'away', { basis: 'even_share', replicas: 2, slots: 2, even_share: 2 }],
  ['where all wait until the store is back', false, 'away', { basis: 'none', replicas: 2, even_share: 2 }],
])('%s, that nothing can be begun is %s', (_, expected, store, leased) => {
  expect(without(store, leased)).toBe(expected);
});

it('slots that are not leased need no share', () => {
  expect(withoutShare(undefined).size).toBe(0);
});
