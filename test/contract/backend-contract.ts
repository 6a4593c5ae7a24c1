/**
 * What every backend has to do, whichever engine or server is behind it: one suite, registered once for each.
 * A behaviour that a backend cannot show is named in `skip` with the reason, and reported with it.
 */
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import type { Backend, Embeddings, GenerateOptions, TokenizeRequest } from '../../src/core/backend.ts';
import { ServingError } from '../../src/core/errors.ts';
import type { GenerationEvent, GenerationRequest, RequestId } from '../../src/core/generation.ts';
import { pulled } from '../support/pulled-generation.ts';
import { type BehaviourBeyondText, describeBeyondText, TOOLS } from './beyond-text.ts';

export interface BackendUnderTest {
  readonly backend: Backend;
  /** As requests name it. */
  readonly model: string;
  stop(): Promise<void>;
}

export type Behaviour =
  | 'order'
  | 'text-input'
  | 'length'
  | 'stop'
  | 'deterministic'
  | 'seed'
  | 'unicode'
  | 'concurrent'
  | 'context'
  | 'abort-first'
  | 'abort-mid'
  | 'aborted-already'
  | 'walk-away'
  | 'embed'
  | 'embed-context'
  | 'embed-aborted'
  | 'ready'
  | 'close'
  | 'tokenizer'
  | BehaviourBeyondText;

/** Forms, tools, and what is told of tokens. */
export const BEYOND_TEXT = [
  'json',
  'json-schema',
  'grammar',
  'regex',
  'choice',
  'stop-tokens',
  'bad-words',
  'continuation',
  'token-prompt',
  'tools',
  'logprobs',
  'logit-bias',
] as const satisfies readonly BehaviourBeyondText[];

/** All that takes a model which generates. */
export const GENERATING = [
  ...BEYOND_TEXT,
  'order',
  'text-input',
  'length',
  'stop',
  'deterministic',
  'seed',
  'unicode',
  'concurrent',
  'context',
  'abort-first',
  'abort-mid',
  'aborted-already',
  'walk-away',
  'close',
  'tokenizer',
] as const satisfies readonly Behaviour[];

/** All that takes a model which embeds. */
export const EMBEDDING = ['embed', 'embed-context', 'embed-aborted'] as const satisfies readonly Behaviour[];

export function skipAll(behaviours: readonly Behaviour[], reason: string): ContractOptions['skip'] & object {
  return Object.fromEntries(behaviours.map((behaviour) => [behaviour, reason]));
}

export interface ContractOptions {
  readonly start: () => Promise<BackendUnderTest>;
  readonly skip?: Readonly<Partial<Record<Behaviour, string>>>;
  /** Words in a prompt that is surely longer than the context. Default 6000. */
  readonly tooManyWords?: number;
}

type Overrides = Partial<Omit<GenerationRequest, 'id' | 'limits'>> & {
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  readonly stopTokens?: readonly number[];
};
type Finish = Extract<GenerationEvent, { type: 'finish' }>;

const QUESTION = 'What is the capital of France?';
const COUNT = 'Count in words from one to twenty: one, two, three, four, five,';

/** All of a suite's part beyond plain text, for one reason. */
export function textAlone(reason: string): ContractOptions['skip'] & object {
  return skipAll(BEYOND_TEXT, reason);
}

