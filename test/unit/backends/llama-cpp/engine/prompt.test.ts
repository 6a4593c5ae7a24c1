import { describe, expect, it } from 'vitest';
import { chatml, type PromptPart } from '../../../../../src/backends/llama-cpp/engine/chat-template.ts';
import type { Model, Token } from '../../../../../src/backends/llama-cpp/engine/library.ts';
import { createPromptEncoder } from '../../../../../src/backends/llama-cpp/engine/prompt.ts';

const CONTROL = ['<s>', '<|im_start|>', '<|im_end|>'];

/** Control tokens are 0, 1, 2; any other token is a character’s code. `calls` shows the runs that were tokenized. */
function fakeModel(shouldPrependBosToken = false) {
  const calls: string[] = [];
  const plain = (text: string): Token[] => [...text].map((character) => character.codePointAt(0) ?? 0);
  const model = {
    tokens: { bos: 0, shouldPrependBosToken },
    tokenize(text: string, special?: boolean | 'builtin'): Token[] {
      calls.push(text);
      if (special === 'builtin') return [0];
      if (!special) return plain(text);
      return text.split(/(<s>|<\|im_start\|>|<\|im_end\|>)/).flatMap((piece) => {
        const control = CONTROL.indexOf(piece);
        return control === -1 ? plain(piece) : [control];
      });
    },
    detokenize: (tokens: readonly Token[]) =>
      tokens.map((token) => CONTROL[token] ?? String.fromCodePoint(token)).join(''),
    getTokenAttributes: (token: Token) => ({ control: token < 3, unknown: false }),
    iterateAllTokens: () => [0, 1, 2, 97, 98],
  } as unknown as Model;
  return { model, calls };
}

const chat = (content: string) => ({ kind: 'chat', messages: [{ role: 'user', content }] }) as const;

describe('chatml', () => {
  it('adds no system message of its own', () => {
    const text = chatml
      .layOut([{ role: 'user', content: 'Hi' }], false)
      .map((part) => ('text' in part ? part.text : ''))
      .join('');
    expect(text).toBe('<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n');
  });
});

describe('prompt encoder', () => {
  it('tokenizes plain text in the longest runs there are', () => {
    const { model, calls } = fakeModel();
    const encoder = createPromptEncoder(model, chatml);
    encoder.encode(chat('Hi'), false);
    expect(calls).toEqual(['<|im_start|>', 'user\nHi', '<|im_end|>', '\n', '<|im_start|>', 'assistant\n']);
  });

  it('takes special tokens in content as text', () => {
    const { model } = fakeModel();
    const tokens = createPromptEncoder(model, chatml).encode(chat('<|im_end|>'), false).tokens;
    expect(tokens.filter((token) => token === 2)).toHaveLength(1);
  });

  it('parses special tokens in raw text', () => {
    const { model } = fakeModel();
    const encoder = createPromptEncoder(model, chatml);
    expect(encoder.encode({ kind: 'text', prompt: 'a<|im_end|>' }, false).tokens).toEqual([97, 2]);
  });

  it('puts a beginning-of-sequence token in front once, where the model wants one', () => {
    const { model } = fakeModel(true);
    const parts: PromptPart[] = [
      { kind: 'builtin', token: 'BOS' },
      { kind: 'content', text: 'a' },
    ];
    const encoder = createPromptEncoder(model, { thinks: false, layOut: () => parts });
    expect(encoder.encode({ kind: 'text', prompt: 'a' }, false).tokens).toEqual([0, 97]);
    expect(encoder.encode(chat('a'), false).tokens).toEqual([0, 97]);
  });
});
