import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import type { FailureCause } from '../../../src/core/failure.ts';
import type { GenerationEvent } from '../../../src/core/generation.ts';
import { callerNamed } from '../../support/callers.ts';
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

describe('a try at the same target', () => {
  it('follows after a pause, in which the request holds neither a slot nor a place in the queue', async () => {
    const models = new ServedModels({ one: { slots: 1 } });
    models.random = 0.8;
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.advance(79);
    expect([models.slotsUsed(), models.waiting(), models.runsAt('one').length]).toEqual([0, 0, 1]);
    const other = models.ask();
    await models.clock.settle();
    models.lastAt('one').send(FINISH);
    await models.clock.settle();
    expect(other.outcome()).toBe('finished');
    await models.clock.advance(1);
    expect(models.runsAt('one')).toHaveLength(3);
    models.lastAt('one').send(FINISH);
    await models.clock.settle();
    expect(asked.outcome()).toBe('finished');
    expect(asked.trace.attempts?.map(({ kind }) => kind)).toEqual([undefined, 'here']);
  });

  it('ends with the last of them: each failed, and the client gets the last error', async () => {
    const models = new ServedModels({ one: {} });
    const asked = models.ask();
    for (const cause of ['reset', 'server_error', 'garbage'] as const) {
      await models.clock.advance(200);
      models.lastAt('one').fail(failure(cause));
    }
    await models.clock.advance(60_000);
    expect(asked.error()?.message).toBe('it failed: garbage');
    expect(models.runsAt('one')).toHaveLength(3);
    expect(asked.ends()).toBe(1);
  });

  it('waits as long as the server asks for, and not at all where the time limit ends before', async () => {
    const models = new ServedModels({ one: {} });
    const patient = models.ask();
    const hasty = models.ask({ deadlineMs: 7000 });
    await models.clock.settle();
    for (const run of models.runsAt('one')) run.fail(failure('rate_limited', 7));
    await models.clock.settle();
    expect(hasty.outcome()).toBe('backend_error');
    await models.clock.advance(6999);
    expect(models.runsAt('one')).toHaveLength(2);
    await models.clock.advance(1);
    models.lastAt('one').send(FINISH);
    await models.clock.settle();
    expect(patient.outcome()).toBe('finished');
  });

  it('is left out by a client that leaves meanwhile: nothing is asked, nothing is left', async () => {
    const models = new ServedModels({ one: {} });
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.settle();
    asked.cancellation.cancel(new ServingError('client_gone'));
    expect(asked.outcome()).toBe('client_gone');
    await models.clock.advance(5000);
    expect(models.runsAt('one')).toHaveLength(1);
    expect(asked.ends()).toBe(1);
  });

  it('becomes one at another target where one has come up meanwhile', async () => {
    const models = new ServedModels({ one: {}, other: { status: { state: 'unreachable', loaded: false } } });
    models.backend('other').status = { state: 'unreachable', loaded: false };
    models.random = 0.9;
    models.serving.start();
    await models.clock.settle();
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').fail(failure('server_error'));
    models.backend('other').status = { state: 'ready', loaded: true };
    await models.clock.advance(990);
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.advance(300);
    expect(asked.trace.attempts?.map(({ target }) => target)).toEqual(['one', 'one', 'other']);
    await models.serving.close();
  });
});

describe('a long pause', () => {
  it('ends when another target comes up', async () => {
    const models = new ServedModels({ one: {}, other: { status: { state: 'unreachable', loaded: false } } });
    models.backend('other').status = { state: 'unreachable', loaded: false };
    models.serving.start();
    await models.clock.settle();
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').fail(failure('rate_limited', 30));
    models.backend('other').status = { state: 'ready', loaded: true };
    await models.clock.advance(1600);
    models.lastAt('other').send(FINISH);
    await models.clock.settle();
    expect(asked.outcome()).toBe('finished');
    await models.serving.close();
  });
});

