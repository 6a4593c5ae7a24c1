import { expect, it } from 'vitest';
import type { WaitingReason } from '../../../src/core/live-snapshot.ts';
import { waitingReason } from '../../../src/scheduling/queue-view.ts';

const NEXT = { serves: true, isLoading: false, isCollecting: false, isNext: true, hasFreeSlot: false };

it.each<[WaitingReason, Partial<typeof NEXT>]>([
  ['no_free_slot', {}],
  ['no_free_slot', { isLoading: true }],
  ['token_limit', { hasFreeSlot: true }],
  ['turn_of_others', { isNext: false }],
  ['turn_of_others', { isNext: false, hasFreeSlot: true }],
  ['batch_window', { isCollecting: true, hasFreeSlot: true }],
  ['batch_window', { isCollecting: true, isNext: false }],
  ['model_loading', { serves: false, isLoading: true }],
  ['no_target_serves', { serves: false }],
  ['no_target_serves', { serves: false, isCollecting: true, hasFreeSlot: true }],
])('%s where the next of a served model is %j', (reason, difference) => {
  expect(waitingReason({ ...NEXT, ...difference })).toBe(reason);
});