export function describeBackend(name: string, options: ContractOptions): void {
  describe(`backend contract: ${name}`, () => {
    let test: BackendUnderTest;
    beforeAll(async () => {
      test = await options.start();
    });
    afterAll(() => test?.stop());

    const behaves = (behaviour: Behaviour, title: string, body: (context: TestContext) => Promise<void>) => {
      const reason = options.skip?.[behaviour];
      if (reason === undefined) it(title, body);
      else it.skip(`${title} (skipped: ${reason})`, () => {});
    };
    const request = (text: string, overrides: Overrides = {}) => requestFor(test.model, text, overrides);
    const run = (text: string, overrides: Overrides = {}) => collect(test.backend, request(text, overrides));

    behaves('ready', 'a probe finds it ready, with its model loaded', async () => {
      const status = await test.backend.probe({ signal: new AbortController().signal });
      expect(status).toMatchObject({ state: 'ready', loaded: true });
    });

    behaves(
      'order',
      'streams a start, pieces of text that are not empty, and one finish at the end',
      async () => {
        const events = await run(QUESTION, { maxTokens: 16 });
        const types = events.map(({ type }) => type);
        expect(types[0]).toBe('start');
        expect(types.at(-1)).toBe('finish');
        expect(types.filter((type) => type === 'start' || type === 'finish')).toHaveLength(2);
        expect(textOf(events)).not.toBe('');
        for (const event of events) if (event.type === 'text') expect(event.text).not.toBe('');
        const { usage } = finishOf(events);
        expect(usage.promptTokens).toBeGreaterThan(0);
        expect(usage.completionTokens).toBeGreaterThan(0);
        expect(usage.completionTokens).toBeLessThanOrEqual(16);
      },
    );

    behaves('order', 'gives the same answer to a client that takes it whole', async () => {
      const asked = request(QUESTION, { maxTokens: 16 });
      const events = await collect(test.backend, asked, { delivery: 'whole' });
      const streamed = await run(QUESTION, { maxTokens: 16 });
      expect(events[0]?.type).toBe('start');
      expect(textOf(events)).toBe(textOf(streamed));
      const { reason, usage } = finishOf(events);
      expect({ reason, completionTokens: usage.completionTokens }).toEqual({
        reason: finishOf(streamed).reason,
        completionTokens: finishOf(streamed).usage.completionTokens,
      });
    });

    behaves('text-input', 'continues a prompt that is given without a chat template', async () => {
      const events = await run('', { input: { kind: 'text', prompt: 'Once upon a time' }, maxTokens: 6 });
      expect(textOf(events)).not.toBe('');
      expect(finishOf(events).usage).toMatchObject({ promptTokens: 4, completionTokens: 6 });
    });

    behaves(
      'length',
      'ends with length when max_tokens is reached, and counts exactly that many',
      async () => {
        const finish = finishOf(await run(COUNT, { maxTokens: 4 }));
        expect(finish.reason).toBe('length');
        expect(finish.usage.completionTokens).toBe(4);
      },
    );

    behaves('stop', 'ends before a stop string, which is never part of the text', async () => {
      const whole = textOf(await run(COUNT, { maxTokens: 16 }));
      const stop = whole.slice(Math.floor(whole.length / 2), Math.floor(whole.length / 2) + 3);
      const events = await run(COUNT, { maxTokens: 16, stop: [stop, 'never to be said'] });
      expect(textOf(events)).toBe(whole.slice(0, whole.indexOf(stop)));
      const finish = finishOf(events);
      expect(finish.reason).toBe('stop');
      expect([undefined, stop]).toContain(finish.matchedStop);
    });

    behaves('deterministic', 'gives the same answer again at temperature 0', async () => {
      const first = await run(COUNT, { maxTokens: 12 });
      expect(textOf(await run(COUNT, { maxTokens: 12 }))).toBe(textOf(first));
    });

    behaves('seed', 'gives the same answer again for the same seed', async () => {
      const sampling = { temperature: 0.9, seed: 7 };
      const first = await run(COUNT, { maxTokens: 12, sampling });
      expect(textOf(await run(COUNT, { maxTokens: 12, sampling }))).toBe(textOf(first));
    });

    behaves('unicode', 'never breaks a character', async () => {
      const events = await run('Repeat exactly: 🦊🌍 日本語 café 한국어 👩‍👩‍👧', { maxTokens: 24 });
      for (const event of events) {
        if (event.type !== 'text') continue;
        expect(event.text).not.toContain('\uFFFD');
        expect(event.text.isWellFormed()).toBe(true);
      }
    });

    behaves('concurrent', 'runs requests side by side without mixing them', async () => {
      const prompts = [QUESTION, COUNT, 'Name three colours.', 'Say hello to the world.'];
      const alone: string[] = [];
      for (const prompt of prompts) alone.push(textOf(await run(prompt, { maxTokens: 8 })));
      const together = await Promise.all(prompts.map((prompt) => run(prompt, { maxTokens: 8 })));
      expect(together.map(textOf)).toEqual(alone);
    });

    behaves('context', 'refuses a prompt that is longer than the context', async () => {
      const failure = await failureOf(run('word '.repeat(options.tooManyWords ?? 6000), { maxTokens: 4 }));
      expect(failure).toMatchObject({ code: 'context_length_exceeded' });
    });

    const encode = async (asked: TokenizeRequest): Promise<readonly number[]> =>
      (await test.backend.tokenizer?.encode(asked, cancellation().controller)) ?? [];
    const tokensOf = (prompt: string) => encode({ input: { kind: 'text', prompt }, addSpecial: false });

    describeBeyondText({ behaves, run, tokensOf });

    behaves(
      'tokenizer',
      'counts what a generation with the same input has as its prompt',
      async ({ skip }) => {
        if (test.backend.tokenizer === undefined) return skip('it has no tokenizer');
        const tools = { tools: TOOLS, choice: 'auto' } as const;
        const prompt = { kind: 'text', prompt: 'Once upon a time' } as const;
        for (const asked of [{}, { tools }, { input: prompt }]) {
          const { input } = request(QUESTION, asked);
          const tokens = await encode({ input, ...('tools' in asked && { tools }) });
          const { usage } = finishOf(await run(QUESTION, { ...asked, maxTokens: 1 }));
          expect(tokens).toHaveLength(usage.promptTokens);
        }
      },
    );

    behaves('tokenizer', 'tells the text of tokens', async ({ skip }) => {
      const { tokenizer } = test.backend;
      if (tokenizer === undefined) return skip('it has no tokenizer');
      const text = 'the cat 日本語 sits 🦊 here';
      expect(await tokenizer.decode(await tokensOf(text), cancellation().controller)).toContain(text);
    });

    behaves('aborted-already', 'does nothing for a signal that was aborted before', async () => {
      const { controller, reason } = cancellation();
      controller.abort(reason);
      const events = pulled(test.backend, request(QUESTION), { signal: controller.signal });
      await expect(events.next()).rejects.toBe(reason);
    });

    behaves(
      'abort-first',
      'rejects at once when aborted before the first token, and is free afterwards',
      async () => {
        const { controller, reason } = cancellation();
        const events = pulled(test.backend, request(COUNT), { signal: controller.signal });
        const pending = failureOf(events.next());
        controller.abort(reason);
        expect(await atOnce(pending)).toBe(reason);
        await events.return();
        expect(textOf(await run(QUESTION, { maxTokens: 8 }))).not.toBe('');
      },
    );

    behaves('abort-mid', 'rejects at once when aborted mid-stream, and is free afterwards', async () => {
      const { controller, reason } = cancellation();
      const events = pulled(test.backend, request(COUNT, { maxTokens: 48 }), { signal: controller.signal });
      await untilText(events);
      const pending = failureOf(events.next());
      controller.abort(reason);
      // The next piece may have been there already; nothing comes after it.
      const failure = (await atOnce(pending)) ?? (await atOnce(failureOf(events.next())));
      expect(failure).toBe(reason);
      await events.return();
      expect(textOf(await run(QUESTION, { maxTokens: 8 }))).not.toBe('');
    });

    behaves('walk-away', 'is free after a reader that leaves without an abort', async () => {
      const { controller } = cancellation();
      for await (const event of pulled(test.backend, request(COUNT, { maxTokens: 48 }), {
        signal: controller.signal,
      })) {
        if (event.type === 'text') break;
      }
      expect(textOf(await run(QUESTION, { maxTokens: 8 }))).not.toBe('');
    });

    behaves(
      'abort-mid',
      'tells the reason of a cancellation before it returns, and nothing after it',
      async () => {
        const { reason } = cancellation();
        const told: (GenerationEvent['type'] | ServingError)[] = [];
        const { promise: hasText, resolve: onText } = waiting();
        const sink = {
          event: ({ type }: GenerationEvent) => {
            told.push(type);
            if (type === 'text') onText();
          },
          fail: (error: ServingError) => void told.push(error),
        };
        const generation = test.backend.generate(request(COUNT, { maxTokens: 48 }), sink, {});
        expect(told).toEqual([]);
        await hasText;
        // An answer that was in the same chunk is over by now.
        const hasEnded = told.includes('finish');
        generation.cancel(reason);
        const atCancel = [...told];
        expect(atCancel.at(-1)).toBe(hasEnded ? 'finish' : reason);
        await generation.released;
        generation.cancel(new ServingError('draining'));
        generation.pause();
        generation.resume();
        expect(textOf(await run(QUESTION, { maxTokens: 8 }))).not.toBe('');
        expect(told).toEqual(atCancel);
      },
    );

    behaves('order', 'gives the same answer to a sink that has to pause at each piece', async () => {
      const told: GenerationEvent[] = [];
      const { promise: ended, resolve: onEnd } = waiting();
      const sink = {
        event: (event: GenerationEvent) => {
          told.push(event);
          generation.pause();
          setImmediate(() => generation.resume());
          if (event.type === 'finish') onEnd();
        },
        fail: onEnd,
      };
      const generation = test.backend.generate(request(QUESTION, { maxTokens: 16 }), sink, {});
      await ended;
      expect(textOf(told)).toBe(textOf(await run(QUESTION, { maxTokens: 16 })));
    });

    const embed = (inputs: readonly string[], signal = new AbortController().signal) =>
      test.backend.embed?.({ model: test.model, inputs }, { signal }) ??
      Promise.reject(new Error('no embed'));

    behaves('embed', 'embeds each text by itself: vectors of one size, of length 1, in order', async () => {
      const texts = ['the cat sits on the mat', 'revenue grew', 'the dog runs', 'revenue grew'];
      const { vectors, promptTokens } = await embed(texts);
      expect(vectors).toHaveLength(texts.length);
      expect(new Set(vectors.map((vector) => vector.length)).size).toBe(1);
      for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
      const alone: Embeddings[] = [];
      for (const text of texts) alone.push(await embed([text]));
      expect(alone.map((one) => one.vectors[0])).toEqual(vectors);
      expect(vectors[3]).toEqual(vectors[1]);
      expect(vectors[2]).not.toEqual(vectors[1]);
      expect(promptTokens).toBeGreaterThan(0);
      expect(promptTokens).toBe(alone.reduce((sum, one) => sum + one.promptTokens, 0));
    });

    behaves('embed-context', 'refuses a text that is longer than the context, and cuts none', async () => {
      const tooLong = 'word '.repeat(options.tooManyWords ?? 6000);
      expect(await failureOf(embed(['the cat', tooLong]))).toMatchObject({ code: 'context_length_exceeded' });
      expect((await embed(['the cat'])).vectors).toHaveLength(1);
    });

    behaves('embed-aborted', 'rejects an embedding that is aborted with the signal’s reason', async () => {
      const before = cancellation();
      before.controller.abort(before.reason);
      expect(await failureOf(embed(['the cat'], before.controller.signal))).toBe(before.reason);
      const during = cancellation();
      const pending = failureOf(embed(Array<string>(64).fill('the cat'), during.controller.signal));
      during.controller.abort(during.reason);
      expect(await pending).toBe(during.reason);
      expect((await embed(['the cat'])).vectors).toHaveLength(1);
    });

    behaves(
      'close',
      'fails what is under way when it is closed, and a later probe does not hang',
      async () => {
        const { controller } = cancellation();
        const events = pulled(test.backend, request(COUNT, { maxTokens: 48 }), { signal: controller.signal });
        await untilText(events);
        await test.backend.close();
        expect(await failureOf(drain(events))).toBeInstanceOf(ServingError);
        expect(await failureOf(run(QUESTION))).toBeInstanceOf(ServingError);
        const status = await test.backend.probe({ signal: controller.signal });
        expect(status.state).not.toBe('ready');
      },
    );
  });
}