describe('a request that is tried again', () => {
  it('goes before all that wait, and is rejected with the time limit of the request only', async () => {
    const models = new ServedModels({ one: { slots: 1 }, other: { slots: 1 } }, { queueTimeoutMs: 500 });
    const first = models.ask();
    const second = models.ask();
    await models.clock.settle();
    const waiting = models.ask();
    await models.clock.advance(400);
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.advance(500);
    expect(waiting.outcome()).toBeUndefined();
    expect(models.lastAt('one').request.id).toBe('request_3');
    models.lastAt('other').send(FINISH);
    await models.clock.settle();
    expect(second.outcome()).toBe('finished');
    expect(models.lastAt('other').request.id).toBe('request_1');
    models.lastAt('other').send(FINISH);
    await models.clock.settle();
    expect(first.outcome()).toBe('finished');
  });

  it('fails with its time limit where no slot becomes free before', async () => {
    const models = new ServedModels({ one: { slots: 1 }, other: { slots: 1, firstTokenTimeoutMs: 60_000 } });
    const first = models.ask({ deadlineMs: 900 });
    models.ask();
    await models.clock.settle();
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.advance(899);
    expect(first.outcome()).toBeUndefined();
    await models.clock.advance(1);
    expect(first.outcome()).toBe('deadline_exceeded');
    expect(first.ends()).toBe(1);
  });

  it('is given up by a silent target alone: another one gets it, once, and the silent one never again', async () => {
    const models = new ServedModels({ one: {}, other: {}, third: {} });
    const asked = models.ask();
    await models.clock.advance(1000);
    expect(models.lastAt('one').signal.aborted).toBe(true);
    expect(asked.outcome()).toBeUndefined();
    await models.clock.advance(1000);
    expect(asked.outcome()).toBe('backend_error');
    expect(asked.trace.attempts).toMatchObject([
      { target: 'one', failure: 'first_token_timeout' },
      { target: 'other', failure: 'first_token_timeout' },
    ]);
    expect(models.runsAt('third')).toHaveLength(0);
  });

  it('never goes back to a silent target, also where that is the only one', async () => {
    const models = new ServedModels({ one: {} });
    const asked = models.ask();
    await models.clock.advance(1000);
    expect(asked.outcome()).toBe('backend_error');
    expect(models.runsAt('one')).toHaveLength(1);
  });

  it('goes back to the target that may work again, not to the one that was silent', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').fail(failure('reset'));
    await models.clock.advance(1000);
    expect(models.lastAt('other').signal.aborted).toBe(true);
    await models.clock.advance(200);
    expect(models.runsAt('one')).toHaveLength(2);
    models.lastAt('one').send(FINISH);
    await models.clock.settle();
    expect(asked.outcome()).toBe('finished');
    expect(asked.trace.attempts?.map(({ target }) => target)).toEqual(['one', 'other', 'one']);
  });

  it('keeps the time in the queue of its first try', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask();
    await models.clock.advance(100);
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.settle();
    models.lastAt('other').send(TEXT);
    models.lastAt('other').send(FINISH);
    await models.clock.settle();
    expect(asked.trace).toMatchObject({ enqueuedAt: 0, dispatchedAt: 0, firstTokenAt: 100 });
  });

  it('is not tried again where the request itself was rejected', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').fail(new ServingError('content_filtered'));
    await models.clock.settle();
    expect(asked.outcome()).toBe('content_filtered');
    expect(models.runsAt('other')).toHaveLength(0);
  });

  it('fails at once where the budget is used up, which its trace tells', async () => {
    const models = new ServedModels(
      { one: { slots: 8 } },
      { retry: { budget: { percent: 0, perSecond: 0.1 } } },
    );
    const asked = [models.ask(), models.ask()];
    await models.clock.settle();
    for (const run of models.runsAt('one')) run.fail(failure('server_error'));
    await models.clock.settle();
    expect(asked.map((each) => each.outcome())).toEqual([undefined, 'backend_error']);
    expect(asked.map(({ trace }) => trace.lackedRetryBudget)).toEqual([undefined, true]);
  });

  it('pauses as soon as it is asked for where its client does not read', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask();
    await models.clock.settle();
    asked.generation.pause();
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.settle();
    expect(models.lastAt('other').isPaused).toBe(true);
    asked.generation.resume();
    expect(models.lastAt('other').isPaused).toBe(false);
    asked.cancellation.cancel(new ServingError('client_gone'));
  });
});

describe('a fallback target', () => {
  it('gets requests only while no primary one can serve them', async () => {
    const models = new ServedModels({ spare: { role: 'fallback' }, one: { slots: 1 } });
    models.ask();
    const waiting = models.ask();
    await models.clock.settle();
    expect(models.runsAt('spare')).toHaveLength(0);
    expect(models.waiting()).toBe(1);
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.settle();
    // The request that the primary one failed goes to the fallback; the one that waits gets the primary's slot.
    expect(models.lastAt('spare').request.id).toBe('request_1');
    expect(models.lastAt('one').request.id).toBe('request_2');
    waiting.cancellation.cancel(new ServingError('client_gone'));
  });
});

