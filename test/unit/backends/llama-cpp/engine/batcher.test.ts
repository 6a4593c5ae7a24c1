/** The loop of the engine, over a context that a test plays: what must hold whatever comes at the same time. */
import { describe, expect, it } from 'vitest';
import { Batcher } from '../../../../../src/backends/llama-cpp/engine/batcher.ts';
import type { Model } from '../../../../../src/backends/llama-cpp/engine/library.ts';
import type { LogprobReader } from '../../../../../src/backends/llama-cpp/engine/sampler.ts';
import { Sampler } from '../../../../../src/backends/llama-cpp/engine/sampler.ts';
import { Sequence } from '../../../../../src/backends/llama-cpp/engine/sequences.ts';
import { ThreadGovernor } from '../../../../../src/backends/llama-cpp/engine/threads.ts';
import { hermes } from '../../../../../src/backends/llama-cpp/engine/tools/tool-syntax.ts';
import type { EngineEvent, EngineGenerationRequest } from '../../../../../src/backends/llama-cpp/messages.ts';
import { type FakeContext, fakeContext } from '../../../../support/fake-context.ts';
import { GREEDY } from '../../../../support/fake-engine.ts';

const END = 0;
const model = {
  detokenize: (tokens: readonly number[]) => String.fromCodePoint(...tokens),
  isEogToken: (token: number) => token === END,
  getTokenAttributes: () => ({ control: false, unknown: false }),
} as unknown as Model;

const letters = (count: number) => Array.from({ length: count }, (_, index) => 97 + (index % 26));

interface World {
  readonly batcher: Batcher;
  readonly events: EngineEvent[];
  until(type: EngineEvent['event']['type'], count?: number): Promise<void>;
}

