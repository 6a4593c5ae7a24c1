import { expect, it } from 'vitest';
import { SharedSlots } from '../../../src/serving/shared-slots.ts';
import type { Target } from '../../../src/serving/targets.ts';
import { FakeBackend, fakeTarget } from '../../support/fake-backend.ts';

const READY = { state: 'ready', loaded: true } as const;
const UNREACHABLE = { state: 'unreachable', loaded: false } as const;

const shared = (id: string, changes: Partial<Target> = {}): Target => ({
  ...fakeTarget(new FakeBackend(), { id, status: READY, health: 'ready' }),
  sharedAs: `http://${id}`,
  ...changes,
});

interface Given {
  readonly targets: readonly Target[];
  readonly left?: readonly { readonly target: Target; readonly used: number }[];
  readonly waiting?: number;
  readonly used?: number;
}

function sharing({ targets, left = [], waiting = 0, used = 1 }: Given) {
  const leased = new Map<string, number>();
  const slots = new SharedSlots({
    scheduler: {
      usedOf: () => ({ slots: used, tokens: 0 }),
      waiting: () => ({ requests: waiting, sizeBytes: 0 }),
    },
    dispatcher: { setLease: ({ id }, lease) => void leased.set(id, lease.slots) },
    targets: () => targets,
    left: () => left,
  });
  return { slots, leased };
}

const waitingOf = (targets: readonly Target[], waiting: number) =>
  sharing({ targets, waiting })
    .slots.demands()
    .map(({ target, waiting: part }) => [target, part]);

it('what waits is asked for once: each target has its part, by its slots', () => {
  const targets = [shared('large', { slots: 3 }), shared('small', { slots: 1 })];
  expect(waitingOf(targets, 8)).toEqual([
    ['http://large', 6],
    ['http://small', 2],
  ]);
  expect(waitingOf(targets, 1)).toEqual([
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
  expect(waitingOf(targets, 4)).toEqual([
    ['http://one', 4],
    ['http://down', 0],
    ['http://fallback', 0],
  ]);
});

it('what runs at a target that a reload has replaced is of the same lease', () => {
  const before = shared('one', { slots: 8 });
  const after = shared('one', { slots: 8 });
  const { slots, leased } = sharing({ targets: [after], left: [{ target: before, used: 3 }], used: 2 });
  expect(slots.demands()).toEqual([{ target: 'http://one', slots: 8, used: 5, waiting: 0 }]);
  slots.allow(() => ({ slots: 6, until: 1 }));
  expect(leased).toEqual(new Map([['one', 3]]));
  expect(slots.used()).toEqual(new Map([['one', { name: 'http://one', used: 5 }]]));
});

it('what runs at a target that a reload has taken out is counted until it has ended', () => {
  const left = [{ target: shared('gone', { slots: 8 }), used: 3 }];
  expect(sharing({ targets: [], left }).slots.demands()).toEqual([
    { target: 'http://gone', slots: 8, used: 3, waiting: 0 },
  ]);
  expect(sharing({ targets: [], left: left.map((each) => ({ ...each, used: 0 })) }).slots.demands()).toEqual(
    [],
  );
});

it('a number of slots that is only assumed, until the server says it, is not said to others', () => {
  const target = shared('one', { slots: 4, slotsConfigured: false, status: UNREACHABLE, health: 'starting' });
  const { slots } = sharing({ targets: [target] });
  expect(slots.demands()).toEqual([]);
  target.status = { ...READY, slots: 32 };
  expect(slots.demands()).toMatchObject([{ slots: 32 }]);
  target.status = UNREACHABLE;
  expect(slots.demands()).toMatchObject([{ slots: 32 }]);
});

it('what runs at a target with slots: auto counts while its server does not answer', () => {
  const target = shared('one', { slotsAdaptive: true, status: { ...READY, slots: 8 } });
  const { slots } = sharing({ targets: [target], used: 2 });
  expect(slots.demands()).toMatchObject([{ slots: 8, used: 2 }]);
  target.status = UNREACHABLE;
  expect(slots.demands()).toMatchObject([{ slots: 8, used: 2 }]);
});

it('with slots: auto, and a server that does not say how many it has, there is nothing to divide', () => {
  expect(sharing({ targets: [shared('one', { slotsAdaptive: true })] }).slots.demands()).toEqual([]);
});
