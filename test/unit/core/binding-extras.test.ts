import { describe, expect, it } from 'vitest';
import { refuseUnsupported, withoutField } from '../../../src/core/features.ts';
import type { GenerationRequest, RequestId } from '../../../src/core/generation.ts';

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

describe('fields of other servers that bind an answer', () => {
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
