import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import type { FailureCause } from '../../../src/core/failure.ts';
import type { GenerationEvent, GenerationRequest } from '../../../src/core/generation.ts';
import { type Asked, ServedModels } from '../../support/served-models.ts';
import { chatRequest } from '../../support/stand-ins/generate.ts';

const GREEDY: Partial<GenerationRequest> = { sampling: { temperature: 0 } };
const START: GenerationEvent = { type: 'start', promptTokens: 7, cachedTokens: 2 };
const CUT = new ServingError('backend_error', { failure: 'cut', message: 'the answer was cut' });

const text = (value: string): GenerationEvent => ({ type: 'text', text: value });
const finish = (completionTokens: number, promptTokens = 7): GenerationEvent => ({
  type: 'finish',
  reason: 'stop',
  usage: { promptTokens, completionTokens, cachedTokens: 0 },
});
const textOf = ({ events }: Asked) =>
  events.map((event) => (event.type === 'text' ? event.text : '')).join('');
const failed = (failure: FailureCause, message: string = failure) =>
  new ServingError('backend_error', { failure, message });

/** The clock's work and all that follows from it. */
async function send(models: ServedModels, target: string, ...events: readonly GenerationEvent[]) {
  for (const event of events) models.lastAt(target).send(event);
  await models.clock.settle();
}

async function fail(models: ServedModels, target: string, error = CUT) {
  models.lastAt(target).fail(error);
  await models.clock.settle();
}

async function begun(request = GREEDY, models = new ServedModels({ one: {}, other: {} })) {
  const asked = models.ask({ request });
  await models.clock.settle();
  await send(models, 'one', START, text('Once '), text('upon'));
  return { models, asked };
}

