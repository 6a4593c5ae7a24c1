import { describe, expect, it } from 'vitest';
import { type ChatTemplate, chatml } from '../../../../../src/backends/llama-cpp/engine/chat-template.ts';
import type { Model, Token } from '../../../../../src/backends/llama-cpp/engine/library.ts';
import { createPromptEncoder } from '../../../../../src/backends/llama-cpp/engine/prompt.ts';
import type { ToolChoice } from '../../../../../src/core/generation.ts';

const CONTROL = ['<s>', '<|im_start|>', '<|im_end|>'];

/** Control tokens are 0, 1, 2; any other token is a character’s code. `calls` shows the runs that were tokenized. */
function fakeModel(shouldPrependBosToken = false) {
  const calls: string[] = [];
  const plain = (text: string): Token[] => [...text].map((character) => character.codePointAt(0) ?? 0);
  const model = {
    tokens: { bos: 0, shouldPrependBosToken },
    tokenize(text: string, special?: boolean): Token[] {
      calls.push(text);
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

const chat = (content: string) => ({
  input: { kind: 'chat', messages: [{ role: 'user', content }] } as const,
  thinking: false,
});
const raw = (prompt: string) => ({ input: { kind: 'text', prompt } as const, thinking: false });

describe('chatml', () => {
  it('adds no system message of its own', () => {
    const text = chatml.render({ messages: [{ role: 'user', content: 'Hi' }], tools: [], thinking: false });
    expect(text).toBe('<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n');
  });
});

describe('prompt encoder', () => {
  it('tokenizes the whole prompt at once, special tokens parsed', () => {
    const { model, calls } = fakeModel();
    createPromptEncoder(model, chatml).encode(chat('Hi'));
    expect(calls).toEqual(['<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n']);
  });

  it('takes special tokens in content as text, in the longest run of plain text there is', () => {
    const { model, calls } = fakeModel();
    const { tokens } = createPromptEncoder(model, chatml).encode(chat('a<|im_end|>b<s>'));
    expect(tokens.filter((token) => token < 3)).toEqual([1, 2, 1]);
    expect(calls).toEqual(['<|im_start|>', 'user\na<|im_end|>b<s>', '<|im_end|>\n<|im_start|>assistant\n']);
  });

  it('parses special tokens in raw text', () => {
    const { model } = fakeModel();
    expect(createPromptEncoder(model, chatml).encode(raw('a<|im_end|>')).tokens).toEqual([97, 2]);
  });

  it('puts a beginning-of-sequence token in front once, where the model wants one', () => {
    const { model } = fakeModel(true);
    const encoder = createPromptEncoder(model, { ...chatml, render: () => '<s>a' });
    expect(encoder.encode(raw('a')).tokens).toEqual([0, 97]);
    expect(encoder.encode(chat('a')).tokens).toEqual([0, 97]);
  });

  it('omits that token from raw text on request, and never from a chat', () => {
    const { model } = fakeModel(true);
    const encoder = createPromptEncoder(model, { ...chatml, render: () => '<s>a' });
    expect(encoder.encode({ ...raw('a'), addSpecial: false }).tokens).toEqual([97]);
    expect(encoder.encode({ ...chat('a'), addSpecial: false }).tokens).toEqual([0, 97]);
  });

  it('distinguishes a reasoning tag of the template from one in a message', () => {
    const { model } = fakeModel();
    const reasoningOf = (content: string, text: string) =>
      createPromptEncoder(model, { ...chatml, supportsReasoning: true, render: () => text }).encode(
        chat(content),
      ).reasoning;
    expect(reasoningOf('Hi', 'user: Hi\nmodel: <think>\n')).toBe('begun');
    expect(reasoningOf('Hi', 'user: Hi\nmodel:')).toBe('possible');
    expect(reasoningOf('say <think>', 'user: say <think>')).toBe('possible');
    expect(reasoningOf('say <think>', 'user: say <think>\nmodel: <think>')).toBe('begun');
  });

  it('lists the tools unless none may be called', () => {
    const { model } = fakeModel();
    const encoder = createPromptEncoder(model, chatml);
    const plain = encoder.encode(chat('Hi'));
    const withTools = (choice: ToolChoice) =>
      encoder.encode({ ...chat('Hi'), tools: { tools: [{ name: 'add' }], choice } });
    expect(withTools('none')).toEqual(plain);
    expect(plain.toolSyntax).toBeUndefined();
    const auto = withTools('auto');
    expect(auto.toolSyntax).toBe(chatml.toolSyntax);
    expect(auto.tokens.length).toBeGreaterThan(plain.tokens.length);
    for (const choice of ['required', { name: 'add' }] as const) expect(withTools(choice)).toEqual(auto);
  });
});

describe('a prompt whose last message is continued', () => {
  const begun = (content: string) => ({
    input: {
      kind: 'chat',
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content },
      ],
      continuesLast: true,
    } as const,
    thinking: false,
  });
  const textOf = (content: string, template: ChatTemplate = chatml) => {
    const { model } = fakeModel();
    const { tokens, reasoning } = createPromptEncoder(model, template).encode(begun(content));
    return { text: model.detokenize(tokens), reasoning };
  };

  it('ends with what the message says, blanks included', () => {
    const before = '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n';
    for (const content of ['The sky is', 'The sky is ', '', 'Hi'])
      expect(textOf(content).text).toBe(before + content);
  });

  it('keeps special tokens in it plain text', () => {
    const { model } = fakeModel();
    const { tokens } = createPromptEncoder(model, chatml).encode(begun('a<|im_end|>'));
    expect(tokens.at(-1)).toBe('>'.codePointAt(0));
  });

  it('begins with the answer of a model that reasons, unless reasoning was begun', () => {
    const thinking = { ...chatml, supportsReasoning: true };
    expect(textOf('The sky', thinking).reasoning).toBe('none');
    expect(textOf('<think>Well', thinking).reasoning).toBe('begun');
    expect(textOf('<think>Well</think>The', thinking).reasoning).toBe('none');
    expect(textOf('', thinking).reasoning).toBe('possible');
  });

  it('is rejected where the template omits the message', () => {
    const forgetful = { ...chatml, render: () => 'nothing' };
    expect(() => textOf('The', forgetful)).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', param: 'continue_final_message' }),
    );
  });
});

describe('a prompt of token ids', () => {
  it('is as it is: nothing is added', () => {
    const { model } = fakeModel(true);
    const input = { kind: 'tokens', tokens: [97, 98] } as const;
    expect(createPromptEncoder(model, chatml).encode({ input })).toEqual({
      tokens: [97, 98],
      reasoning: 'none',
    });
  });
});
