import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SlotNumbers } from '../../../src/scheduling/slot-numbers.ts';

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
