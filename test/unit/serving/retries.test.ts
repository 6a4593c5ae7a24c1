import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import type { FailureCause } from '../../../src/core/failure.ts';
import type { GenerationEvent } from '../../../src/core/generation.ts';
import { FINISH } from '../../support/fake-backend.ts';
import { ServedModels } from '../../support/served-models.ts';

const START: GenerationEvent = { type: 'start', promptTokens: 3 };
const TEXT: GenerationEvent = { type: 'text', text: 'hi' };

function failure(cause: FailureCause, retryAfterSeconds?: number): ServingError {
  return new ServingError('backend_error', {
    failure: cause,
    message: `it failed: ${cause}`,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
}

describe('a request that fails before its client has received anything', () => {
  it('is tried at another target at once, and its client sees one answer', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').send(START);
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.settle();
    for (const event of [START, TEXT, FINISH]) models.lastAt('other').send(event);
    await models.clock.settle();
    expect(asked.outcome()).toBe('finished');
    expect(asked.events).toEqual([START, TEXT, FINISH]);
    expect(models.clock.now()).toBe(0);
    expect(asked.trace.attempts).toMatchObject([
      { target: 'one', kind: undefined, failure: 'server_error' },
      { target: 'other', kind: 'elsewhere', failure: undefined },
    ]);
    expect(asked.trace.target).toBe('other');
    expect(models.slotsUsed()).toBe(0);
  });

  it('whole, is tried again although a part of its answer was there', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask({ delivery: 'whole' });
    await models.clock.settle();
    models.lastAt('one').send(TEXT);
    models.lastAt('one').fail(failure('cut'));
    await models.clock.settle();
    for (const event of [START, TEXT, FINISH]) models.lastAt('other').send(event);
    await models.clock.settle();
    expect(asked.events).toEqual([START, TEXT, FINISH]);
    expect(asked.ends()).toBe(1);
  });

  it('is final once a stream has content, unless it can be continued', async () => {
    const models = new ServedModels({ one: {}, other: {} }, { resume: 'off' });
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').send(TEXT);
    models.lastAt('one').fail(failure('cut'));
    await models.clock.settle();
    expect(asked.events).toEqual([TEXT]);
    expect(asked.outcome()).toBe('backend_error');
    expect(models.runsAt('other')).toHaveLength(0);
  });
});
