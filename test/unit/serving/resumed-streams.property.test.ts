import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import type { FailureCause } from '../../../src/core/failure.ts';
import type { GenerationEvent } from '../../../src/core/generation.ts';
import type { FakeRun } from '../../support/fake-backend.ts';
import { runs } from '../../support/property-runs.ts';
import { ServedModels } from '../../support/served-models.ts';

const ATTEMPTS = 3;
const CAUSES: readonly FailureCause[] = ['cut', 'reset', 'garbage', 'server_error', 'stalled'];

/** What one attempt does. */
interface Fate {
  /** Characters in a piece. */
  readonly pieceLength: number;
  /** After so many pieces; beyond them it is whole. */
  readonly breaksAfter: number;
  readonly cause: FailureCause;
  /** Where it says another character, if the answer is as long; never of the first attempt. */
  readonly differsAt: number;
}

const fates: fc.Arbitrary<readonly Fate[]> = fc.array(
  fc.record({
    pieceLength: fc.integer({ min: 1, max: 5 }),
    breaksAfter: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant(99)),
    cause: fc.constantFrom(...CAUSES),
    differsAt: fc.oneof({ weight: 3, arbitrary: fc.constant(99) }, { weight: 1, arbitrary: fc.nat(20) }),
  }),
  { minLength: ATTEMPTS, maxLength: ATTEMPTS },
);
const answers = fc
  .array(fc.constantFrom('a', 'b', ' ', '\n', 'ä', '語', '😀', '👍🏽'), { minLength: 1, maxLength: 20 })
  .map((characters) => characters.join(''));

function said(answer: string, { differsAt }: Fate, isFirst: boolean): string {
  const characters = [...answer];
  if (!isFirst && differsAt < characters.length) characters[differsAt] = '#';
  return characters.join('');
}

function play(run: FakeRun, text: string, { pieceLength, breaksAfter, cause }: Fate): void {
  const characters = [...text];
  run.send({ type: 'start', promptTokens: 3 });
  for (let at = 0, pieces = 0; at < characters.length; at += pieceLength, pieces += 1) {
    if (pieces === breaksAfter) break;
    run.send({ type: 'text', text: characters.slice(at, at + pieceLength).join('') });
  }
  if (breaksAfter * pieceLength < characters.length || breaksAfter === 0) {
    run.fail(new ServingError('backend_error', { failure: cause }));
    return;
  }
  const usage = { promptTokens: 3, completionTokens: characters.length, cachedTokens: 0 };
  run.send({ type: 'finish', reason: 'stop', usage });
}

const textOf = (events: readonly GenerationEvent[]) =>
  events.map((event) => (event.type === 'text' ? event.text : '')).join('');

it('a greedy stream has one end; with success it is one attempt’s answer, otherwise a beginning of what was sent', async () => {
  await fc.assert(
    fc.asyncProperty(answers, fates, async (answer, drawn) => {
      const names = ['one', 'two', 'three'];
      const models = new ServedModels(Object.fromEntries(names.map((name) => [name, {}])), {
        retry: { attempts: ATTEMPTS },
      });
      const asked = models.ask({ request: { sampling: { temperature: 0 } } });
      const played = new Set<FakeRun>();
      const all: string[] = [];
      for (const [attempt, fate] of drawn.entries()) {
        // A pause before another try at the same target is 2 s at most.
        for (let waits = 0; waits < 3 && asked.ends() === 0; waits += 1) {
          await models.clock.settle();
          const next = names.flatMap((name) => models.runsAt(name)).find((run) => !played.has(run));
          if (next === undefined) {
            await models.clock.advance(2000);
            continue;
          }
          played.add(next);
          const text = said(answer, fate, attempt === 0);
          all.push(text);
          play(next, text, fate);
          break;
        }
      }
      await models.clock.settle();
      expect(asked.ends()).toBe(1);
      const text = textOf(asked.events);
      if (asked.outcome() === 'finished') expect(text).toBe(all.at(-1));
      else expect(all.some((each) => each.startsWith(text))).toBe(true);
      expect(asked.events.filter(({ type }) => type === 'start').length).toBeLessThanOrEqual(1);
      expect(models.slotsUsed()).toBe(0);
      expect(models.waiting()).toBe(0);
    }),
    runs(1200),
  );
});