describe('a prompt that does not fit', () => {
  const tooLong = () => new ServingError('context_length_exceeded', { failure: 'context_too_small' });
  const small = { status: { state: 'ready', loaded: true, contextSize: 1000 } } as const;
  const large = { status: { state: 'ready', loaded: true, contextSize: 8000 } } as const;

  it('moves on to a target with a larger context, past those with the same', async () => {
    const models = new ServedModels({ one: small, same: small, larger: large });
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').fail(tooLong());
    await models.clock.settle();
    expect(models.runsAt('same')).toHaveLength(0);
    models.lastAt('larger').send(FINISH);
    await models.clock.settle();
    expect(asked.outcome()).toBe('finished');
  });

  it('moves on to a fallback model with a larger context', async () => {
    const models = new ServedModels(
      { one: small, other: { ...small, model: 'same' }, third: { ...large, model: 'larger' } },
      { fallbackModels: { m: ['same', 'larger'] } },
    );
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').fail(tooLong());
    await models.clock.settle();
    models.lastAt('third').send(FINISH);
    await models.clock.settle();
    expect(asked.trace).toMatchObject({ model: 'm', servedModel: 'larger', target: 'third' });
    expect(models.warnings).toContainEqual(expect.stringContaining('has a context of 1001 tokens or more'));
  });

  it('is the client’s error where no context is larger', async () => {
    const models = new ServedModels({ one: small, same: small });
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('one').fail(tooLong());
    await models.clock.settle();
    expect(asked.outcome()).toBe('context_length_exceeded');
  });
});

describe('a field that a target does not support', () => {
  const noLogprobs = () =>
    new ServingError('unsupported_parameter', { param: 'logprobs', failure: 'unsupported' });
  const request = { logprobs: { top: 2 } };

  it('is asked of the others before it is refused', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask({ request });
    await models.clock.settle();
    models.lastAt('one').fail(noLogprobs());
    await models.clock.settle();
    expect(models.lastAt('other').request.logprobs).toEqual({ top: 2 });
    models.lastAt('other').fail(noLogprobs());
    await models.clock.settle();
    expect(asked.outcome()).toBe('unsupported_parameter');
  });

  it('is asked of a fallback model where no target of the model supports it', async () => {
    const models = new ServedModels(
      { one: {}, two: { model: 'second' } },
      { fallbackModels: { m: ['second'] } },
    );
    const asked = models.ask({ request });
    await models.clock.settle();
    models.lastAt('one').fail(noLogprobs());
    await models.clock.settle();
    models.lastAt('two').send(FINISH);
    await models.clock.settle();
    expect([asked.outcome(), asked.trace.servedModel]).toEqual(['finished', 'second']);
  });

  it('is dropped only where no other target is left', async () => {
    const models = new ServedModels({ one: {}, other: {} }, { dropUnsupported: true });
    const asked = models.ask({ request });
    await models.clock.settle();
    models.lastAt('one').fail(noLogprobs());
    await models.clock.settle();
    expect(asked.trace.droppedFields).toBeUndefined();
    models.lastAt('other').fail(noLogprobs());
    await models.clock.settle();
    expect(models.lastAt('other').request.logprobs).toBeUndefined();
    models.lastAt('other').send(FINISH);
    await models.clock.settle();
    expect([asked.outcome(), asked.trace.droppedFields]).toEqual(['finished', ['logprobs']]);
  });
});

