import { expect, it } from 'vitest';
import {
  contextErrorOf,
  promptMayFit,
  roomLeft,
} from '../../../../src/backends/openai-compatible/context-error.ts';
import { recordedJson } from '../../../support/stand-ins/recording.ts';

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
