import { expect, it } from 'vitest';
import type { Message } from '../../../src/core/generation.ts';
import { promptSizeOf } from '../../../src/serving/prompt-size.ts';

const input = { kind: 'chat', messages: [{ role: 'user', content: 'abcdefgh' }] } as const;

it('a prompt is four bytes a token, and four tokens for each message', () => {
  expect(promptSizeOf({ input: { kind: 'text', prompt: 'abcdeé' } })).toEqual({ bytes: 7, tokens: 2 });
  expect(promptSizeOf({ input })).toEqual({ bytes: 8, tokens: 6 });
});

it('the definitions of tools, and calls made earlier, are part of the prompt', () => {
  const tools = [{ name: 'clock', description: 'x'.repeat(400) }];
  const bytes = 8 + JSON.stringify(tools).length;
  expect(promptSizeOf({ input, tools: { tools, choice: 'auto' } })).toEqual({
    bytes,
    tokens: Math.ceil(bytes / 4) + 4,
  });
  const calls: Message = {
    role: 'assistant',
    content: '',
    toolCalls: [{ id: 'call_1', name: 'clock', arguments: '{"zone":"UTC"}' }],
  };
  expect(promptSizeOf({ input: { kind: 'chat', messages: [...input.messages, calls] } })).toEqual({
    bytes: 8 + 5 + 14,
    tokens: 7 + 8,
  });
});

it('a schema or grammar takes up room in the queue, but none in the prompt', () => {
  const schema = { type: 'object' };
  const sizes = [
    promptSizeOf({ input, output: { kind: 'json-schema', schema } }),
    promptSizeOf({ input, output: { kind: 'grammar', grammar: 'x'.repeat(1000) } }),
    promptSizeOf({ input, output: { kind: 'json' } }),
  ];
  expect(sizes).toEqual([
    { bytes: 8 + 17, tokens: 6 },
    { bytes: 8 + 1000, tokens: 6 },
    { bytes: 8, tokens: 6 },
  ]);
});

it('what a template may write into the prompt counts, also in fields that no protocol knows', () => {
  const documents = [{ text: 'word '.repeat(1000) }];
  const bytes = JSON.stringify(documents).length;
  expect(promptSizeOf({ input, extras: { documents } })).toEqual({
    bytes: 8 + bytes,
    tokens: Math.ceil((8 + bytes) / 4) + 4,
  });
  expect(promptSizeOf({ input, extras: { chat_template_kwargs: { documents } } }).tokens).toBeGreaterThan(
    1250,
  );
  expect(
    promptSizeOf({ input: { kind: 'text', prompt: 'abcdefgh' }, extras: { prefix: 'x'.repeat(400) } }).tokens,
  ).toBe(102);
  const settings = { repetition_penalty: 1.1, skip_special_tokens: false, guided_json: { type: 'object' } };
  expect(promptSizeOf({ input, extras: settings })).toEqual({ bytes: 8, tokens: 6 });
});
