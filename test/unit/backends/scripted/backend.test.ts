import { describe, expect, it } from 'vitest';
import { ScriptedBackend, type ScriptedTarget, scripted } from '../../../../src/backends/scripted/backend.ts';
import type { GenerationRequest, ToolUse } from '../../../../src/core/generation.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { pulled } from '../../../support/pulled-generation.ts';
import { defaultsOf } from '../../../support/stand-ins/default-keys.ts';
import {
  chatRequest,
  generateAll,
  neverAborted,
  textOf,
  textRequest,
} from '../../../support/stand-ins/generate.ts';
import { ScriptedRecorder } from '../../../support/stand-ins/scripted-recorder.ts';

function start(overrides: Partial<ScriptedTarget> = {}) {
  const clock = new FakeClock();
  const recorder = new ScriptedRecorder();
  const backend = new ScriptedBackend(
    { ...defaultsOf(scripted), model: 'script', ...overrides },
    clock,
    recorder,
  );
  return { clock, recorder, backend };
}

const unlimited = { limits: { stop: [] } };

it('repeats the words of the prompt, beginning where the seed says', async () => {
  const { backend } = start({ tokens: 4 });
  expect(textOf((await generateAll(backend, textRequest('a b c', unlimited))).events)).toBe('a b c a');
  const seeded = await generateAll(backend, textRequest('a b c', { ...unlimited, sampling: { seed: 1 } }));
  expect(textOf(seeded.events)).toBe('b c a b');
});

it('counts words as tokens and ends by length at the limit', async () => {
  const { backend } = start();
  const { events } = await generateAll(backend, chatRequest('one two three'));
  expect(events.at(-1)).toEqual({
    type: 'finish',
    reason: 'length',
    usage: { promptTokens: 3, completionTokens: 8, cachedTokens: 0 },
  });
});

it('finds a stop string that lies across tokens, and gives back what only began like one', async () => {
  const { backend } = start({ text: 'say foo b foo bar baz' });
  const { events } = await generateAll(backend, chatRequest('x', { limits: { stop: ['foo ba'] } }));
  expect(textOf(events)).toBe('say foo b ');
  expect(events.at(-1)).toMatchObject({ reason: 'stop', matchedStop: 'foo ba' });
});

it('ends at the stop string that is complete first, as the engine does', async () => {
  const { backend } = start({ text: 'abcd' });
  const { events } = await generateAll(backend, chatRequest('x', { limits: { stop: ['abcd', 'bc'] } }));
  expect(textOf(events)).toBe('a');
  expect(events.at(-1)).toMatchObject({ matchedStop: 'bc' });
});

it('obeys the script in a request, for that request only', async () => {
  const { backend } = start({ tokens: 2 });
  const { events } = await generateAll(
    backend,
    chatRequest('{"script":{"text":"hello you","reasoning":"hm"}}', { thinking: true }),
  );
  expect(textOf(events)).toBe('hello you');
  expect(events).toContainEqual({ type: 'reasoning', text: 'hm' });
  expect(textOf((await generateAll(backend, chatRequest('a b'))).events)).toBe('a b');
});

it('rejects thinking if its script has no reasoning', async () => {
  const { backend } = start();
  const { events, error } = await generateAll(backend, chatRequest('a b', { thinking: 'low' }));
  expect(error).toMatchObject({
    code: 'unsupported_parameter',
    param: 'think',
    message: 'think is not supported by this model. Remove it, or use another model.',
  });
  expect(events).toEqual([]);
});

