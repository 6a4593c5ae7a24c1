/** Fields of vLLM and llama-server that bind an answer: what they become, and what two of them at once are. */

import { describe, expect, it } from 'vitest';
import { renameField } from '../../../../src/protocols/field-errors.ts';
import { chatRoute } from '../../../../src/protocols/openai/chat/route.ts';
import { completionRoute } from '../../../../src/protocols/openai/completions/route.ts';
import { respondRoute } from '../../../../src/protocols/openai/responses/route.ts';
import { parseWith, refusalWith } from '../../../support/protocol-answers.ts';

const USER = { role: 'user', content: 'hi' };
const BEGUN = { role: 'assistant', content: 'The sky is' };
const SCHEMA = { type: 'object', properties: { a: { type: 'integer' } } };

const ROUTES = [
  ['chat', chatRoute, { messages: [USER] }],
  ['completions', completionRoute, { prompt: 'hi' }],
  ['responses', respondRoute, { input: 'hi' }],
] as const;

const OUTPUTS = [
  [{ structured_outputs: { choice: ['a', 'b'] } }, { kind: 'choice', choices: ['a', 'b'] }],
  [{ structured_outputs: { regex: 'a+', json: null } }, { kind: 'regex', regex: 'a+' }],
  [{ structured_outputs: { json: SCHEMA } }, { kind: 'json-schema', schema: SCHEMA }],
  [{ structured_outputs: { json: JSON.stringify(SCHEMA) } }, { kind: 'json-schema', schema: SCHEMA }],
  [{ structured_outputs: { grammar: 'root ::= "a"' } }, { kind: 'grammar', grammar: 'root ::= "a"' }],
  [{ structured_outputs: { json_object: true } }, { kind: 'json' }],
  [{ structured_outputs: {} }, undefined],
  [{ guided_choice: ['a'] }, { kind: 'choice', choices: ['a'] }],
  [{ guided_regex: 'a+' }, { kind: 'regex', regex: 'a+' }],
  [{ guided_json: SCHEMA }, { kind: 'json-schema', schema: SCHEMA }],
  [{ guided_grammar: 'root ::= "a"' }, { kind: 'grammar', grammar: 'root ::= "a"' }],
  [{ grammar: 'root ::= "a"' }, { kind: 'grammar', grammar: 'root ::= "a"' }],
  [{ json_schema: SCHEMA }, { kind: 'json-schema', schema: SCHEMA }],
] as const;

describe.each(ROUTES)('what binds the text of an answer, in %s', (_, route, body) => {
  it.each(OUTPUTS)('is read: %j', (fields, output) => {
    expect(parseWith(route, { ...body, ...fields }).request.output).toEqual(output);
  });

  it('travels along as the client wrote it, for servers that have it', () => {
    const fields = { structured_outputs: { regex: 'a', whitespace_pattern: ' ' }, cache_salt: 'x' };
    expect(parseWith(route, { ...body, ...fields }).request.extras).toEqual(fields);
  });

  it('keeps the name that the client gave it', () => {
    const nameOf = (fields: object, native: string) => {
      const { fieldNames = {} } = parseWith(route, { ...body, ...fields });
      return renameField({ ...route.fieldNames, ...fieldNames }, native);
    };
    expect(nameOf({ guided_regex: 'a' }, 'regex')).toBe('guided_regex');
    expect(nameOf({ structured_outputs: { choice: ['a'] } }, 'choice')).toBe('structured_outputs.choice');
    expect(nameOf({ guided_json: SCHEMA }, 'format.properties.a')).toBe('guided_json.properties.a');
  });

  it.each([
    [{ guided_regex: 'a', guided_choice: ['a'] }, 'guided_choice'],
    [{ structured_outputs: { regex: 'a', json: SCHEMA } }, 'structured_outputs'],
    [{ structured_outputs: { regex: 'a' }, grammar: 'root ::= "a"' }, 'grammar'],
    [{ guided_json: '{' }, 'guided_json'],
    [{ guided_json: '[1]' }, 'guided_json'],
    [{ guided_choice: [] }, 'guided_choice'],
    [{ guided_choice: [1] }, 'guided_choice[0]'],
    [{ structured_outputs: { regex: 5 } }, 'structured_outputs.regex'],
    [{ stop_token_ids: [-1] }, 'stop_token_ids[0]'],
    [{ bad_words: [''] }, 'bad_words[0]'],
    [{ bad_words: ['a', ' \n'] }, 'bad_words[1]'],
  ])('is rejected where it contradicts itself or says nothing: %j', (fields, param) => {
    expect(refusalWith(route, { ...body, ...fields })).toMatchObject({ code: 'invalid_request', param });
  });

  it('is rejected by name where no answer has a place for it', () => {
    for (const field of ['prompt_logprobs', 'use_beam_search'])
      expect(refusalWith(route, { ...body, [field]: true })).toMatchObject({
        code: 'unsupported_parameter',
        param: field,
      });
    expect(refusalWith(route, { ...body, prompt_logprobs: 0 }).param).toBe('prompt_logprobs');
    expect(
      parseWith(route, { ...body, prompt_logprobs: null, use_beam_search: false }).requests,
    ).toHaveLength(1);
  });

  it('has tokens that end it, and words that never come', () => {
    const { sampling, limits } = parseWith(route, {
      ...body,
      stop_token_ids: [7, 9],
      bad_words: ['one', 'two three'],
    }).request;
    expect(limits.stopTokens).toEqual([7, 9]);
    expect(sampling.badWords).toEqual(['one', 'two three']);
    const none = parseWith(route, { ...body, stop_token_ids: [], bad_words: [] }).request;
    expect(none.limits).not.toHaveProperty('stopTokens');
    expect(none.sampling).not.toHaveProperty('badWords');
  });
});