describe('a fallback model', () => {
  const FALLBACKS = { m: ['second'], second: ['third', 'm'], third: ['m', 'second'] };
  const MODELS = { one: {}, two: { model: 'second' }, three: { model: 'third' } };

  it('is asked when each target has failed, then the next in the chain, and no model twice', async () => {
    const models = new ServedModels(MODELS, { fallbackModels: FALLBACKS, retry: { attempts: 3 } });
    const asked = models.ask();
    for (const target of ['one', 'two', 'three']) {
      await models.clock.settle();
      expect(models.lastAt(target).request.model).toBe({ one: 'm', two: 'second', three: 'third' }[target]);
      models.lastAt(target).fail(failure('server_error'));
    }
    await models.clock.settle();
    expect(asked.outcome()).toBe('backend_error');
    expect(asked.trace.attempts?.map(({ model, kind }) => [model, kind])).toEqual([
      ['m', undefined],
      ['second', 'other_model'],
      ['third', 'other_model'],
    ]);
    expect(asked.ends()).toBe(1);
  });

  it('is not asked where the key may not use it; the next in the chain is', async () => {
    const models = new ServedModels(MODELS, { fallbackModels: FALLBACKS, retry: { attempts: 2 } });
    const asked = models.ask({ caller: callerNamed('alice', { models: ['m', 'third'] }) });
    for (const target of ['one', 'three']) {
      await models.clock.settle();
      models.lastAt(target).fail(failure('server_error'));
    }
    await models.clock.settle();
    expect(asked.outcome()).toBe('backend_error');
    expect(asked.trace.attempts?.map(({ model }) => model)).toEqual(['m', 'third']);
  });

  it('is asked within the attempts: the last one is kept for it, and no more follow', async () => {
    const models = new ServedModels(
      { ...MODELS, other: {} },
      { fallbackModels: FALLBACKS, retry: { attempts: 2 } },
    );
    const asked = models.ask();
    for (const target of ['one', 'two']) {
      await models.clock.settle();
      models.lastAt(target).fail(failure('server_error'));
    }
    await models.clock.advance(5000);
    expect(asked.outcome()).toBe('backend_error');
    expect(asked.trace.attempts?.map(({ model }) => model)).toEqual(['m', 'second']);
    expect(asked.ends()).toBe(1);
  });

  it('is not asked after the only attempt, but where the queue has no target for it', async () => {
    const models = new ServedModels(
      { ...MODELS, two: { model: 'second', status: { state: 'unreachable', loaded: false } } },
      { fallbackModels: { m: ['third'], second: ['third'] }, retry: { attempts: 1 } },
    );
    const failed = models.ask();
    const rejected = models.ask({ model: 'second' });
    await models.clock.settle();
    models.lastAt('one').fail(failure('server_error'));
    models.lastAt('three').send(FINISH);
    await models.clock.advance(5000);
    expect(failed.outcome()).toBe('backend_error');
    expect([rejected.outcome(), rejected.trace.servedModel]).toEqual(['finished', 'third']);
    expect(models.runsAt('three')).toHaveLength(1);
  });

  it('is asked at once where the model has no usable target, instead of no_backend_available', async () => {
    const models = new ServedModels(
      { ...MODELS, one: { status: { state: 'unreachable', loaded: false } } },
      { fallbackModels: FALLBACKS },
    );
    const asked = models.ask();
    await models.clock.settle();
    models.lastAt('two').send(TEXT);
    models.lastAt('two').send(FINISH);
    await models.clock.settle();
    expect(asked.outcome()).toBe('finished');
    expect(asked.trace).toMatchObject({ model: 'm', servedModel: 'second' });
    expect(asked.trace.attempts).toHaveLength(1);
  });

  it('is asked for what waits when the last target of its own model goes down', async () => {
    const models = new ServedModels(
      { one: { slots: 1, firstTokenTimeoutMs: 60_000 }, two: { model: 'second' } },
      { fallbackModels: FALLBACKS },
    );
    models.serving.start();
    const running = models.ask();
    const waiting = models.ask();
    await models.clock.settle();
    models.backend('one').status = { state: 'unreachable', loaded: false };
    await models.clock.advance(1100);
    expect(models.lastAt('two').request.id).toBe(waiting.trace.requestId);
    models.lastAt('two').send(FINISH);
    await models.clock.settle();
    expect([waiting.outcome(), waiting.trace.servedModel]).toEqual(['finished', 'second']);
    running.cancellation.cancel(new ServingError('client_gone'));
    await models.serving.close();
  });

  it('that cannot do what is asked is skipped, with the reason in the log', async () => {
    const cannot = { status: { state: 'ready', loaded: true, abilities: ['generate'] } } as const;
    const models = new ServedModels(
      { one: {}, two: { ...cannot, model: 'second' }, three: { model: 'third' } },
      { fallbackModels: FALLBACKS, retry: { attempts: 2 } },
    );
    const asked = models.ask({ request: { tools: { tools: [{ name: 'clock' }], choice: 'auto' } } });
    await models.clock.settle();
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.settle();
    models.lastAt('three').send(FINISH);
    await models.clock.settle();
    expect(asked.trace.servedModel).toBe('third');
    expect(models.runsAt('two')).toHaveLength(0);
    expect(models.warnings).toContainEqual(expect.stringContaining('it does not support tools'));
  });

  it('is not asked for an answer to token ids, which are others there', async () => {
    const models = new ServedModels(MODELS, { fallbackModels: FALLBACKS, retry: { attempts: 2 } });
    const asked = models.ask({ request: { input: { kind: 'tokens', tokens: [1, 2] } } });
    await models.clock.settle();
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.advance(500);
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.settle();
    expect(asked.outcome()).toBe('backend_error');
    expect(models.warnings).toContainEqual(expect.stringContaining('the request has token ids'));
  });

  it('keeps its own queue: what falls over waits behind its clients, and within its bounds', async () => {
    const models = new ServedModels(
      { one: { slots: 1 }, two: { model: 'second', slots: 1 } },
      { fallbackModels: FALLBACKS, retry: { attempts: 2 } },
    );
    const moved = models.ask();
    models.ask({ model: 'second' });
    const waits = models.ask({ model: 'second' });
    await models.clock.settle();
    models.lastAt('one').fail(failure('server_error'));
    await models.clock.settle();
    models.lastAt('two').send(FINISH);
    await models.clock.settle();
    expect(models.lastAt('two').request.id).toBe('request_3');
    models.lastAt('two').send(FINISH);
    await models.clock.settle();
    expect(waits.outcome()).toBe('finished');
    models.lastAt('two').send(FINISH);
    await models.clock.settle();
    expect(moved.outcome()).toBe('finished');
  });
});

