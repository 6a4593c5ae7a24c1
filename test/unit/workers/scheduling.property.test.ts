import fc from 'fast-check';
import { expect, it } from 'vitest';
import { runs } from '../../support/property-runs.ts';
import { type WorkerStep, WorkerWorld, workerSteps } from '../../support/worker-world.ts';

const NOTHING = { waiting: 0, waitingBytes: 0, running: 0 };
const UNUSED = { slots: 0, tokens: 0 };

/** `turns`: how many end after each step, in its turn; absent: as many as have something to do. */
async function play(world: WorkerWorld, steps: readonly WorkerStep[], turns?: readonly number[]) {
  await world.settle();
  for (const [index, step] of steps.entries()) {
    world.apply(step);
    if (turns !== undefined)
      for (let turn = turns[index % turns.length] ?? 0; turn > 0; turn -= 1) await world.clock.endTurn();
    if (step.kind === 'advance') await world.clock.advance(step.ms);
    else if (turns === undefined) await world.settle();
  }
  await world.drain();
}

const turns = fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 20 });

it('whatever workers do and whenever they die: nobody is dropped or granted twice, no slot is taken twice, and all is given back', async () => {
  await fc.assert(
    fc.asyncProperty(workerSteps(true), turns, async (steps, ends) => {
      const world = new WorkerWorld('workers', ends.length % 2);
      await play(world, steps, ends);
      expect(world.held()).toEqual([NOTHING, UNUSED, UNUSED, NOTHING, NOTHING, NOTHING]);
      await world.close();
    }),
    runs(200),
  );
});

it('with several workers, requests get the same slots in the same order, the same positions and errors, as in one process', async () => {
  await fc.assert(
    fc.asyncProperty(workerSteps(false), async (steps) => {
      const [together, apart] = [new WorkerWorld('one process'), new WorkerWorld('workers')];
      for (const world of [together, apart]) {
        await play(world, steps);
        await world.close();
      }
      expect(apart.log).toEqual(together.log);
    }),
    runs(200),
  );
});
