import { describe, expect, it } from 'vitest';
import {
  type Feature,
  refuseUnsupported,
  withoutField,
  withoutRedundantFormat,
} from '../../../src/core/features.ts';
import type { GenerationRequest, Message, RequestId, ToolChoice } from '../../../src/core/generation.ts';
import { chatRequest, textRequest } from '../../support/stand-ins/generate.ts';

describe('unsupported features', () => {
  function refusalOf(request: GenerationRequest, supports: readonly Feature[] = []): unknown {
    try {
      refuseUnsupported(request, { backend: 'plain', supports });
      return undefined;
    } catch (error) {
      return error;
    }
  }

  const call = { id: 'call_1', name: 'clock', arguments: '{}' };
  const image = { mediaType: 'image/png', base64: 'AA==', at: 0 };
  const asked: Message = { role: 'assistant', content: '', toolCalls: [call] };
  const answered: Message = { role: 'tool', content: 'noon' };
  const chat = (...messages: Message[]) =>
    chatRequest('', { input: { kind: 'chat', messages: [{ role: 'user', content: 'hi' }, ...messages] } });

  it.each([
    ['json', 'format', chatRequest('hi', { output: { kind: 'json' } })],
    ['json-schema', 'format', chatRequest('hi', { output: { kind: 'json-schema', schema: {} } })],
    ['grammar', 'grammar', textRequest('hi', { output: { kind: 'grammar', grammar: 'root ::= "a"' } })],
    ['tools', 'tools', chatRequest('hi', { tools: { tools: [{ name: 'clock' }], choice: 'none' } })],
    ['tool-messages', 'messages[1].tool_calls', chat(asked, answered)],
    ['tool-messages', 'messages[1].role', chat(answered)],
    [
      'images',
      'messages[2].images',
      chat({ role: 'user', content: '' }, { role: 'user', content: '', images: [image] }),
    ],
    ['logprobs', 'logprobs', textRequest('hi', { logprobs: { top: 0 } })],
    ['logit-bias', 'logit_bias', textRequest('hi', { sampling: { logitBias: [] } })],
    ['repeat-last-n', 'repeat_last_n', textRequest('hi', { sampling: { repeatLastN: 0 } })],
    ['typical-p', 'typical_p', textRequest('hi', { sampling: { typicalP: 0.7 } })],
    ['mirostat', 'mirostat', textRequest('hi', { sampling: { mirostat: { mode: 1 } } })],
    ['keep-tokens', 'num_keep', textRequest('hi', { limits: { keepTokens: 24, stop: [] } })],
  ] as const)('%s is refused as %s where it is not passed on', (feature, param, request) => {
    expect(refusalOf(request)).toMatchObject({
      code: 'unsupported_parameter',
      param,
      message: `${param} is not supported by the plain backend, which serves this model. Remove it, or use another model.`,
    });
    expect(refusalOf(request, [feature])).toBeUndefined();
  });

  it('a request that asks for text alone is refused by nobody', () => {
    expect(
      refusalOf(chat({ role: 'assistant', content: 'hm' }, { role: 'user', content: 'hi' })),
    ).toBeUndefined();
    expect(refusalOf(textRequest('hi'))).toBeUndefined();
  });

  it('images in the result of a tool are refused as those of a user', () => {
    const seen: Message = { role: 'tool', content: '', toolCallId: 'call_1', images: [image] };
    expect(refusalOf(chat(asked, seen), ['tool-messages'])).toMatchObject({
      code: 'unsupported_parameter',
      param: 'messages[2].images',
    });
  });

  it('a setting at the value that it has where nobody sets it is refused by nobody', () => {
    const sampling = { repeatLastN: 64, typicalP: 1, mirostat: { mode: 0, tau: 3 } } as const;
    expect(refusalOf(textRequest('hi', { sampling }))).toBeUndefined();
    expect(refusalOf(textRequest('hi', { sampling: { mirostat: { eta: 0.1 } } }))).toBeUndefined();
  });

  it('what is kept of a prompt is dropped where no context is shifted, also under strict compatibility', () => {
    const request = textRequest('hi', { limits: { keepTokens: 24, stop: ['a'] } });
    expect(withoutField(request, 'num_keep', 'optional')?.limits).toEqual({ stop: ['a'] });
  });

  it('a format is refused beside tools that may be called, where the two cannot go together', () => {
    const both = (choice: ToolChoice) =>
      chatRequest('hi', { output: { kind: 'json' }, tools: { tools: [{ name: 'clock' }], choice } });
    expect(refusalOf(both('auto'), ['json', 'tools'])).toMatchObject({
      code: 'unsupported_parameter',
      param: 'format',
      message:
        'format beside tools that may be called is not supported by the plain backend, which serves this model. Remove it, or use another model.',
    });
    expect(refusalOf(both('none'), ['json', 'tools'])).toBeUndefined();
    expect(refusalOf(both('auto'), ['json', 'tools', 'format-beside-tools'])).toBeUndefined();
    expect(withoutField(both('auto'), 'format')).not.toHaveProperty('output');
  });

  it('a format is moot where a call is forced: there is no text for it to hold', () => {
    const both = (choice: ToolChoice) =>
      chatRequest('hi', { output: { kind: 'json' }, tools: { tools: [{ name: 'clock' }], choice } });
    for (const choice of ['required', { name: 'clock' }] as const) {
      expect(withoutRedundantFormat(both(choice))).not.toHaveProperty('output');
      expect(withoutRedundantFormat(both(choice))).toHaveProperty('tools.choice', choice);
    }
    for (const choice of ['auto', 'none'] as const)
      expect(withoutRedundantFormat(both(choice))).toEqual(both(choice));
  });

  it('a format asks for nothing where a call is forced, by whichever field it was written', () => {
    const request = chatRequest('hi', {
      output: { kind: 'json' },
      tools: { tools: [{ name: 'clock' }], choice: 'required' },
      extras: { structured_outputs: { json_object: true }, cache_salt: 'x' },
    });
    const without = withoutRedundantFormat(request);
    expect(without.extras).toEqual({ cache_salt: 'x' });
    expect(refusalOf(without, ['tools', 'tool-choice'])).toBeUndefined();
  });

  it.each([
    ['temperature', { temperature: 0 }],
    ['top_p', { topP: 0.5 }],
    ['seed', { seed: 1 }],
    ['presence_penalty', { presencePenalty: 1 }],
    ['frequency_penalty', { frequencyPenalty: 1 }],
  ])('%s can be left away where a model refuses it, though every backend knows it', (field, sampling) => {
    const request = chatRequest('hi', { sampling: { ...sampling, topK: 3 } });
    expect(withoutField(request, field)?.sampling).toEqual({ topK: 3 });
    expect(refusalOf(chatRequest('hi', { sampling }))).toBeUndefined();
  });

  it('stop strings can be left away, and a bound on the answer cannot', () => {
    const request = chatRequest('hi', { limits: { maxTokens: 5, stop: ['x'] } });
    expect(withoutField(request, 'stop')?.limits).toEqual({ maxTokens: 5, stop: [] });
    expect(withoutField(request, 'max_tokens')).toBeUndefined();
    expect(withoutField(chatRequest('hi', { sampling: {} }), 'temperature')).toBeUndefined();
  });
});