describe('a request whose only target is gone', () => {
  async function killedAfterDispatch() {
    const models = new ServedModels({ one: {} });
    models.serving.start();
    const asked = models.ask();
    await models.clock.settle();
    models.backend('one').status = { state: 'unreachable', loaded: false };
    models.lastAt('one').fail(failure('reset'));
    await models.clock.advance(1500);
    return { models, asked };
  }

  it('is tried there again when it is back within seconds', async () => {
    const { models, asked } = await killedAfterDispatch();
    expect(asked.outcome()).toBeUndefined();
    models.backend('one').status = { state: 'ready', loaded: true };
    await models.clock.advance(1000);
    for (const event of [START, TEXT, FINISH]) models.lastAt('one').send(event);
    await models.clock.settle();
    expect(asked.outcome()).toBe('finished');
    expect(asked.trace.attempts).toHaveLength(2);
    await models.serving.close();
  });

  it('fails with what happened when it does not come back', async () => {
    const { models, asked } = await killedAfterDispatch();
    await models.clock.advance(6000);
    expect(asked.error()).toMatchObject({ code: 'backend_error', message: 'it failed: reset' });
    expect(asked.ends()).toBe(1);
    expect(models.waiting() + models.slotsUsed()).toBe(0);
    await models.serving.close();
  });
});

describe('a whole answer is asked for in one piece', () => {
  it.each([
    { title: 'where nothing else could answer', targets: { one: {} }, expected: 'whole' },
    {
      title: 'where the piece has a time limit',
      targets: { one: { answerTimeoutMs: 9 }, b: {} },
      expected: 'whole',
    },
    {
      title: 'but not where a hanging target would be waited for in vain',
      targets: { one: {}, b: {} },
      expected: 'stream',
    },
  ])('$title', async ({ targets, expected }) => {
    const models = new ServedModels(targets);
    models.ask({ delivery: 'whole' });
    await models.clock.settle();
    expect(models.lastAt('one').delivery).toBe(expected);
  });
});

describe('an embedding that fails', () => {
  const VECTORS = { vectors: [[1, 0]], promptTokens: 5 };

  it('is tried again like a generation: elsewhere, at the same target after a pause, at a fallback model', async () => {
    const models = new ServedModels(
      { one: {}, other: {}, two: { model: 'second' } },
      { fallbackModels: { m: ['second'] } },
    );
    const asked = models.embed(['hi']);
    for (const target of ['one', 'other']) {
      await models.clock.settle();
      models.backend(target).embeddings.at(-1)?.fail(failure('server_error'));
    }
    await models.clock.settle();
    expect(models.backend('two').embeddings[0]?.request.model).toBe('second');
    models.backend('two').embeddings[0]?.answer(VECTORS);
    expect(await asked.outcome).toEqual(VECTORS);
    expect(asked.trace).toMatchObject({ servedModel: 'second', usage: { promptTokens: 5 } });
    expect(asked.trace.attempts?.map(({ kind }) => kind)).toEqual([undefined, 'elsewhere', 'other_model']);
    await models.clock.settle();
    expect(models.slotsUsed()).toBe(0);
  });

  it('ends with the last error when every try has failed', async () => {
    const models = new ServedModels({ one: {} });
    const asked = models.embed(['hi']);
    for (let tries = 1; tries <= 3; tries += 1) {
      await models.clock.advance(500);
      models.backend('one').embeddings.at(-1)?.fail(failure('reset'));
    }
    expect(await asked.outcome).toMatchObject({ code: 'backend_error' });
    expect(models.backend('one').embeddings).toHaveLength(3);
  });
});