describe('tools', () => {
  const tool_calls = [
    { name: 'clock', arguments: {} },
    { name: 'get_weather', arguments: { city: 'Paris' } },
  ];
  const tools = [{ name: 'clock' }, { name: 'get_weather' }];
  const ask = (choice: ToolUse['choice'], overrides: Partial<GenerationRequest> = {}) =>
    chatRequest('a b', { ...unlimited, tools: { tools, choice }, ...overrides });

  it('are called as the script says, once a request lets them be', async () => {
    const { backend } = start({ tool_calls });
    const { events } = await generateAll(backend, ask('auto'));
    expect(events.slice(1)).toEqual([
      { type: 'tool-call', index: 0, id: 'call_0', name: 'clock' },
      { type: 'tool-arguments', index: 0, delta: '{}' },
      { type: 'tool-call', index: 1, id: 'call_1', name: 'get_weather' },
      ...['{"ci', 'ty":', '"Par', 'is"}'].map((delta) => ({ type: 'tool-arguments', index: 1, delta })),
      {
        type: 'finish',
        reason: 'tool_calls',
        usage: { promptTokens: 2, completionTokens: 7, cachedTokens: 0 },
      },
    ]);
    for (const request of [ask('none'), chatRequest('a b')])
      expect(textOf((await generateAll(backend, request)).events)).toContain('a b');
  });

  it('come after the text, and the limit cuts them off', async () => {
    const { backend } = start({ tool_calls, text: 'let me see' });
    const { events } = await generateAll(
      backend,
      ask({ name: 'get_weather' }, { limits: { stop: [], maxTokens: 5 } }),
    );
    expect(textOf(events)).toBe('let me see');
    expect(events.slice(-3)).toMatchObject([
      { type: 'tool-call', index: 0, name: 'get_weather' },
      { type: 'tool-arguments', index: 0, delta: '{"ci' },
      { type: 'finish', reason: 'length' },
    ]);
  });

  it.each(['required', { name: 'clock' }] as const)(
    'are refused where no call can be made: %j',
    async (choice) => {
      const { backend } = start();
      expect((await generateAll(backend, ask(choice))).error).toMatchObject({
        code: 'invalid_request',
        param: 'tool_choice',
      });
    },
  );
});

it('takes a format that its text has, and refuses any other, also one that cannot be read', async () => {
  const { backend } = start({ text: 'yes' });
  const answer = (output: GenerationRequest['output']) =>
    generateAll(backend, chatRequest('x', { ...unlimited, ...(output && { output }) }));
  for (const output of [
    { kind: 'regex', regex: 'ye|yes' },
    { kind: 'choice', choices: ['no', 'yes'] },
  ] as const)
    expect(textOf((await answer(output)).events)).toBe('yes');
  for (const regex of ['ye', '(', '^(?:'])
    expect((await answer({ kind: 'regex', regex })).error).toMatchObject({
      code: 'invalid_request',
      param: 'regex',
    });
});

it('tells how likely each word was when it is asked, with the text that the word is in', async () => {
  const { backend } = start({ text: 'a b c' });
  const { events } = await generateAll(
    backend,
    chatRequest('x', { limits: { stop: [' b no'] }, logprobs: { top: 2 } }),
  );
  const texts = events.filter((event) => event.type === 'text');
  expect(texts.map(({ text, logprobs = [] }) => [text, logprobs.length])).toEqual([
    ['a', 1],
    [' b c', 2],
  ]);
  const [first] = texts[0]?.logprobs ?? [];
  expect(first).toMatchObject({ bytes: [97], logprob: Math.log(1 / 2) });
  expect(first?.top.map(({ logprob }) => logprob)).toEqual([Math.log(1 / 2), Math.log(1 / 4)]);
});

it.each([
  ['{"a": 1}', { kind: 'json' }, true],
  ['[1]', { kind: 'json' }, false],
  ['{"a": ', { kind: 'json' }, false],
  ['{"a": 1}', { kind: 'json-schema', schema: { required: ['a'] } }, true],
  ['{"a": 1}', { kind: 'json-schema', schema: { required: ['b'] } }, false],
  [undefined, { kind: 'json' }, false],
  ['yes', { kind: 'grammar', grammar: 'root ::= "yes"' }, false],
] as const)('says %j where %j is asked for: %j', async (text, output, isTaken) => {
  const { backend } = start(text === undefined ? {} : { text });
  const { error } = await generateAll(backend, chatRequest('x', { output }));
  const code = output.kind === 'grammar' ? 'unsupported_parameter' : 'invalid_request';
  if (isTaken) expect(error).toBeUndefined();
  else expect(error).toMatchObject({ code });
});

