/** The embedded engine with the real default model: what it answers, and how it counts, stops and is aborted. */
import { beforeAll, describe, expect, it } from 'vitest';
import { PROMPT_TOKENS_ALONE } from '../../src/backends/llama-cpp/engine/step-planner.ts';
import { ServingError } from '../../src/core/errors.ts';
import type { GenerationEvent, GenerationRequest } from '../../src/core/generation.ts';
import {
  type Ask,
  embeddedEngine,
  never,
  read,
  requestFor,
  sharedEngine,
} from '../support/embedded-engine.ts';
import { pulled } from '../support/pulled-generation.ts';

const engine = sharedEngine();
const { backend } = engine;
/** With half the context, and the template of the file. */
const small = embeddedEngine({ slots: 1, context_size: 256, chat_template: 'file' }).backend;

const TOOLS = [{ name: 'now' }, { name: 'later' }];

function ask(what: Parameters<typeof requestFor>[0], options?: Ask, of = backend) {
  return read(pulled(of, requestFor(what, options), { signal: never() }));
}

let scopes = 0;

/** With nothing of its prompt evaluated before: steps of the same shape give the same sums on any processor. */
function askAnew(what: Parameters<typeof requestFor>[0], options: Ask) {
  scopes += 1;
  return read(pulled(backend, requestFor(what, options), { signal: never(), cacheScope: `${scopes}` }));
}

