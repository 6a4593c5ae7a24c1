/** Prompts with the real tokenizer of the default model: what somebody writes is text, whatever it spells out. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { chatml } from '../../src/backends/llama-cpp/engine/chat-template.ts';
import type { Model, Token } from '../../src/backends/llama-cpp/engine/library.ts';
import {
  createPromptEncoder,
  type PromptEncoder,
  promptLimit,
} from '../../src/backends/llama-cpp/engine/prompt.ts';
import { chunkedTokenize } from '../../src/backends/llama-cpp/engine/vocabulary.ts';
import type { Message, Tool } from '../../src/core/generation.ts';
import { cpuMs } from '../support/cpu-time.ts';
import { modelPath } from '../support/embedded-engine.ts';
import { startJinja, startLlama } from '../support/jinja.ts';

const SPECIAL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<file_sep>'];
const TEMPLATE =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content | trim }}{{ m.reasoning_content }}" +
  '{% for c in m.tool_calls %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}' +
  "{{ '<|im_end|>\\n' }}{% endfor %}{% if tools %}<tools>{{ tools | tojson(indent=2) }}</tools>{% endif %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

let model: Model;
let encoders: readonly PromptEncoder[];
let isSpecial: (token: Token) => boolean;

beforeAll(async () => {
  const llama = await startLlama();
  const vocabulary = { vocabOnly: true, modelPath: await modelPath(), gpuLayers: 0, onLoadProgress() {} };
  model = await llama.loadModel(vocabulary);
  const own = model.fileInfo.metadata?.tokenizer?.chat_template ?? '';
  const ofFile = await startJinja();
  encoders = [chatml, ofFile(own), ofFile(TEMPLATE)].map((template) => createPromptEncoder(model, template));
  isSpecial = (token) => model.getTokenAttributes(token).control;
});

const word = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('<', '|>', 'im_end', ' ', '\n', '0', '123456', 'user\n', '\\', '"', '😀', '<tool_call>'),
);
const harmless = fc
  .array(word, { maxLength: 8 })
  .map((words) => words.join(''))
  .filter((text) => !SPECIAL.some((special) => text.includes(special)) && text.isWellFormed());
const hostile = fc
  .array(fc.oneof(word, fc.constantFrom(...SPECIAL, ...SPECIAL)), { maxLength: 8 })
  .map((words) => words.join(''))
  .filter((text) => text.isWellFormed());

/** The default model has no tokens for some bytes of rare characters. */
const printable = hostile.map((text) => text.replace(/[^ -~\n😀]/gu, '?'));

const conversation = (text: string): { messages: Message[]; tools: Tool[] } => ({
  messages: [
    { role: 'system', content: text },
    { role: 'user', content: text },
    {
      role: 'assistant',
      content: text,
      reasoning: text,
      toolCalls: [{ id: text, name: text, arguments: JSON.stringify({ [text]: [text] }) }],
    },
    { role: 'tool', content: text, toolCallId: text },
    { role: 'user', content: `${text}!` },
  ],
  tools: [{ name: text, description: text, parameters: { properties: { [text]: { enum: [text] } } } }],
});
const encode = (encoder: PromptEncoder, { messages, tools }: { messages: Message[]; tools: Tool[] }) =>
  encoder.encode({
    input: { kind: 'chat', messages },
    thinking: false,
    tools: { tools, choice: 'auto' },
  }).tokens;

describe('special tokens', () => {
  it('are never made of what somebody writes, wherever that is', () => {
    const count = (tokens: readonly Token[]) => tokens.filter(isSpecial);
    fc.assert(
      fc.property(hostile, (text) => {
        for (const encoder of encoders)
          expect(count(encode(encoder, conversation(text)))).toEqual(
            count(encode(encoder, conversation('x'))),
          );
      }),
      { numRuns: 60 },
    );
  });

  it('stay in the text as they were written', () => {
    fc.assert(
      fc.property(printable, (content) => {
        const messages: Message[] = [{ role: 'user', content }];
        const input = { kind: 'chat', messages } as const;
        const tokens = encoders[0]?.encode({ input, thinking: false }).tokens ?? [];
        expect(model.detokenize(tokens, true)).toBe(chatml.render({ messages, tools: [], thinking: false }));
      }),
      { numRuns: 60 },
    );
  });

  it('that JSON escapes spell out are text too', () => {
    const messages: Message[] = [
      {
        role: 'assistant',
        content: '',
        toolCalls: [{ id: '1', name: 'f', arguments: '{"a":"\\u003c|im_end|>"}' }],
      },
    ];
    const tokens = encoders[2]?.encode({ input: { kind: 'chat', messages }, thinking: false }).tokens ?? [];
    expect(tokens.filter(isSpecial)).toEqual([1, 2, 1]);
    expect(model.detokenize(tokens, true)).toContain('{"a": "<|im_end|>"}');
  });
});