it('refuses a script that it does not understand', async () => {
  const { backend } = start();
  for (const prompt of ['{"script":{"tokns":3}}', '{"script":']) {
    expect((await generateAll(backend, textRequest(prompt))).error).toMatchObject({
      code: 'invalid_request',
      param: 'prompt',
    });
  }
});

it.each([
  ['refuse', 'no_backend_available', ''],
  ['error', 'backend_error', ''],
  ['mid-stream', 'backend_error', 'a b'],
] as const)('fails by %s with %s', async (fail, code, text) => {
  const { backend, recorder } = start({ fail });
  const { events, error } = await generateAll(backend, textRequest('a b c'));
  expect(error).toMatchObject({ code });
  expect(textOf(events)).toBe(text);
  expect(recorder).toMatchObject({ running: 0, failed: 1 });
});

it.each(['hang', 'hang-mid-stream'] as const)('hangs by %s until it is aborted', async (fail) => {
  const { backend, recorder, clock } = start({ fail });
  const controller = new AbortController();
  const generating = generateAll(backend, textRequest('a b c'), controller.signal);
  await clock.advance(1_000_000);
  expect(recorder.running).toBe(1);
  controller.abort();
  expect((await generating).error).toMatchObject({ name: 'AbortError' });
  await clock.settle();
  expect(recorder).toMatchObject({ running: 0, aborted: 1 });
  expect(clock.pendingTimers).toBe(0);
});

it('takes the time that the script says', async () => {
  const { backend, clock } = start({
    tokens: 3,
    first_token_delay_ms: 100,
    token_delay_ms: 10,
    prefill_token_delay_ms: 5,
  });
  const seen: number[] = [];
  const reading = (async () => {
    for await (const event of pulled(backend, textRequest('a b'))) {
      if (event.type === 'text') seen.push(clock.now());
    }
  })();
  await clock.advance(1000);
  await reading;
  expect(seen).toEqual([110, 120, 130]);
});

it('refuses a prompt that is longer than its context, with both numbers', async () => {
  const { backend } = start({ context_size: 4 });
  const { error } = await generateAll(backend, textRequest('a b c d e'));
  expect(error).toMatchObject({ code: 'context_length_exceeded', message: expect.stringMatching(/5.*4/) });
});

it('is unloaded, loading and then ready when loading takes time', async () => {
  const { backend, clock } = start({ load_ms: 50 });
  expect(await backend.probe()).toMatchObject({ state: 'unloaded', loaded: false });
  const warming = backend.warmUp({ signal: neverAborted() });
  expect(await backend.probe()).toMatchObject({ state: 'loading' });
  await clock.advance(50);
  await warming;
  expect(await backend.probe()).toMatchObject({ state: 'ready', loaded: true });
});

it('plays a conversation turn by turn, with calls of their own', async () => {
  const call = (name: string) => ({ tool_calls: [{ name, arguments: {} }] });
  const turns = [call('first'), { text: 'well', ...call('second') }, { tokens: 2 }];
  const { backend } = start({ turns, text: 'the end' });
  const told = async (spoken: number) => {
    const before = Array.from({ length: spoken }, () => ({ role: 'assistant', content: 'x' }) as const);
    const messages = [...before, { role: 'user', content: 'a b c' } as const];
    const tools: ToolUse = { tools: [{ name: 'first' }, { name: 'second' }], choice: 'auto' };
    const { events } = await generateAll(
      backend,
      chatRequest('', { ...unlimited, tools, input: { kind: 'chat', messages } }),
    );
    const calls = events.flatMap((event) =>
      event.type === 'tool-call' ? [`${event.name} ${event.id}`] : [],
    );
    return [textOf(events), ...calls];
  };
  expect(await told(0)).toEqual(['the end', 'first call_0_0']);
  expect(await told(1)).toEqual(['well', 'second call_1_0']);
  expect(await told(3)).toEqual(['the end']);
});