async function failure(request: GenerationRequest): Promise<ServingError> {
  const thrown: unknown = await read(pulled(backend, request, { signal: never() })).catch(
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(ServingError);
  return thrown as ServingError;
}

beforeAll(async () => {
  expect((await small.probe()).state).toBe('unloaded');
  const warming = Promise.all([backend, small].map((each) => each.warmUp({ signal: never() })));
  expect(await small.probe()).toMatchObject({ state: 'loading', loaded: false });
  await warming;
});

describe('answers', () => {
  it('is ready with the context it was given', async () => {
    const abilities = ['generate', 'tools'];
    expect(await backend.probe()).toMatchObject({
      state: 'ready',
      loaded: true,
      contextSize: 512,
      abilities,
    });
  });

  it('answers a question sensibly, and counts the end-of-turn token as a token but not as text', async () => {
    const { text, finish, start } = await ask('What is the capital of France?');
    expect(text).toBe('The capital of France is Paris.');
    expect(start).toMatchObject({ type: 'start', promptTokens: 16 });
    expect(finish).toMatchObject({ reason: 'stop', usage: { promptTokens: 16, completionTokens: 8 } });
  });

  it('answers sensibly with the model’s own sampling, ten times out of ten', async () => {
    const asked = Array.from({ length: 10 }, () =>
      ask('What is the capital of France?', { sampling: {}, limits: { maxTokens: 32 } }),
    );
    for (const { text } of await Promise.all(asked)) expect(text).toContain('Paris');
  });

  it('gives the same text for the same seed, another for another', async () => {
    const tell = (seed: number) =>
      askAnew('Tell me a story.', {
        sampling: { temperature: 1.2, topP: 1, topK: 0, minP: 0, seed },
        limits: { maxTokens: 20 },
      });
    const [first, again, other] = [await tell(7), await tell(7), await tell(8)];
    expect(again.text).toBe(first.text);
    expect(other.text).not.toBe(first.text);
  });

  it('runs four at once, each with its own answer, and queues a fifth', async () => {
    const countries = { France: 'Paris', Germany: 'Berlin', Italy: 'Rome', Spain: 'Madrid', Japan: 'Tokyo' };
    const answers = await Promise.all(
      Object.keys(countries).map((country) =>
        ask(`What is the capital of ${country}?`, { limits: { maxTokens: 24 } }),
      ),
    );
    expect(
      answers.map(({ text }, index) => text.includes(Object.values(countries)[index] as string)),
    ).toEqual(countries === undefined ? [] : [true, true, true, true, true]);
  });

  it('continues raw text without a template, and parses special tokens in it', async () => {
    const plain = await ask({ raw: 'The capital of France is' }, { limits: { maxTokens: 3 } });
    expect(plain.text).toContain('Paris');
    const chatml = '<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n';
    const templated = await ask({ raw: chatml });
    expect(templated.text).toBe('The capital of France is Paris.');
    expect(templated.start.promptTokens).toBe(16);
  });

  it('takes special tokens that a user writes as text: they never end a turn', async () => {
    const asText = await ask('Say<|im_end|>', { limits: { maxTokens: 1 } });
    const without = await ask('Say', { limits: { maxTokens: 1 } });
    expect(asText.start.promptTokens).toBeGreaterThan((without.start.promptTokens ?? 0) + 2);
  });

  it('penalizes repetition when asked to', async () => {
    const prompt = { raw: 'ha ha ha ha ha ha ha ha' };
    const repeating = await ask(prompt, { limits: { maxTokens: 24 } });
    const varied = await ask(prompt, {
      sampling: { temperature: 0, repeatPenalty: 2, frequencyPenalty: 2 },
      limits: { maxTokens: 24 },
    });
    const distinct = (text: string) => new Set(text.split(' ')).size;
    expect(distinct(varied.text)).toBeGreaterThan(distinct(repeating.text));
  });
});

describe('text', () => {
  it('ends before a stop string that lies across tokens, and names it', async () => {
    const { text, finish } = await ask('What is the capital of France?', {
      limits: { stop: ['France is Par'] },
    });
    expect(text).toBe('The capital of ');
    expect(finish).toMatchObject({ reason: 'stop', matchedStop: 'France is Par' });
  });

  it('gives whole characters only, for emoji and Chinese', async () => {
    const { text, pieces } = await ask(
      { raw: '😀😃😄😁 🎉🎊 你好世界，欢迎来到 😀😃😄😁 🎉🎊 你好世界，' },
      { limits: { maxTokens: 40 } },
    );
    expect(text).not.toContain('\uFFFD');
    expect(text).toMatch(/\p{Script=Han}|\p{Emoji_Presentation}/u);
    for (const piece of pieces) expect(Buffer.from(piece).toString()).toBe(piece);
  });

  it('ends with length at max_tokens, with exactly that many tokens', async () => {
    const { finish, pieces } = await ask('Tell me a long story.', { limits: { maxTokens: 12 } });
    expect(finish).toMatchObject({ reason: 'length', usage: { completionTokens: 12 } });
    expect(pieces.length).toBeLessThanOrEqual(12);
  });
});

describe('context', () => {
  it('ends with length when the context is full, whatever max_tokens says', async () => {
    const { finish, start } = await ask(
      { raw: 'one two three four '.repeat(61) },
      { limits: { maxTokens: 10_000 } },
      small,
    );
    expect(finish.reason).toBe('length');
    expect(finish.usage.promptTokens + finish.usage.completionTokens).toBe(256);
    expect(start.promptTokens).toBeGreaterThan(240);
  });

  it('refuses a prompt that does not fit, naming both numbers and the field', async () => {
    const raw = await failure(requestFor({ raw: 'word '.repeat(600) }));
    expect(raw).toMatchObject({ code: 'context_length_exceeded', param: 'prompt' });
    expect(raw.message).toMatch(/\b60\d tokens.*\b512 tokens/);
    const chat = await failure(requestFor('word '.repeat(600)));
    expect(chat).toMatchObject({ code: 'context_length_exceeded', param: 'messages' });
  });

  it('reuses what a sequence holds of the prompt’s beginning', async () => {
    const beginning = 'Here is a list of animals: dog, cat, horse, cow, sheep, goat, hen. ';
    await ask({ raw: beginning }, { limits: { maxTokens: 1 } });
    const { start, finish, text } = await ask(
      { raw: `${beginning}The first is the` },
      { limits: { maxTokens: 4 } },
    );
    expect(start.cachedTokens).toBeGreaterThan(15);
    expect(finish.usage.cachedTokens).toBe(start.cachedTokens);
    const same = await ask({ raw: `${beginning}The first is the` }, { limits: { maxTokens: 4 } });
    expect(same.start.cachedTokens).toBe((same.start.promptTokens ?? 0) - 1);
    expect(same.text.trim().split(/\W/)[0]).toBe(text.trim().split(/\W/)[0]);
  });
});

describe('the vocabulary', () => {
  const { tokenizer } = backend;
  const signal = never();
  const FRANCE = 'What is the capital of France?';
  const tools = { tools: TOOLS, choice: 'auto' } as const;

  it('gives the very tokens that are evaluated, for chats, tools and raw text', async () => {
    const ones = { limits: { maxTokens: 1 } };
    for (const request of [
      requestFor(FRANCE, ones),
      { ...requestFor(FRANCE, ones), tools },
      requestFor({ raw: '<|im_start|>user\n' }, ones),
    ]) {
      const tokens = await tokenizer.encode(request, { signal });
      const { start } = await read(pulled(backend, request, { signal }));
      expect(tokens).toHaveLength(start.promptTokens ?? 0);
    }
  });

  it('gives back the text that was made of them, special tokens and emoji in it', async () => {
    for (const prompt of ['Hello, 世界! 😀👩‍👩‍👧 naïve\n\tx  ', '<|im_start|>user\nHi<|im_end|>', '']) {
      const tokens = await tokenizer.encode(
        { input: { kind: 'text', prompt }, addSpecial: false },
        { signal },
      );
      expect(await tokenizer.decode(tokens, { signal })).toBe(prompt);
    }
  });

  it('is told while answers are written', async () => {
    const writing = ask('Tell me a story.', { limits: { maxTokens: 12 } });
    expect(await tokenizer.decode([1], { signal })).toBe('<|im_start|>');
    await writing;
  });

  it('refuses ids that are none of its tokens, and lives on', async () => {
    for (const token of [49_152, -1, 2 ** 31, 2 ** 40, 1.5]) {
      const refused = tokenizer.decode([1, token], { signal });
      await expect(refused).rejects.toMatchObject({ code: 'invalid_request', param: 'tokens' });
    }
    expect(await tokenizer.decode([], { signal })).toBe('');
  });
});

describe('the end of a turn', () => {
  const FRANCE = 'What is the capital of France?';

  it('comes no sooner than wanted, and then as the model likes', async () => {
    const logprobs = { top: 1 };
    const request = { ...requestFor(FRANCE, { limits: { minTokens: 12 } }), logprobs };
    const { text, finish } = await read(pulled(backend, request, { signal: never() }));
    expect(text.startsWith('The capital of France is Paris.')).toBe(true);
    expect(finish.reason).toBe('stop');
    expect(finish.usage.completionTokens).toBeGreaterThan(12);
    const soon = await ask(FRANCE, { limits: { minTokens: 3 } });
    expect(soon.finish.usage.completionTokens).toBe(8);
  });

  it('may be held up without a change of what seed and penalties make of the answer', async () => {
    const sampling = { temperature: 1, repeatPenalty: 1.3, frequencyPenalty: 0.5, seed: 5 };
    const plain = await askAnew('Tell me a story.', { sampling, limits: { maxTokens: 30 } });
    const held = await askAnew('Tell me a story.', { sampling, limits: { maxTokens: 30, minTokens: 10 } });
    expect(held.text).toBe(plain.text);
  });

  it('never comes where it is ignored: length and stop strings end the answer', async () => {
    const long = await ask(FRANCE, { limits: { ignoreEos: true, maxTokens: 20 } });
    expect(long.text.startsWith('The capital of France is Paris.')).toBe(true);
    expect(long.text).not.toContain('<|im_end|>');
    expect(long.finish).toMatchObject({ reason: 'length', usage: { completionTokens: 20 } });
    const stopped = await ask(FRANCE, { limits: { ignoreEos: true, stop: ['Paris'] } });
    expect(stopped.finish).toMatchObject({ reason: 'stop', matchedStop: 'Paris' });
  });

  it('comes where a grammar leaves nothing else, whatever is wanted', async () => {
    const output = { kind: 'grammar', grammar: 'root ::= "yes" | "no"' } as const;
    for (const limits of [{ ignoreEos: true }, { minTokens: 9 }] as const) {
      for (const sampling of [{ temperature: 0 }, { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 1 }]) {
        const request = { ...requestFor(FRANCE, { sampling, limits }), output, logprobs: { top: 2 } };
        const { text, finish } = await read(pulled(backend, request, { signal: never() }));
        expect(text).toMatch(/^(yes|no)$/);
        expect(finish.reason).toBe('stop');
      }
    }
  });
});

describe('a single call', () => {
  it('is all that a forced answer has', async () => {
    const tools = { tools: TOOLS, choice: 'required', single: true } as const;
    const request = {
      ...requestFor('What is the capital of France?', { limits: { ignoreEos: true } }),
      tools,
    };
    const events: GenerationEvent[] = [];
    for await (const event of pulled(backend, request, { signal: never() })) events.push(event);
    expect(events.filter(({ type }) => type === 'tool-call')).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'tool_calls' });
  });
});

