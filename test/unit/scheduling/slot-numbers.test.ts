import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SlotNumbers } from '../../../src/scheduling/slot-numbers.ts';
import { entry, settled, started } from '../../support/scheduling.ts';

it('gives the lowest number that is free, and each to one only', () => {
  const step = fc.oneof({ weight: 3, arbitrary: fc.constant('take' as const) }, fc.nat());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const numbers = new SlotNumbers();
      const taken: number[] = [];
      for (const next of steps) {
        if (next === 'take') {
          const number = numbers.take();
          for (let below = 0; below < number; below += 1) expect(taken).toContain(below);
          expect(taken).not.toContain(number);
          taken.push(number);
        } else if (taken.length > 0) {
          const [number = 0] = taken.splice(next % taken.length, 1);
          numbers.giveBack(number);
        }
      }
    }),
  );
});

it('a target that comes in the place of one of its name counts on with the slots that are still taken', () => {
  const target = { id: 't', model: 'm', state: 'ready' as const, slots: 4 };
  const scheduler = started({}, 4);
  const run = (...ids: readonly string[]) => {
    for (const id of ids) scheduler.enqueue(entry(id), 0);
    return scheduler
      .tick(0)
      .flatMap((decision) => (decision.type === 'dispatch' ? decision.batch.members : []))
      .map(({ slot }) => slot);
  };
  expect(run('a', 'b')).toEqual([0, 1]);
  scheduler.removeTarget(target, 0);
  scheduler.setTarget(target, 0);
  expect(run('c')).toEqual([2]);
  scheduler.removeTarget(target, 0);
  for (const id of ['a', 'b', 'c']) scheduler.release(id, settled(), 1);
  scheduler.setTarget(target, 1);
  expect(run('d')).toEqual([0]);
});