describe('extras that constrain the answer', () => {
  const request = (fields: Partial<GenerationRequest>): GenerationRequest => ({
    id: 'gen_1' as RequestId,
    model: 'm',
    input: { kind: 'chat', messages: [{ role: 'user', content: 'hi' }] },
    sampling: {},
    limits: { stop: [] },
    ...fields,
  });

  const REGEX = { kind: 'regex', regex: 'a' } as const;

  function refused(asked: GenerationRequest, passes: readonly string[] = []): string | undefined {
    try {
      refuseUnsupported(asked, { backend: 'x', supports: ['regex'], passes: new Set(passes) });
      return undefined;
    } catch (error) {
      expect(error).toMatchObject({ code: 'unsupported_parameter' });
      return (error as { readonly param?: string }).param;
    }
  }

  describe('fields of other servers', () => {
    it.each([
      [{ add_generation_prompt: false }, 'add_generation_prompt'],
      [{ add_generation_prompt: true }, undefined],
      [{ allowed_token_ids: [1] }, 'allowed_token_ids'],
      [{ allowed_token_ids: [] }, undefined],
      [{ include_stop_str_in_output: true }, 'include_stop_str_in_output'],
      [{ guided_json: { type: 'object' } }, 'guided_json'],
      [{ structured_outputs: { structural_tag: '{}' } }, 'structured_outputs.structural_tag'],
      [{ structured_outputs: {} }, undefined],
      [{ stop_token_ids: [1] }, 'stop_token_ids'],
      [{ bad_words: ['a'] }, 'bad_words'],
      [{ regex: 'a+' }, 'regex'],
      [{ choice: ['a'] }, 'choice'],
      [{ ebnf: 'root ::= "a"' }, 'ebnf'],
      [{ continue_final_message: true }, 'continue_final_message'],
      [{ continue_final_message: false }, undefined],
      [{ echo: true }, 'echo'],
      [{ response_format: { type: 'json_object' } }, 'response_format'],
      [{ response_format: { type: 'text' } }, undefined],
      [{ my_field: 1, top_n_sigma: 2 }, undefined],
    ])('are refused by name where nobody has read them: %j', (extras, field) => {
      expect(refused(request({ extras }))).toBe(field);
      if (field !== undefined)
        expect(refused(request({ extras }), [field.replace(/\..*/, '')])).toBeUndefined();
    });

    it('are not refused where the request says what they ask for, but for what it cannot say', () => {
      const read = (structured_outputs: object) => request({ output: REGEX, extras: { structured_outputs } });
      expect(refused(read({ regex: 'a', disable_fallback: true }))).toBeUndefined();
      expect(refused(read({ regex: 'a', whitespace_pattern: ' ' }))).toBe(
        'structured_outputs.whitespace_pattern',
      );
      expect(refused(request({ output: REGEX, extras: { guided_regex: 'a' } }))).toBeUndefined();
    });

    it('are dropped one by one where that is wished', () => {
      const asked = request({
        output: REGEX,
        extras: { structured_outputs: { regex: 'a', whitespace_pattern: ' ' }, my_field: 1 },
      });
      const less = withoutField(asked, 'structured_outputs.whitespace_pattern');
      expect(less?.extras).toEqual({ structured_outputs: { regex: 'a' }, my_field: 1 });
      expect(less?.output).toEqual(REGEX);
      expect(withoutField(asked, 'regex')).toEqual(request({ extras: { my_field: 1 } }));
      expect(withoutField(asked, 'nothing')).toBeUndefined();
    });

    it('keep what is content: an answer without it would be to another question', () => {
      const messages = [{ role: 'assistant', content: 'The' }] as const;
      const begun = request({ input: { kind: 'chat', messages, continuesLast: true } });
      expect(refused(begun)).toBe('continue_final_message');
      expect(withoutField(begun, 'continue_final_message')).toBeUndefined();
      const tokens = request({ input: { kind: 'tokens', tokens: [1] } });
      expect(refused(tokens)).toBe('prompt');
      expect(withoutField(tokens, 'prompt')).toBeUndefined();
    });
  });
});