describe('abort', () => {
  async function begin(what: Parameters<typeof requestFor>[0], signal: AbortSignal) {
    const events = pulled(backend, requestFor(what), { signal });
    expect((await events.next()).value).toMatchObject({ type: 'start' });
    return events;
  }

  it('rejects a pending next at once', async () => {
    const abort = new AbortController();
    const reason = new ServingError('client_gone');
    const events = await begin({ raw: 'alpha beta gamma delta '.repeat(60) }, abort.signal);
    const pending = events.next();
    abort.abort(reason);
    await expect(pending).rejects.toBe(reason);
    await events.return?.();
    expect((await events.next()).done).toBe(true);
  });

  it('frees the sequence within 100 ms, or three steps, while decoding', async () => {
    // The best of a few, and beside the time of a step: other work on the cores slows that down many times over.
    const took: number[] = [];
    for (let attempt = 0; attempt < 5 && Math.min(...took) >= 1; attempt++) {
      const abort = new AbortController();
      const events = await begin('Tell me a very long story.', abort.signal);
      await events.next();
      const steppedAt = performance.now();
      for (let piece = 0; piece < 2; piece++) await events.next();
      const limitMs = Math.max(100, 3 * (performance.now() - steppedAt));
      const abortedAt = performance.now();
      abort.abort(new ServingError('client_gone'));
      await events.return?.();
      took.push((performance.now() - abortedAt) / limitMs);
    }
    expect(Math.min(...took)).toBeLessThan(1);
  });

  it('stops within a prompt chunk while it still reads the prompt, and keeps what it has read', async () => {
    const abort = new AbortController();
    const prompt = { raw: 'red green blue yellow '.repeat(60) };
    const events = await begin(prompt, abort.signal);
    abort.abort(new ServingError('client_gone'));
    await events.return?.();
    const { start } = await ask(prompt, { limits: { maxTokens: 1 } });
    expect(start.promptTokens).toBeGreaterThan(200);
    expect(start.cachedTokens).toBeLessThanOrEqual(2 * PROMPT_TOKENS_ALONE.cpu);
  });

  it('frees the sequence of a reader that leaves', async () => {
    for await (const event of pulled(backend, requestFor('Tell me a story.'), { signal: never() })) {
      if (event.type === 'text') break;
    }
    const answers = await Promise.all([1, 2, 3, 4].map(() => ask('What is the capital of France?')));
    expect(answers.map(({ finish }) => finish.reason)).toEqual(['stop', 'stop', 'stop', 'stop']);
  });
});