describe('a greedy stream that breaks', () => {
  it('goes on at another target: its client gets each character once, one start and one end', async () => {
    const { models, asked } = await begun();
    await fail(models, 'one');
    await send(models, 'other', START, text('On'), text('ce upon'), text(' a'), text(' time'), finish(5));
    expect(asked.events).toEqual(
      [START, text('Once '), text('upon'), text(' a'), text(' time'), finish(5)].map((event) =>
        event.type === 'finish' ? { ...event, usage: { ...event.usage, cachedTokens: 2 } } : event,
      ),
    );
    expect(asked.trace).toMatchObject({ resumptions: 1, finishReason: 'stop' });
    expect(asked.trace.attempts).toMatchObject([
      { target: 'one', failure: 'cut' },
      { target: 'other', kind: 'resumed', failure: undefined },
    ]);
    expect(asked.ends()).toBe(1);
    expect(models.slotsUsed()).toBe(0);
  });

  it('ends with its error at the first difference, and the other target is left', async () => {
    const { models, asked } = await begun();
    await fail(models, 'one');
    await send(models, 'other', START, text('Once upin'), text(' more'), finish(3));
    expect(textOf(asked)).toBe('Once upon');
    expect(asked.error()).toBe(CUT);
    expect(asked.ends()).toBe(1);
    expect(models.lastAt('other').signal.aborted).toBe(true);
    expect(asked.trace).toMatchObject({ notResumed: 'the other answer differs from what was sent' });
    expect(asked.trace.resumptions).toBeUndefined();
    expect(asked.trace.usage).toBeUndefined();
    expect(asked.trace.attempts?.at(-1)).toMatchObject({ failure: undefined });
    expect(models.slotsUsed()).toBe(0);
  });

  it('ends with its error where the other answer is shorter', async () => {
    const { models, asked } = await begun();
    await fail(models, 'one');
    await send(models, 'other', START, text('Once '), finish(1));
    expect(textOf(asked)).toBe('Once upon');
    expect(asked.trace.usage).toBeUndefined();
    expect(asked.error()).toBe(CUT);
    expect(asked.ends()).toBe(1);
    expect(models.slotsUsed()).toBe(0);
  });

  it('may break again, while it is compared and after it', async () => {
    const models = new ServedModels({ one: {}, two: {}, three: {}, four: {} }, { retry: { attempts: 4 } });
    const { asked } = await begun(GREEDY, models);
    await fail(models, 'one');
    await send(models, 'two', START, text('Once'));
    await fail(models, 'two');
    await send(models, 'three', START, text('Once upon a'));
    await fail(models, 'three');
    await send(models, 'four', text('Once upon a time'), finish(4));
    expect(textOf(asked)).toBe('Once upon a time');
    expect(asked.events.filter(({ type }) => type === 'start')).toEqual([START]);
    expect(asked.trace.resumptions).toBe(2);
  });

  it('goes on at the same target, after a pause, where there is no other', async () => {
    const { models, asked } = await begun(GREEDY, new ServedModels({ one: {} }));
    await fail(models, 'one');
    expect(models.runsAt('one')).toHaveLength(1);
    await models.clock.advance(100);
    await models.clock.settle();
    await send(models, 'one', START, text('Once upon a time'), finish(4));
    expect(textOf(asked)).toBe('Once upon a time');
  });

  it('shares the bound on attempts with retries, and ends with the error that broke it', async () => {
    const models = new ServedModels({ one: {}, two: {}, three: {} }, { retry: { attempts: 2 } });
    const { asked } = await begun(GREEDY, models);
    await fail(models, 'one');
    await fail(models, 'two', failed('unreachable'));
    expect(models.runsAt('three')).toHaveLength(0);
    expect(asked.error()).toBe(CUT);
    expect(asked.ends()).toBe(1);
    expect(models.slotsUsed()).toBe(0);
  });

  it('goes on after it was silent for too long', async () => {
    const { models, asked } = await begun();
    await models.clock.advance(200);
    await models.clock.settle();
    expect(models.lastAt('one').signal.aborted).toBe(true);
    await send(models, 'other', START, text('Once upon a time'), finish(4));
    expect(textOf(asked)).toBe('Once upon a time');
  });

  it('what is swallowed counts as progress of its backend, its silence does not', async () => {
    const { models, asked } = await begun();
    await fail(models, 'one');
    await send(models, 'other', START, text('O'));
    for (const character of 'nce ') {
      await models.clock.advance(150);
      await send(models, 'other', text(character));
    }
    expect(asked.outcome()).toBeUndefined();
    await models.clock.advance(200);
    await models.clock.settle();
    expect(models.lastAt('other').signal.aborted).toBe(true);
  });

  it('its first token and its pause are measured as its client sees them', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask({ request: GREEDY });
    await models.clock.advance(10);
    await models.clock.settle();
    await send(models, 'one', START, text('Once '));
    await models.clock.advance(5);
    await send(models, 'one', text('upon'));
    await models.clock.advance(100);
    await fail(models, 'one');
    await models.clock.advance(50);
    await send(models, 'other', START, text('Once '), text('upon'));
    await models.clock.advance(20);
    await send(models, 'other', text(' a'), finish(3));
    expect(asked.trace.firstTokenAt).toBe(10);
    expect(models.gapsMs).toEqual([5, 170]);
  });

  it('is cancelled while it is compared: the other target is left, and its client gets one end', async () => {
    const { models, asked } = await begun();
    await fail(models, 'one');
    await send(models, 'other', START, text('Once'));
    asked.cancellation.cancel(new ServingError('client_gone'));
    await models.clock.settle();
    expect(asked.outcome()).toBe('client_gone');
    expect(asked.ends()).toBe(1);
    expect(models.lastAt('other').signal.aborted).toBe(true);
    expect(models.slotsUsed()).toBe(0);
  });

  it('is cancelled while it waits for another attempt', async () => {
    const { models, asked } = await begun(GREEDY, new ServedModels({ one: {} }));
    await fail(models, 'one');
    asked.cancellation.cancel(new ServingError('client_gone'));
    await models.clock.advance(1000);
    await models.clock.settle();
    expect(asked.outcome()).toBe('client_gone');
    expect(models.runsAt('one')).toHaveLength(1);
  });

  it('has its deadline as before', async () => {
    const models = new ServedModels({ one: { idleTimeoutMs: 9999 }, other: { idleTimeoutMs: 9999 } });
    const asked = models.ask({ request: GREEDY, deadlineMs: 500 });
    await models.clock.settle();
    await send(models, 'one', START, text('Once '));
    await fail(models, 'one');
    await send(models, 'other', START, text('On'));
    await models.clock.advance(500);
    await models.clock.settle();
    expect(asked.outcome()).toBe('deadline_exceeded');
    expect(models.slotsUsed()).toBe(0);
  });

  it('is generated on only as fast as its client reads', async () => {
    const { models, asked } = await begun();
    asked.pause();
    await fail(models, 'one');
    expect(models.lastAt('other').isPaused).toBe(true);
    await models.clock.advance(5000);
    await models.clock.settle();
    expect(asked.outcome()).toBeUndefined();
    asked.resume();
    expect(models.lastAt('other').isPaused).toBe(false);
    await send(models, 'other', START, text('Once upon a time'), finish(4));
    expect(textOf(asked)).toBe('Once upon a time');
  });

  it('does not change its model', async () => {
    const models = new ServedModels(
      { one: {}, small: { model: 'small' } },
      { fallbackModels: { m: ['small'] }, retry: { attempts: 1 } },
    );
    const { asked } = await begun(GREEDY, models);
    await fail(models, 'one');
    expect(models.runsAt('small')).toHaveLength(0);
    expect(asked.error()).toBe(CUT);
  });

  it('is stopped at its max_tokens as before, though the other target repeats what was sent', async () => {
    const { models, asked } = await begun({ ...GREEDY, limits: { stop: [], maxTokens: 3 } });
    await fail(models, 'one');
    await send(models, 'other', START, text('Once '), text('upon'), text(' a'), text(' time'));
    expect(textOf(asked)).toBe('Once upon a');
    expect(asked.trace).toMatchObject({ finishReason: 'length', usage: { completionTokens: 3 } });
  });

  it('keeps the id of a call that it has told its client', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask({ request: GREEDY });
    await models.clock.settle();
    const call = (id: string): GenerationEvent => ({ type: 'tool-call', index: 0, id, name: 'add' });
    const args = (delta: string): GenerationEvent => ({ type: 'tool-arguments', index: 0, delta });
    await send(models, 'one', START, call('first'), args('{"a":'));
    await fail(models, 'one');
    await send(models, 'other', START, call('second'), args('{"a"'), args(':1}'), finish(4));
    expect(asked.events.slice(1, -1)).toEqual([call('first'), args('{"a":'), args('1}')]);
  });

  it('a rejection in the middle is final: a content filter', async () => {
    const { models, asked } = await begun();
    await fail(models, 'one', new ServingError('content_filtered'));
    expect(asked.outcome()).toBe('content_filtered');
    expect(models.runsAt('other')).toHaveLength(0);
  });

  it('ends with its error where resume is off', async () => {
    const { models, asked } = await begun(
      GREEDY,
      new ServedModels({ one: {}, other: {} }, { resume: 'off' }),
    );
    await fail(models, 'one');
    expect(asked.error()).toBe(CUT);
    expect(models.runsAt('other')).toHaveLength(0);
  });
});

