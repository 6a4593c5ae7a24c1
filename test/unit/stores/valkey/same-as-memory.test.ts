/** Whatever happens, the scripts decide as the counters in memory do. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import type { Bound, Charge, LimitAdmission } from '../../../../src/limits/limit-store.ts';
import { MemoryLimitStore } from '../../../../src/limits/memory-limit-store.ts';
import type { ScriptRunner } from '../../../../src/stores/valkey/connection.ts';
import { type ValkeyAdmission, ValkeyLimits } from '../../../../src/stores/valkey/limit-store.ts';
import { runs } from '../../../support/property-runs.ts';
import { endingAfterAll } from '../../../support/server.ts';
import { MISSING_VALKEY, startValkey } from '../../../support/valkey.ts';
import { connectedRunner, StoppedTime } from '../../../support/valkey-limits.ts';

const endsWith = endingAfterAll();
let connection: ScriptRunner;
beforeAll(async () => {
  if (MISSING_VALKEY !== undefined) return;
  connection = await connectedRunner((await startValkey({ endsWith })).address);
  endsWith(() => connection.close());
});

const WINDOW_MS = 1000;

/** `endsAt` of a period: from the beginning of a case. */
const bounds = fc.constantFrom<Bound>(
  { kind: 'window', limit: 5, windowMs: WINDOW_MS },
  { kind: 'window', limit: 40, windowMs: 3 * WINDOW_MS },
  { kind: 'window', limit: 40, windowMs: WINDOW_MS, joinWithinMs: 100 },
  { kind: 'period', limit: 100, endsAt: 600_000 },
  { kind: 'now', limit: 4 },
);

const steps = fc.array(
  fc.oneof(
    fc.record({ pass: fc.integer({ min: 1, max: 1200 }) }),
    fc.record({
      charges: fc.uniqueArray(fc.record({ bound: bounds, amount: fc.integer({ min: 0, max: 12 }) }), {
        minLength: 1,
        maxLength: 3,
        selector: ({ bound }) => JSON.stringify(bound),
      }),
    }),
    fc.record({
      running: fc.nat(),
      amounts: fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 3, maxLength: 3 }),
    }),
    fc.record({
      settle: fc.nat(),
      amounts: fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 3, maxLength: 3 }),
    }),
  ),
  { maxLength: 40 },
);

it('decides, settles and shows the same as in memory', async (context) => {
  context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY);
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const runner = new StoppedTime(connection);
      const shared = new ValkeyLimits({ runner, prefix: randomUUID(), replica: 'this' });
      const began = runner.wallNow;
      const clock = { now: () => runner.wallNow - began, wallNow: () => runner.wallNow };
      const memory = new MemoryLimitStore({ clock, maxKeys: () => 1000 });
      const held: { readonly ours: ValkeyAdmission; readonly theirs: LimitAdmission }[] = [];
      for (const step of sequence) {
        if ('pass' in step) runner.pass(step.pass);
        else if ('charges' in step) {
          const charges = step.charges.map(({ bound, amount }) => chargeOf(bound, amount, began));
          const ours = await shared.decide(charges);
          const theirs = memory.decide(charges);
          expect(ours.states).toEqual(theirs.states.map(atMostMicroseconds));
          expect(ours.admission === undefined).toBe(theirs.admission === undefined);
          if (ours.admission && theirs.admission)
            held.push({ ours: ours.admission, theirs: theirs.admission });
        } else if ('running' in step) {
          // Of two, so that some counters are in both.
          const some = held.slice(step.running % Math.max(1, held.length)).slice(0, 2);
          const { amounts } = step;
          const growth = shared.growthOf(some.map(({ ours }) => ({ admission: ours, amounts })));
          for (const settlement of growth) await shared.settle(settlement);
          memory.countRunning(some.map(({ theirs }) => ({ admission: theirs, amounts })));
        } else if (held.length > 0) {
          const [one] = held.splice(step.settle % held.length, 1);
          if (one === undefined) continue;
          const amounts = one.ours.charges.map(({ bound }, index) =>
            bound.kind === 'now' ? 0 : (step.amounts[index] ?? 0),
          );
          await shared.settle(shared.settlementOf(one.ours, amounts));
          memory.settle(one.theirs, amounts);
          const charges = one.ours.charges.map((charge) => ({ ...charge, amount: 1 }));
          expect(await shared.peek(charges)).toEqual(memory.peek(charges).map(atMostMicroseconds));
        }
      }
    }),
    runs(400),
  );
});

function chargeOf(bound: Bound, amount: number, began: number): Charge {
  return {
    counter: `key:one:${JSON.stringify(bound)}`,
    bound: bound.kind === 'period' ? { ...bound, endsAt: Math.round(began + bound.endsAt) } : bound,
    amount,
  };
}

/** Waits are told in whole microseconds by the server. */
function atMostMicroseconds<State extends { readonly retryInMs: number }>(state: State): State {
  return { ...state, retryInMs: Math.round(state.retryInMs * 1000) / 1000 };
}
