import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { TargetState } from '../../../src/core/backend.ts';
import { ServingError } from '../../../src/core/errors.ts';
import { FAILURES, type FailureCause } from '../../../src/core/failure.ts';
import { FINISH } from '../../support/fake-backend.ts';
import { runs } from '../../support/property-runs.ts';
import { type Asked, ServedModels } from '../../support/served-models.ts';

const MAX_TRIES = 3;
const FALLBACKS = { m: ['second'], second: ['m'] };
const TARGETS = ['one', 'two', 'spare', 'other', 'alone'] as const;

type Step =
  | { readonly kind: 'ask'; readonly whole: boolean; readonly model: string; readonly deadlineMs: number }
  | { readonly kind: 'text' | 'start' | 'finish' | 'silence'; readonly pick: number }
  | {
      readonly kind: 'fail';
      readonly pick: number;
      readonly cause: FailureCause | undefined;
      readonly retryAfterSeconds: number | undefined;
    }
  | { readonly kind: 'cancel'; readonly pick: number }
  | { readonly kind: 'state'; readonly target: (typeof TARGETS)[number]; readonly state: TargetState }
  | { readonly kind: 'advance'; readonly ms: number; readonly random: number };

const causes = fc.oneof(
  fc.constantFrom<FailureCause>('reset', 'server_error', 'cut', 'rate_limited'),
  fc.constantFrom(undefined, ...(Object.keys(FAILURES) as FailureCause[])),
);
const pick = fc.nat({ max: 1000 });

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      whole: fc.boolean(),
      model: fc.constantFrom('m', 'm', 'second', 'lonely', 'lonely'),
      deadlineMs: fc.constantFrom(50, 500, 2000, 4000),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('text' as const, 'text' as const, 'start' as const, 'finish' as const),
      pick,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      pick,
      cause: causes,
      retryAfterSeconds: fc.constantFrom(undefined, undefined, 1, 3),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), pick }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('state' as const),
      target: fc.constantFrom(...TARGETS),
      state: fc.constantFrom<TargetState>('ready', 'ready', 'loading', 'unreachable', 'failed'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('advance' as const),
      ms: fc.integer({ min: 0, max: 400 }),
      random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    }),
  },
);

class FaultyWorld {
  readonly models = new ServedModels(
    {
      one: {},
      two: {},
      spare: { role: 'fallback' },
      other: { model: 'second', slots: 1 },
      alone: { model: 'lonely' },
    },
    // These backends do not repeat themselves: nothing is resumed.
    { fallbackModels: FALLBACKS, retry: { attempts: MAX_TRIES }, queueTimeoutMs: 2000, resume: 'off' },
  );
  readonly asked: Asked[] = [];

  async apply(step: Step): Promise<void> {
    const { models, asked } = this;
    switch (step.kind) {
      case 'ask': {
        const { model, deadlineMs } = step;
        asked.push(models.ask({ model, deadlineMs, delivery: step.whole ? 'whole' : 'stream' }));
        break;
      }
      case 'cancel':
        asked[step.pick % Math.max(1, asked.length)]?.cancellation.cancel(new ServingError('client_gone'));
        break;
      case 'state':
        models.backend(step.target).status = { state: step.state, loaded: step.state === 'ready' };
        break;
      case 'advance':
        models.random = step.random;
        await models.clock.advance(step.ms);
        break;
      default:
        this.#answer(step);
    }
    await models.clock.settle();
    for (const { id, slots } of models.targets)
      expect(models.usedAt(id), `slots used at ${id}`).toBeLessThanOrEqual(slots);
  }

  #answer(step: Extract<Step, { readonly pick: number }>): void {
    const { models } = this;
    const runs = TARGETS.flatMap((target) =>
      models.runsAt(target).map((run, index) => ({ run, name: `${target}${index}` })),
    );
    const alive = runs.filter(({ run }) => !run.hasEnded);
    const chosen = alive[step.pick % Math.max(1, alive.length)];
    if (chosen === undefined) return;
    const { run, name } = chosen;
    if (step.kind === 'start') run.send({ type: 'start' });
    else if (step.kind === 'text') run.send({ type: 'text', text: name });
    else if (step.kind === 'finish') run.send(FINISH);
    else if (step.kind === 'fail') run.fail(errorOf(step));
  }

  /** Everything ends: the last answers come, all time limits pass. */
  async end(): Promise<void> {
    await this.models.clock.advance(8000);
    await this.models.serving.close();
    await this.models.clock.settle();
  }
}

function errorOf({ cause, retryAfterSeconds }: Extract<Step, { readonly kind: 'fail' }>): ServingError {
  if (cause === undefined) return new ServingError('invalid_request');
  return new ServingError('backend_error', {
    failure: cause,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
}

it('whatever fails: each request ends once, its content comes from one try, tries are bounded, and nothing is left', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 20, maxLength: 100, size: 'max' }), async (steps) => {
      const world = new FaultyWorld();
      world.models.serving.start();
      for (const step of steps) await world.apply(step);
      await world.end();
      for (const { ends, events, trace, outcome } of world.asked) {
        expect(ends()).toBe(1);
        expect(events.filter(({ type }) => type === 'finish')).toHaveLength(outcome() === 'finished' ? 1 : 0);
        const sources = new Set(events.flatMap((event) => (event.type === 'text' ? [event.text] : [])));
        expect(sources.size).toBeLessThanOrEqual(1);
        // One more at the fallback model, whatever its own model has used up.
        expect(trace.attempts?.length ?? 0).toBeLessThanOrEqual(MAX_TRIES);
        const silences = trace.attempts?.filter(({ failure }) => failure === 'first_token_timeout');
        expect(silences?.length ?? 0).toBeLessThanOrEqual(2);
      }
      expect([world.models.slotsUsed(), world.models.waiting(), world.models.clock.pendingTimers]).toEqual([
        0, 0, 0,
      ]);
    }),
    runs(200),
  );
});