describe('a sampled stream that breaks', () => {
  const CHAT = { input: chatRequest('a story').input, limits: { stop: [], maxTokens: 10 } };

  it('is continued from its text at another target, with the tokens that are left; usage counts it once', async () => {
    const { models, asked } = await begun(CHAT);
    await fail(models, 'one');
    expect(models.lastAt('other').request).toMatchObject({
      input: {
        continuesLast: true,
        messages: [{ content: 'a story' }, { role: 'assistant', content: 'Once upon' }],
      },
      limits: { maxTokens: 8 },
    });
    await send(models, 'other', { type: 'start', promptTokens: 9 }, text(' a'), text(' time'), finish(2, 9));
    expect(textOf(asked)).toBe('Once upon a time');
    expect(asked.trace.usage).toEqual({ promptTokens: 7, completionTokens: 4, cachedTokens: 2 });
    expect(asked.trace.resumptions).toBe(1);
    expect(models.slotsUsed()).toBe(0);
  });

  it('counts its prompt without its text where the first target had not told its length', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask({ request: CHAT });
    await models.clock.settle();
    await send(models, 'one', { type: 'start' }, text('Once '), text('upon'));
    await fail(models, 'one');
    await send(models, 'other', { type: 'start' }, text(' a'), finish(1, 9));
    expect(asked.trace.usage).toMatchObject({ promptTokens: 7, completionTokens: 3 });
  });

  it('whose text ends with a blank gets no second one', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask({ request: CHAT });
    await models.clock.settle();
    await send(models, 'one', START, text('1.'), text('\n\n'));
    await fail(models, 'one');
    expect(models.lastAt('other').request).toMatchObject({ input: { messages: [{}, { content: '1.' }] } });
    await send(models, 'other', START, text('\n'), text('\n2.'), finish(2));
    expect(textOf(asked)).toBe('1.\n\n2.');
  });

  it('ends with its error where the blank does not come again', async () => {
    const models = new ServedModels({ one: {}, other: {} });
    const asked = models.ask({ request: CHAT });
    await models.clock.settle();
    await send(models, 'one', START, text('1.'), text('\n\n'));
    await fail(models, 'one');
    await send(models, 'other', START, text('2.'), finish(1));
    expect(textOf(asked)).toBe('1.\n\n');
    expect(asked.error()).toBe(CUT);
  });

  it('may break again: it is continued from all of its text', async () => {
    const models = new ServedModels({ one: {}, two: {}, three: {} });
    const { asked } = await begun(CHAT, models);
    await fail(models, 'one');
    await send(models, 'two', START, text(' a'));
    await fail(models, 'two');
    expect(models.lastAt('three').request).toMatchObject({
      input: { messages: [{}, { content: 'Once upon a' }] },
      limits: { maxTokens: 7 },
    });
    await send(models, 'three', START, text(' time'), finish(1, 10));
    expect(textOf(asked)).toBe('Once upon a time');
    expect(asked.trace).toMatchObject({ resumptions: 2, usage: { promptTokens: 7, completionTokens: 4 } });
  });

  it('of which nothing but its end is missing ends by its length', async () => {
    const { models, asked } = await begun({ ...CHAT, limits: { stop: [], maxTokens: 2 } });
    await fail(models, 'one');
    expect(models.runsAt('other')).toHaveLength(0);
    expect(asked.events.at(-1)).toEqual({
      type: 'finish',
      reason: 'length',
      usage: { promptTokens: 7, completionTokens: 2, cachedTokens: 2 },
    });
  });

  it('ends with the error that broke it where no target can continue a message', async () => {
    const { models, asked } = await begun(CHAT);
    await fail(models, 'one');
    const refusal = new ServingError('unsupported_parameter', {
      param: 'continue_final_message',
      failure: 'unsupported',
    });
    await fail(models, 'other', refusal);
    for (let times = 0; times < 3 && asked.outcome() === undefined; times += 1) {
      await models.clock.advance(2000);
      await models.clock.settle();
      if (models.lastAt('one').signal.aborted === false && asked.outcome() === undefined)
        await fail(models, 'one', refusal);
    }
    expect(asked.error()).toBe(CUT);
    expect(asked.ends()).toBe(1);
    expect(models.slotsUsed()).toBe(0);
  });

  it('ends with its error where it has tools, and the reason is told', async () => {
    const tools = { tools: [{ name: 'f' }], choice: 'auto' as const };
    const { models, asked } = await begun({ ...CHAT, tools });
    await fail(models, 'one');
    expect(asked.error()).toBe(CUT);
    expect(models.runsAt('other')).toHaveLength(0);
    expect(asked.trace.notResumed).toBe('it is sampled, and it has tools');
  });
});