let requestNumber = 0;

function requestFor(model: string, text: string, overrides: Overrides): GenerationRequest {
  const { maxTokens = 32, stop = [], stopTokens, ...rest } = overrides;
  requestNumber += 1;
  return {
    id: `gen_contract_${requestNumber}` as RequestId,
    model,
    input: { kind: 'chat', messages: [{ role: 'user', content: text }] },
    sampling: { temperature: 0 },
    limits: { maxTokens, stop, ...(stopTokens !== undefined && { stopTokens }) },
    thinking: false,
    thinkingIsDefault: true,
    ...rest,
  };
}

async function collect(
  backend: Backend,
  request: GenerationRequest,
  options: GenerateOptions = {},
): Promise<GenerationEvent[]> {
  const events: GenerationEvent[] = [];
  const { signal } = cancellation().controller;
  for await (const event of pulled(backend, request, { ...options, signal })) events.push(event);
  return events;
}

function textOf(events: readonly GenerationEvent[]): string {
  return events.map((event) => (event.type === 'text' ? event.text : '')).join('');
}

function finishOf(events: readonly GenerationEvent[]): Finish {
  const last = events.at(-1);
  if (last?.type !== 'finish') throw new Error(`the last event is ${last?.type}, not a finish`);
  return last;
}

function waiting(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((onResolve) => {
    resolve = onResolve;
  });
  return { promise, resolve };
}

function cancellation(): { controller: AbortController; reason: ServingError } {
  return { controller: new AbortController(), reason: new ServingError('client_gone') };
}

/** What it rejected with; undefined when it did not. */
function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
}

/** What the port calls "at once" waits for nothing that takes this long, also on a busy machine. */
async function atOnce<Value>(promise: Promise<Value>): Promise<Value> {
  const startedAt = performance.now();
  const value = await promise;
  expect(performance.now() - startedAt).toBeLessThan(5000);
  return value;
}

async function untilText(events: AsyncIterator<GenerationEvent>): Promise<void> {
  for (;;) {
    const next = await events.next();
    if (next.done) throw new Error('the stream ended before its first text');
    if (next.value.type === 'text') return;
  }
}

async function drain(events: AsyncIterator<GenerationEvent>): Promise<void> {
  for (;;) if ((await events.next()).done) return;
}
