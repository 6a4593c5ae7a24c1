import { expect, it } from 'vitest';
import { SharedSlots } from '../../../src/serving/shared-slots.ts';
import type { Target } from '../../../src/serving/targets.ts';
import { FakeBackend, fakeTarget } from '../../support/fake-backend.ts';

const shared = (id: string, changes: Partial<Target> = {}): Target => ({
  ...fakeTarget(new FakeBackend(), { id, status: { state: 'ready', loaded: true }, health: 'ready' }),
  sharedAs: `http://${id}`,
  ...changes,
});

function demandsOf(targets: readonly Target[], waiting: number) {
  const slots = new SharedSlots({
    scheduler: {
      usedOf: () => ({ slots: 0, tokens: 0 }),
      waiting: () => ({ requests: waiting, sizeBytes: 0 }),
    },
    dispatcher: { setLease: () => {} },
    targets: () => targets,
    used: () => 1,
  });
  return slots.demands().map(({ target, waiting: part }) => [target, part]);
}

it('what waits is asked for once: each target has its part, by its slots', () => {
  const targets = [shared('large', { slots: 3 }), shared('small', { slots: 1 })];
  expect(demandsOf(targets, 8)).toEqual([
    ['http://large', 6],
    ['http://small', 2],
  ]);
  expect(demandsOf(targets, 1)).toEqual([
    ['http://large', 1],
    ['http://small', 1],
  ]);
});

it('a target that gets nothing, and a fallback beside primary ones, ask for none of it', () => {
  const targets = [
    shared('one', { slots: 2 }),
    shared('down', { slots: 2, health: 'down' }),
    shared('fallback', { slots: 2, role: 'fallback' }),
  ];
  expect(demandsOf(targets, 4)).toEqual([
    ['http://one', 4],
    ['http://down', 0],
    ['http://fallback', 0],
  ]);
});