describe('the tokens of a prompt', () => {
  it('are those of its whole text where nobody spells out special tokens', () => {
    fc.assert(
      fc.property(harmless, (content) => {
        const messages: Message[] = [{ role: 'user', content }];
        const text = chatml.render({ messages, tools: [], thinking: false });
        const input = { kind: 'chat', messages } as const;
        expect(encoders[0]?.encode({ input, thinking: false }).tokens).toEqual(model.tokenize(text, true));
      }),
      { numRuns: 60 },
    );
  });

  it('are the same beside a message that does', () => {
    const turnsBehind = (first: string, second: string) => {
      const messages: Message[] = [
        { role: 'user', content: first },
        { role: 'user', content: second },
      ];
      const tokens = encoders[0]?.encode({ input: { kind: 'chat', messages }, thinking: false }).tokens ?? [];
      return tokens.slice(tokens.indexOf(1, 1));
    };
    fc.assert(
      fc.property(harmless, (content) => {
        expect(turnsBehind('a <|im_end|> b', content)).toEqual(turnsBehind('x', content));
      }),
      { numRuns: 60 },
    );
  });
});

describe('a long text full of special tokens', () => {
  const tricky = fc
    .array(
      fc.oneof(
        word,
        fc.constantFrom(...SPECIAL, ...SPECIAL),
        fc.constantFrom(' a', 'a ', '  ', 'é', 'word', '\r\n', '<|im_', 'start|>'),
        fc.constant('word and word. '.repeat(300)),
      ),
      { minLength: 12, maxLength: 40 },
    )
    .map((words) => words.join(''))
    .filter((text) => text.isWellFormed());

  it('has the tokens of the whole, wherever it is cut', () => {
    const tokenize = chunkedTokenize(model);
    fc.assert(
      fc.property(tricky, fc.boolean(), (text, special) => {
        const long = text.repeat(Math.ceil(8000 / text.length));
        expect(tokenize(long, special)).toEqual(model.tokenize(long, special));
      }),
      { numRuns: 25 },
    );
  });

  it('is read in no time', () => {
    const many = 80_000;
    const begun = cpuMs();
    const input = { kind: 'text', prompt: '<|im_start|>'.repeat(many) } as const;
    expect(encoders[0]?.encode({ input }).tokens.length).toBe(many);
    expect(cpuMs() - begun).toBeLessThan(5000);
  });

  it('is refused unread where it cannot fit, as it stands in the prompt', () => {
    const bytes = promptLimit(model, 10);
    expect(bytes.maxBytes).toBeLessThan(10 * 1000);
    const encoder = createPromptEncoder(model, chatml, bytes);
    const refused = (param: string) => expect.objectContaining({ code: 'context_length_exceeded', param });
    const content = 'a'.repeat(bytes.maxBytes + 1);
    const messages: Message[] = [{ role: 'user', content }];
    expect(() => encoder.encode({ input: { kind: 'text', prompt: content } })).toThrow(refused('prompt'));
    expect(() => encoder.encode({ input: { kind: 'chat', messages } })).toThrow(refused('messages'));
    const spelt = '<|im_end|>'.repeat(Math.floor((bytes.maxBytes - 100) / 10));
    const allowed: Message[] = [{ role: 'user', content: spelt }];
    expect(() => encoder.encode({ input: { kind: 'chat', messages: allowed } })).not.toThrow();
    expect(() =>
      encoder.encode({ input: { kind: 'text', prompt: ' '.repeat(bytes.maxBytes) } }),
    ).not.toThrow();
  });
});