describe('chat template', () => {
  it('uses the template in the file when asked to: with its default system message, as llama.cpp’s server does', async () => {
    const first = async (content: string) =>
      (await ask(content, { limits: { maxTokens: 1 } }, small)).start.promptTokens ?? 0;
    expect(await first('What is the capital of France?')).toBe(37);
    expect(await first('What is the capital of France?<|im_end|>')).toBeGreaterThan(38);
  });
});

describe('a pause', () => {
  it('holds one answer still while another is written to its end, and it goes on from there', async () => {
    const told: GenerationEvent[] = [];
    const waiting: { readonly type: GenerationEvent['type']; resolve(): void }[] = [];
    const until = (type: GenerationEvent['type']) =>
      new Promise<void>((resolve) => void waiting.push({ type, resolve }));
    const sink = {
      event(event: GenerationEvent) {
        told.push(event);
        for (const one of waiting) if (one.type === event.type) one.resolve();
      },
      fail(error: ServingError) {
        throw error;
      },
    };
    const [begun, ended] = [until('text'), until('finish')];
    const story = requestFor('Tell me a story.', { limits: { maxTokens: 24, ignoreEos: true } });
    const generation = backend.generate(story, sink, {});
    await begun;
    generation.pause();
    const other = pulled(backend, requestFor('What is the capital of France?'));
    expect((await other.next()).value).toMatchObject({ type: 'start' });
    // The engine got the pause before it got the other, and a step under way has been told.
    const before = told.length;
    let text = '';
    for await (const event of other) if (event.type === 'text') text += event.text;
    expect([text, told.length]).toEqual(['The capital of France is Paris.', before]);
    generation.resume();
    await ended;
    await generation.released;
    expect(told.at(-1)).toMatchObject({ type: 'finish', usage: { completionTokens: 24 } });
  });

  it('is over when the generation is cancelled: its sequence is free', async () => {
    let begun = () => {};
    const hasBegun = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const generation = small.generate(requestFor('Tell me a story.'), { event: begun, fail() {} }, {});
    await hasBegun;
    generation.pause();
    generation.cancel(new ServingError('client_gone'));
    await generation.released;
    expect((await ask('What is the capital of France?', {}, small)).text).toContain('Paris');
  });
});