describe('response_format', () => {
  const chat = (response_format: object) => parseWith(chatRoute, { messages: [USER], response_format });

  it('has a schema where llama-server has it', () => {
    for (const type of ['json_object', 'json_schema']) {
      const { request, fieldNames = {} } = chat({ type, schema: SCHEMA });
      expect(request.output).toEqual({ kind: 'json-schema', schema: SCHEMA });
      expect(renameField(fieldNames, 'format.type')).toBe('response_format.schema.type');
    }
    expect(chat({ type: 'json_object' }).request.output).toEqual({ kind: 'json' });
    expect(chat({ type: 'text', schema: SCHEMA }).request.output).toBeUndefined();
  });

  it('has one schema at most, where its type has one', () => {
    const refusal = (response_format: object) =>
      refusalWith(chatRoute, { messages: [USER], response_format });
    const json_schema = { name: 'a', schema: SCHEMA };
    for (const type of ['json_object', 'json_schema'])
      expect(refusal({ type, json_schema, schema: SCHEMA })).toMatchObject({
        code: 'invalid_request',
        param: 'response_format.schema',
      });
    expect(refusal({ type: 'json_object', json_schema })).toMatchObject({
      code: 'invalid_request',
      param: 'response_format.json_schema',
    });
    expect(chat({ type: 'json_schema', json_schema: { name: 'a' } }).request.output).toEqual({
      kind: 'json',
    });
    const named = chat({ type: 'json_schema', json_schema: { name: 'a' }, schema: SCHEMA });
    expect(named.request.output).toEqual({ kind: 'json-schema', schema: SCHEMA });
  });

  it('is one of the constraints of which there is one at most', () => {
    const both = { response_format: { type: 'json_object' }, guided_regex: 'a' };
    expect(refusalWith(chatRoute, { messages: [USER], ...both }).param).toBe('guided_regex');
    const ofText = { text: { format: { type: 'json_object' } }, guided_regex: 'a' };
    expect(refusalWith(respondRoute, { input: 'hi', ...ofText })).toMatchObject({
      message:
        'guided_regex and text.format are both given, but at most one of them is allowed: each constrains the whole text.',
      param: 'guided_regex',
    });
    expect(
      parseWith(chatRoute, { messages: [USER], response_format: { type: 'text' }, guided_regex: 'a' }).request
        .output,
    ).toEqual({ kind: 'regex', regex: 'a' });
  });

  it('holds for text completions too', () => {
    const response_format = { type: 'json_object' };
    expect(parseWith(completionRoute, { prompt: 'hi', response_format }).request.output).toEqual({
      kind: 'json',
    });
  });
});

describe('a last message that is continued', () => {
  const chat = (fields: object, messages: readonly object[] = [USER, BEGUN]) =>
    parseWith(chatRoute, { messages, ...fields }).request;

  it('is so only where it is asked for', () => {
    expect(chat({}).input).not.toHaveProperty('continuesLast');
    expect(chat({ continue_final_message: true }).input).toMatchObject({ continuesLast: true });
    const asVllmWantsIt = { continue_final_message: true, add_generation_prompt: false };
    expect(chat(asVllmWantsIt).input).toMatchObject({ continuesLast: true });
  });

  it('is the assistant’s, and begins no turn at the same time', () => {
    const refusal = (fields: object, messages: readonly object[]) =>
      refusalWith(chatRoute, { messages, continue_final_message: true, ...fields });
    expect(refusal({}, [USER])).toMatchObject({ code: 'invalid_request', param: 'continue_final_message' });
    expect(refusal({ add_generation_prompt: true }, [USER, BEGUN])).toMatchObject({
      code: 'invalid_request',
      param: 'add_generation_prompt',
    });
  });
});

describe('a prompt of token ids', () => {
  const inputs = (prompt: unknown, fields: object = {}) =>
    parseWith(completionRoute, { prompt, ...fields }).requests.map(({ input }) => input);

  it('is one list, or several', () => {
    expect(inputs([1, 2])).toEqual([{ kind: 'tokens', tokens: [1, 2] }]);
    expect(inputs([[1], [2, 3]], { n: 2 })).toEqual([
      { kind: 'tokens', tokens: [1] },
      { kind: 'tokens', tokens: [1] },
      { kind: 'tokens', tokens: [2, 3] },
      { kind: 'tokens', tokens: [2, 3] },
    ]);
  });

  it.each([
    [[1, 'a'], 'prompt[1]'],
    [['a', 1], 'prompt[1]'],
    [[[1], []], 'prompt[1]'],
    [[1.5], 'prompt[0]'],
    [[-1], 'prompt[0]'],
  ])('is rejected with what is wrong in it: %j', (prompt, param) => {
    expect(refusalWith(completionRoute, { prompt })).toMatchObject({ code: 'invalid_request', param });
  });

  it('is not echoed: it has no text', () => {
    expect(refusalWith(completionRoute, { prompt: [1], echo: true })).toMatchObject({
      code: 'unsupported_parameter',
      param: 'echo',
    });
  });
});
