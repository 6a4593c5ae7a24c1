/** Thinking in the engine: a model that says what a test wants, behind the real batcher and real templates. */

import { describe, expect, it } from 'vitest';
import { createAdmission } from '../../../../../src/backends/llama-cpp/engine/admission.ts';
import { Batcher } from '../../../../../src/backends/llama-cpp/engine/batcher.ts';
import { type ChatTemplate, chatml } from '../../../../../src/backends/llama-cpp/engine/chat-template.ts';
import { GrammarWatch } from '../../../../../src/backends/llama-cpp/engine/grammar-watch.ts';
import type { Model, Token } from '../../../../../src/backends/llama-cpp/engine/library.ts';
import { createPromptEncoder } from '../../../../../src/backends/llama-cpp/engine/prompt.ts';
import { type LogprobReader, Sampler } from '../../../../../src/backends/llama-cpp/engine/sampler.ts';
import { Sequence } from '../../../../../src/backends/llama-cpp/engine/sequences.ts';
import { ThreadGovernor } from '../../../../../src/backends/llama-cpp/engine/threads.ts';
import { parseGbnf } from '../../../../../src/backends/llama-cpp/grammar/gbnf/parser.ts';
import { packGrammar } from '../../../../../src/backends/llama-cpp/grammar/gbnf/stack-machine.ts';
import type { EngineEvent, EngineGenerationRequest } from '../../../../../src/backends/llama-cpp/messages.ts';
import { fakeContext } from '../../../../support/fake-context.ts';
import { GREEDY } from '../../../../support/fake-engine.ts';
import { startJinja } from '../../../../support/jinja.ts';

/** A token is a character; these two are special ones, and 0 ends the answer. */
const OPENS = 1;
const CLOSES = 2;
const SPECIAL = ['', '<think>', '</think>'];

const TURNS =
  "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>' }}";
const SWITCHABLE = `${TURNS}{% if not enable_thinking %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}`;
const ALWAYS = `${TURNS}{{ '<think>\\n' }}{% endif %}`;
const NEVER = `${TURNS}{% endif %}`;

const ofFile = await startJinja();
const tokensOf = (text: string): Token[] => [...text].map((character) => character.codePointAt(0) ?? 0);
const chat = { kind: 'chat', messages: [{ role: 'user', content: 'Hi <think>' }] } as const;

interface Asked {
  readonly template: ChatTemplate;
  readonly says: string | readonly Token[];
  /** Without `thinking` it is off by default. */
  readonly request?: Partial<EngineGenerationRequest>;
}

async function ask({ template, says, request = {} }: Asked) {
  const answer = [...(typeof says === 'string' ? tokensOf(says) : says), 0];
  const model = {
    tokens: { bos: null, shouldPrependBosToken: false },
    tokenize: (text: string) => tokensOf(text),
    detokenize: (tokens: readonly Token[], special = false) =>
      tokens
        .map((token) => (token > CLOSES ? String.fromCodePoint(token) : special ? SPECIAL[token] : ''))
        .join(''),
    isEogToken: (token: Token) => token === 0,
    getTokenAttributes: (token: Token) => ({ control: token <= CLOSES, unknown: false }),
    iterateAllTokens: () => [],
  } as unknown as Model;
  const context = fakeContext(answer);
  const events: EngineEvent['event'][] = [];
  await new Promise<void>((resolve) => {
    const batcher = new Batcher({
      model,
      context,
      sequences: [new Sequence(0, context, new Sampler({ applyConfig() {} }, []))],
      admit: createAdmission({
        prompts: createPromptEncoder(model, template),
        contextSize: 400,
        vocabularySize: 256,
        tokensOfBadWords: () => [],
        readGrammar: () => () => ({
          state: {},
          watch: new GrammarWatch(packGrammar(parseGbnf('root ::= .*')), () => []),
        }),
      }),
      logprobs: {} as LogprobReader,
      contextSize: 400,
      promptTokensAlone: 64,
      threads: new ThreadGovernor(1),
      onStep() {},
      onDecoding() {},
      onRest() {},
      emit(told) {
        events.push(...told.map(({ event }) => event));
        if (events.some(({ type }) => type === 'finish' || type === 'failed')) resolve();
      },
    });
    const standing = { id: 1, input: chat, sampling: GREEDY, limits: { stop: [] } };
    const thinking =
      request.thinking === undefined && ({ thinking: false, thinkingIsDefault: true } as const);
    batcher.add({ ...standing, ...thinking, ...request });
  });
  const promptTokens = events.flatMap((event) => (event.type === 'start' ? [event.promptTokens] : []))[0];
  const said = (type: 'text' | 'reasoning') =>
    events.map((event) => (event.type === type ? event.text : '')).join('');
  return {
    prompt: String.fromCodePoint(...context.read.slice(0, promptTokens)),
    reasoning: said('reasoning'),
    text: said('text'),
    end: events.at(-1),
  };
}

