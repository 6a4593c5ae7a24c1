import { describe, expect, it } from 'vitest';
import {
  contextErrorOf,
  promptMayFit,
  responseError,
  roomLeft,
} from '../../../../src/backends/openai-compatible/errors.ts';
import type { GenerationRequest } from '../../../../src/core/generation.ts';
import { chatRequest, generateAll } from '../../../support/stand-ins/generate.ts';
import { recordedJson } from '../../../support/stand-ins/recording.ts';
import { runningOpenAi } from '../../../support/stand-ins/running-openai.ts';

describe('an error of the server', () => {
  const refused = (error: object, request: GenerationRequest = chatRequest('hi')) =>
    responseError({ status: 400, headers: {}, body: { error } }, { model: 'm', wallNowMs: 0, request });

  describe('what a server was not started for', () => {
    const tools = { tools: [{ name: 'clock' }], choice: 'auto' } as const;

    it.each([
      ['vllm', /^tools is not supported .* --enable-auto-tool-choice and --tool-call-parser/],
      ['llama-server', /^tools is not supported .* --jinja/],
    ] as const)(
      'is refused by its field on %s, with what its operator has to do',
      async (server, message) => {
        const { backend } = await runningOpenAi({ server, withoutToolParser: true });
        expect((await generateAll(backend, chatRequest('hi', { tools }))).error).toMatchObject({
          code: 'unsupported_parameter',
          param: 'tools',
          message: expect.stringMatching(message),
        });
      },
    );

    it.each(['vllm', 'llama-server', 'generic'] as const)(
      'is refused by its message on a %s that takes no images',
      async (server) => {
        const { backend } = await runningOpenAi({ server, sees: false });
        const images = [{ mediaType: 'image/png', base64: 'AA==', at: 0 }];
        const input = { kind: 'chat', messages: [{ role: 'user', content: 'what?', images }] } as const;
        expect((await generateAll(backend, chatRequest('', { input }))).error).toMatchObject({
          code: 'unsupported_parameter',
          param: 'messages[0].images',
        });
      },
    );
  });

  describe('a refused field', () => {
    it.each([
      ['tools[0].function.name', 'tools'],
      ['tool_choice', 'tool_choice'],
      ['response_format', 'format'],
      ['max_completion_tokens', 'max_tokens'],
      ['repetition_penalty', 'repeat_penalty'],
      ['top_logprobs', 'logprobs'],
    ])('%s is told as %s', (param, ours) => {
      expect(refused({ message: 'no', param })).toMatchObject({ code: 'invalid_request', param: ours });
    });

    it('may be left away where the server says that the model does not take it', () => {
      const error = { message: 'no', param: 'temperature', code: 'unsupported_value' };
      expect(refused(error)).toMatchObject({ code: 'unsupported_parameter', param: 'temperature' });
    });

    it.each([
      [
        'grammar',
        'Failed to parse grammar',
        chatRequest('hi', { output: { kind: 'grammar', grammar: '(' } }),
      ],
      ['format', 'bad JSON schema', chatRequest('hi', { output: { kind: 'json-schema', schema: {} } })],
      [undefined, 'Failed to parse grammar', chatRequest('hi')],
    ])('%s is known by the words where none is named', (param, message, request) => {
      const error = refused({ message }, request);
      expect([error.code, error.param]).toEqual(['invalid_request', param]);
    });
  });

  it('is told in no more than 500 characters of the server’s', () => {
    const { message, cause } = refused({ message: '🦊'.repeat(1000) });
    expect(message.length).toBeLessThan(600);
    expect(message.isWellFormed()).toBe(true);
    expect(String(cause).length).toBeLessThan(600);
  });

  it('says the limit by its newer name where the model wants it so, and remembers', async () => {
    const { standIn, backend } = await runningOpenAi({ server: 'generic', wantsNewerLimit: true });
    for (let turn = 0; turn < 2; turn += 1)
      expect((await generateAll(backend, chatRequest('hello'))).error).toBeUndefined();
    expect(standIn.counts().started).toBe(3);
    expect(standIn.seen().at(-1)?.body).toMatchObject({ max_completion_tokens: 8 });
  });
});

describe('a prompt that exceeds the context', () => {
  const saying = (message: string) =>
    contextErrorOf({ error: { message, type: 'BadRequestError', code: 400 } });

  it('reads the recorded errors', () => {
    expect(contextErrorOf(recordedJson('vllm/error-context'))).toEqual({ contextSize: 2048, atLeast: true });
    expect(contextErrorOf(recordedJson('llama-server/error-context'))).toEqual({
      contextSize: 2048,
      promptTokens: 3031,
      atLeast: false,
    });
    expect(contextErrorOf(recordedJson('vllm/error-bad-temperature'))).toBeUndefined();
  });

  it('reads exact numbers, and what they leave', () => {
    const error = saying(
      "This model's maximum context length is 2048 tokens. However, you requested 4031 tokens (31 in the messages, 4000 in the completion).",
    );
    expect(error).toEqual({ contextSize: 2048, promptTokens: 31, atLeast: false });
    expect(error && roomLeft(error)).toBe(2017);
  });

  it('takes a count that the server gave up for a lower bound, from which nothing is left', () => {
    const error = saying(
      "You passed 1025 input tokens and requested 1024 output tokens. However, the model's context length is only 2048 tokens, resulting in a maximum input length of 1024 tokens.",
    );
    expect(error).toEqual({ contextSize: 2048, promptTokens: 1025, atLeast: true });
    expect(error && promptMayFit(error)).toBe(true);
    expect(error && roomLeft(error)).toBeUndefined();
  });

  it('sees that a prompt alone is too long', () => {
    const error = saying(
      "This model's maximum context length is 2048 tokens. However, your request has 3031 input tokens.",
    );
    expect(error).toEqual({ contextSize: 2048, promptTokens: 3031, atLeast: false });
    expect(error && promptMayFit(error)).toBe(false);
  });
});
