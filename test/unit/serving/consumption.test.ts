import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import type { GenerationEvent } from '../../../src/core/generation.ts';
import { ServedModels } from '../../support/served-models.ts';

const START: GenerationEvent = { type: 'start', promptTokens: 3, cachedTokens: 2 };
const TEXT: GenerationEvent = { type: 'text', text: 'hi' };
const FINISH: GenerationEvent = {
  type: 'finish',
  reason: 'stop',
  usage: { promptTokens: 3, cachedTokens: 2, completionTokens: 7 },
};
const CUT = new ServingError('backend_error', { failure: 'cut' });

describe('what a request consumed', () => {
  it('is what the backend counted, and the time of its slot', async () => {
    const models = new ServedModels({ one: {} });
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').send(START);
    await models.clock.advance(40);
    models.lastAt('one').send(FINISH);
    await models.clock.settle();
    const counts = { promptTokens: 3, cachedTokens: 2, completionTokens: 7, slotMs: 40 };
    expect(asked.trace.consumed).toEqual({ ...counts, tries: [{ model: 'm', target: 'one', ...counts }] });
  });

  it('has the tries that failed, each at its target', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask({ delivery: 'whole' });
    await models.clock.settle();
    for (const event of [START, TEXT]) models.lastAt('one').send(event);
    await models.clock.advance(10);
    models.lastAt('one').fail(CUT);
    await models.clock.settle();
    models.lastAt('other').send(START);
    await models.clock.advance(5);
    models.lastAt('other').send(FINISH);
    await models.clock.settle();
    expect(asked.trace.consumed).toMatchObject({
      promptTokens: 6,
      cachedTokens: 4,
      completionTokens: 8,
      slotMs: 15,
      tries: [
        { target: 'one', completionTokens: 1, slotMs: 10 },
        { target: 'other', completionTokens: 7, slotMs: 5 },
      ],
    });
  });

  it('has no tokens of a try that failed before the backend answered anything, but the time of its slot', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask();
    await models.clock.settle();
    await models.clock.advance(10);
    models.lastAt('one').fail(CUT);
    await models.clock.settle();
    models.lastAt('other').send(FINISH);
    await models.clock.settle();
    expect(asked.trace.consumed).toMatchObject({ promptTokens: 3, completionTokens: 7, slotMs: 10 });
  });

  it('has the tokens that were there when its client left, of the prompt at least an estimate', async () => {
    const models = new ServedModels({ one: {} });
    const early = models.ask();
    const late = models.ask();
    await models.clock.settle();
    for (const event of [START, TEXT, TEXT]) models.lastAt('one').send(event);
    early.cancellation.cancel(new ServingError('client_gone'));
    late.cancellation.cancel(new ServingError('client_gone'));
    expect(late.trace.consumed).toMatchObject({ promptTokens: 3, cachedTokens: 2, completionTokens: 2 });
    expect(early.trace.consumed?.promptTokens).toBeGreaterThan(0);
    expect(early.trace.consumed?.completionTokens).toBe(0);
  });

  it('is nothing where it got no slot', async () => {
    const models = new ServedModels({ one: { slots: 1 } });
    models.ask();
    await models.clock.settle();
    const waiting = models.ask();
    await models.clock.settle();
    waiting.cancellation.cancel(new ServingError('client_gone'));
    expect(waiting.trace.consumed).toMatchObject({ promptTokens: 0, slotMs: 0, tries: [] });
  });
});