describe('a request to think', () => {
  const refused = { type: 'failed', code: 'unsupported_parameter', param: 'think' };

  it.each([
    ['ChatML', chatml],
    ['a file’s template without thinking', ofFile(NEVER)],
  ])('is rejected with %s', async (_name, template) => {
    for (const thinking of [true, 'low'] as const) {
      const { end } = await ask({ template, says: 'Hello.', request: { thinking } });
      expect(end).toMatchObject({
        ...refused,
        message: 'think is set, but this model does not support thinking. Remove it.',
      });
    }
    expect(await ask({ template, says: 'Hello.' })).toMatchObject({ text: 'Hello.', reasoning: '' });
  });

  it('is rejected with a raw prompt, whatever the model can', async () => {
    const request = { thinking: true, input: { kind: 'text', prompt: 'Hi' } } as const;
    const { end } = await ask({ template: ofFile(SWITCHABLE), says: 'Hello.', request });
    expect(end).toMatchObject({ ...refused, message: expect.stringContaining('raw prompt') });
  });

  it('turns the template’s switch', async () => {
    const template = ofFile(SWITCHABLE);
    const off = await ask({ template, says: 'Hello.' });
    expect(off.prompt).toBe('<|user|>Hi <think><|end|><|assistant|><think>\n\n</think>\n\n');
    const on = await ask({ template, says: 'Hello.', request: { thinking: true } });
    expect(on.prompt).toBe('<|user|>Hi <think><|end|><|assistant|>');
  });

  it('turns a switch that is called thinking', async () => {
    const template = ofFile(SWITCHABLE.replace('enable_thinking', 'thinking'));
    expect((await ask({ template, says: 'Hello.' })).prompt).toContain('</think>');
    const on = await ask({ template, says: 'Hello.', request: { thinking: 'high' } });
    expect(on.prompt).not.toContain('</think>');
  });

  it('that is off is rejected where the template has no switch, unless it is a default or the answer has begun', async () => {
    const wish = { thinking: false } as const;
    const begun = {
      kind: 'chat',
      messages: [{ role: 'assistant', content: 'Yes' }],
      continuesLast: true,
    } as const;
    const says = 'Hm.</think>Hello.';
    const { end } = await ask({ template: ofFile(ALWAYS), says, request: wish });
    expect(end).toMatchObject({ ...refused, message: expect.stringContaining('no switch') });
    for (const [source, request] of [
      [ALWAYS, {}],
      [ALWAYS, { ...wish, input: begun }],
      [ALWAYS, { ...wish, input: { kind: 'text', prompt: 'Hi' } }],
      [SWITCHABLE, wish],
      [NEVER, wish],
    ] as const)
      expect((await ask({ template: ofFile(source), says, request })).end).toMatchObject({ type: 'finish' });
  });

  it('leaves a turn of the model as it is, and begins another after it', async () => {
    const messages = [...chat.messages, { role: 'assistant', content: 'Yes' }] as const;
    const request = { input: { kind: 'chat', messages } } as const;
    const { prompt } = await ask({ template: ofFile(NEVER), says: 'Hello.', request });
    expect(prompt).toBe('<|user|>Hi <think><|end|><|assistant|>Yes<|end|><|assistant|>');
  });
});

describe('reasoning', () => {
  const thinking = true;

  it('is separate from the text', async () => {
    const said = await ask({
      template: ofFile(SWITCHABLE),
      says: '<think>\nHm.</think>\n\nHello.',
      request: { thinking },
    });
    expect(said).toMatchObject({
      reasoning: 'Hm.',
      text: 'Hello.',
      end: { reason: 'stop', usage: { completionTokens: '<think>\nHm.</think>\n\nHello.'.length + 1 } },
    });
  });

  it('is separate as well when the template has opened it', async () => {
    const said = await ask({ template: ofFile(ALWAYS), says: 'Hm.\n</think>\n\nHello.' });
    expect(said).toMatchObject({ reasoning: 'Hm.\n', text: 'Hello.' });
  });

  it('is separate where its tags are special tokens', async () => {
    const says = [OPENS, ...tokensOf('Hm.'), CLOSES, ...tokensOf('Hello'), OPENS, ...tokensOf('.')];
    const said = await ask({ template: ofFile(SWITCHABLE), says, request: { thinking } });
    expect(said).toMatchObject({ reasoning: 'Hm.', text: 'Hello.' });
  });

  it('is not ended by stop strings, which end the answer', async () => {
    const said = await ask({
      template: ofFile(SWITCHABLE),
      says: '<think>One END.</think>Two END.',
      request: { thinking, limits: { stop: ['END'] } },
    });
    expect(said).toMatchObject({
      reasoning: 'One END.',
      text: 'Two ',
      end: { reason: 'stop', matchedStop: 'END' },
    });
  });

  it('may use up all tokens', async () => {
    const request = { thinking, limits: { stop: [], maxTokens: 12 } };
    const said = await ask({ template: ofFile(SWITCHABLE), says: '<think>ab</thought>', request });
    expect(said).toMatchObject({ reasoning: 'ab</t', text: '', end: { reason: 'length' } });
  });

  it('is text like any other from a model without reasoning, and in raw text', async () => {
    const says = '<think>Hm.</think>Hello.';
    expect(await ask({ template: chatml, says })).toMatchObject({ text: says, reasoning: '' });
    const request = { input: { kind: 'text', prompt: '<think>' } } as const;
    expect(await ask({ template: ofFile(SWITCHABLE), says, request })).toMatchObject({ text: says });
  });
});