function world(options: {
  readonly context: FakeContext;
  readonly sequences?: number;
  readonly logprobs?: Partial<LogprobReader>;
}): World {
  const events: EngineEvent[] = [];
  const waiting: (() => void)[] = [];
  const { context, sequences = 2 } = options;
  const batcher = new Batcher({
    model,
    context,
    sequences: Array.from(
      { length: sequences },
      (_, id) => new Sequence(id, context, new Sampler({ applyConfig() {} }, [])),
    ),
    admit: (request) => {
      const { prompt } = request.input as { prompt: string };
      const tokens = [...prompt].map((letter) => letter.codePointAt(0) ?? 0);
      const prompted = { tokens, reasoning: 'none', ...(request.tools && { toolSyntax: hermes }) } as const;
      return { request, prompt: prompted, grammar: undefined, banned: [] };
    },
    logprobs: (options.logprobs ?? {}) as LogprobReader,
    contextSize: 400,
    promptTokensAlone: 64,
    threads: new ThreadGovernor(1),
    onStep() {},
    onDecoding() {},
    onRest() {},
    emit(told) {
      events.push(...told);
      for (const wake of waiting.splice(0)) wake();
    },
  });
  return {
    batcher,
    events,
    until: async (type, count = 1) => {
      while (events.filter(({ event }) => event.type === type).length < count)
        await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

function request(
  id: number,
  prompt: string,
  more: Partial<EngineGenerationRequest> = {},
): EngineGenerationRequest {
  return {
    id,
    input: { kind: 'text', prompt },
    sampling: GREEDY,
    limits: { stop: [] },
    thinking: false,
    ...more,
  };
}

const endsOf = (events: readonly EngineEvent[], id: number) =>
  events.filter((told) => told.id === id && ['finish', 'failed', 'freed'].includes(told.event.type));

describe('the batcher', () => {
  it('notices an abort while a prefix is copied for the generation', async () => {
    const copying: (() => void)[] = [];
    const context: FakeContext = {
      ...fakeContext(letters(400)),
      copySequenceStateFromOtherSequence: () => new Promise((resolve) => copying.push(() => resolve(0))),
    };
    const { batcher, events, until } = world({ context });
    const prompt = String.fromCodePoint(...letters(100));
    batcher.add(request(1, prompt));
    await until('text');
    batcher.add(request(2, `${prompt}?`));
    while (copying.length === 0) await new Promise((resolve) => setImmediate(resolve));
    batcher.abort(2);
    copying[0]?.();
    await until('freed');
    expect(endsOf(events, 2)).toEqual([{ id: 2, event: { type: 'freed' } }]);
    await batcher.stop();
  });

  it('reads log-probabilities one after the other: all share their samplers', async () => {
    let reading = 0;
    let most = 0;
    const logprobs: Partial<LogprobReader> = {
      read: async (_place, token) => {
        reading += 1;
        most = Math.max(most, reading);
        await new Promise((resolve) => setImmediate(resolve));
        reading -= 1;
        return { token, bytes: [], logprob: -1, top: [] };
      },
    };
    const { batcher, until } = world({ context: fakeContext([97, 98, 99, 100, END, END]), logprobs });
    batcher.add(request(1, 'one', { logprobs: { top: 3 } }));
    batcher.add(request(2, 'two', { logprobs: { top: 7 } }));
    await until('finish', 2);
    expect(most).toBe(1);
  });

  it('gives the sequences of a step in their order', async () => {
    const batches: number[][] = [];
    const plain = fakeContext(letters(40));
    const context: FakeContext = {
      ...plain,
      initBatch: () => void batches.push([]),
      addToBatch: (sequence, ...rest) => {
        batches.at(-1)?.push(sequence);
        return plain.addToBatch(sequence, ...rest);
      },
    };
    const { batcher, until } = world({ context, sequences: 4 });
    const limits = { stop: [], maxTokens: 3 };
    for (const id of [1, 2, 3, 4]) batcher.add(request(id, `number ${id}`, { limits }));
    await until('finish', 4);
    // Now the oldest is another.
    for (const id of [5, 6, 7, 8]) batcher.add(request(id, `number ${9 - id}`, { limits }));
    await until('finish', 8);
    for (const batch of batches) expect(batch).toEqual([...batch].sort((one, other) => one - other));
  });

  it('ends an answer with its first call where it may have one', async () => {
    const call = '<tool_call>\n{"name": "add", "arguments": {}}';
    const says = [...`${call}\n</tool_call>`].map((letter) => letter.codePointAt(0) ?? 0);
    const { batcher, events, until } = world({ context: fakeContext([...says, ...says, END]) });
    const tools = { tools: [{ name: 'add' }], choice: 'auto', single: true } as const;
    batcher.add(request(1, 'Sum?', { tools }));
    await until('finish');
    expect(events.filter(({ event }) => event.type === 'tool-call')).toHaveLength(1);
    const usage = { promptTokens: 4, completionTokens: call.length, cachedTokens: 0 };
    expect(events.at(-1)).toEqual({ id: 1, event: { type: 'finish', reason: 'tool_calls', usage } });
  });

  it('ends each generation of a step that fails, exactly once, and goes on with the next', async () => {
    const plain = fakeContext([97, END]);
    let fails = true;
    const context: FakeContext = {
      ...plain,
      decodeBatch: async () => {
        if (fails) throw new Error('out of memory');
      },
    };
    const { batcher, events, until } = world({ context });
    batcher.add(request(1, 'one'));
    batcher.add(request(2, 'two'));
    await until('failed', 2);
    expect([endsOf(events, 1).length, endsOf(events, 2).length]).toEqual([1, 1]);
    fails = false;
    batcher.add(request(3, 'three'));
    await until('finish');
    expect(endsOf(events, 3)).toHaveLength(1);
  });
});

describe('a generation that is paused', () => {
  const turns = async (count: number) => {
    for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const textsOf = (events: readonly EngineEvent[], id: number) =>
    events.filter((told) => told.id === id && told.event.type === 'text').length;

  /** Steps that end when the test says so, and which sequences took part in each. */
  function stepwise(says: readonly number[]) {
    const plain = fakeContext(says);
    const batches: number[][] = [];
    const under: (() => void)[] = [];
    const context: FakeContext = {
      ...plain,
      initBatch: () => void batches.push([]),
      addToBatch: (sequence, ...rest) => {
        batches.at(-1)?.push(sequence);
        return plain.addToBatch(sequence, ...rest);
      },
      decodeBatch: () => new Promise<void>((resolve) => under.push(resolve)),
    };
    /** Lets the step that is under way end, and what follows from it happen; `false`: there is none. */
    const step = async (): Promise<boolean> => {
      await turns(2);
      const end = under.shift();
      end?.();
      await turns(2);
      return end !== undefined;
    };
    return { context, batches, step };
  }

  it('takes part in no step, and keeps its sequence; others go on', async () => {
    const { context, batches, step } = stepwise(letters(400));
    const { batcher, events } = world({ context });
    batcher.add(request(1, 'one'));
    batcher.add(request(2, 'two'));
    for (let count = 0; count < 3; count++) await step();
    batcher.pause(1);
    // The step that was under way.
    await step();
    const before = { one: textsOf(events, 1), two: textsOf(events, 2), batches: batches.length };
    for (let count = 0; count < 5; count++) await step();
    expect(textsOf(events, 1) - before.one).toBeLessThanOrEqual(1);
    expect(textsOf(events, 2) - before.two).toBe(5);
    const [own] = batches.slice(before.batches).map((batch) => batch.join());
    expect(batches.slice(before.batches).every((batch) => batch.join() === own && batch.length === 1)).toBe(
      true,
    );
    batcher.resume(1);
    const paused = textsOf(events, 1);
    for (let count = 0; count < 4; count++) await step();
    expect(textsOf(events, 1)).toBeGreaterThan(paused);
    expect(batches.at(-1)).toHaveLength(2);
    const stopped = batcher.stop();
    await step();
    await stopped;
  });

  it('lets the engine rest if it is the only one: no step is computed, earlier events are sent, and it goes on where it was', async () => {
    const { context, batches, step } = stepwise([...letters(3), END]);
    const { batcher, events, until } = world({ context });
    batcher.add(request(1, 'one'));
    for (let count = 0; count < 2; count++) await step();
    batcher.pause(1);
    await step();
    expect(textsOf(events, 1)).toBe(3);
    expect(await step()).toBe(false);
    expect(batches).toHaveLength(3);
    batcher.resume(1);
    expect(await step()).toBe(true);
    await until('finish');
    const text = events.map(({ event }) => (event.type === 'text' ? event.text : '')).join('');
    expect(text).toBe('abc');
  });

  it('and then aborted is freed although no step is computed, and its sequence is another’s', async () => {
    const { context, step } = stepwise(letters(400));
    const { batcher, events, until } = world({ context, sequences: 1 });
    batcher.add(request(1, 'one'));
    await step();
    batcher.pause(1);
    await step();
    batcher.add(request(2, 'two'));
    expect(await step()).toBe(false);
    batcher.abort(1);
    await until('freed');
    expect(endsOf(events, 1)).toEqual([{ id: 1, event: { type: 'freed' } }]);
    await step();
    await step();
    expect(textsOf(events, 2)).toBeGreaterThan(0);
    const stopped = batcher.stop();
    await step();
    await stopped;
  });

  it('while it waits for a sequence, starts there and takes part in no step', async () => {
    const { context, step } = stepwise([97, END, ...letters(100)]);
    const { batcher, events, until } = world({ context, sequences: 1 });
    batcher.add(request(1, 'one'));
    batcher.add(request(2, 'two'));
    batcher.pause(2);
    await step();
    await step();
    await until('finish');
    await until('start', 2);
    expect(await step()).toBe(false);
    expect(textsOf(events, 2)).toBe(0);
    batcher.resume(2);
    expect(await step()).toBe(true);
    batcher.abort(2);
    await step();
    await until('freed');
  });

  it('that has ended, or never was, is paused and resumed in vain', async () => {
    const { batcher, events, until } = world({ context: fakeContext([97, END, 98, END]) });
    batcher.pause(1);
    batcher.resume(1);
    batcher.add(request(1, 'one'));
    await until('finish');
    batcher.pause(1);
    batcher.add(request(1, 'again'));
    await until('finish', 2);
    expect(endsOf(events, 1)).toHaveLength(2);
  });

  it('is no hindrance to the end of the engine', async () => {
    const { context, step } = stepwise(letters(400));
    const { batcher } = world({ context });
    batcher.add(request(1, 'one'));
    await step();
    batcher.pause(1);
    await step();
    await batcher.stop();
    batcher.resume(1);
    expect(await step()).toBe(false);
  });
});
