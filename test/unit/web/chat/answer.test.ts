import { expect, test } from 'vitest';
import { NO_ANSWER, withEvents } from '../../../../web/chat/answer.ts';

const chunk = (value: unknown) => ({
  name: 'message',
  data: typeof value === 'string' ? value : JSON.stringify(value),
});
const delta = (value: unknown, finish: string | null = null) =>
  chunk({ choices: [{ index: 0, delta: value, finish_reason: finish }] });

test('text, reasoning, finish and receipt come together', () => {
  const answer = withEvents(NO_ANSWER, [
    delta({ role: 'assistant', reasoning_content: 'Hm. ' }),
    delta({ content: 'Par' }),
    delta({ content: 'is' }, 'stop'),
    chunk({
      choices: [],
      usage: { prompt_tokens: 9, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 4 } },
      timings: { queue_ms: 1, ttft_ms: 20, generate_ms: 10, total_ms: 33 },
    }),
    chunk('[DONE]'),
  ]);
  expect(answer).toMatchObject({ text: 'Paris', reasoning: 'Hm. ', finishReason: 'stop', isComplete: true });
  expect(answer.receipt).toEqual({
    promptTokens: 9,
    cachedTokens: 4,
    completionTokens: 2,
    queueMs: 1,
    firstTokenMs: 20,
    generateMs: 10,
    totalMs: 33,
  });
});

test('calls are put together from their pieces', () => {
  const call = (index: number, id: string | undefined, name: string | undefined, text: string) =>
    delta({
      tool_calls: [{ index, ...(id && { id }), function: { ...(name && { name }), arguments: text } }],
    });
  const { toolCalls } = withEvents(NO_ANSWER, [
    call(0, 'c1', 'weather', '{"ci'),
    call(1, 'c2', 'time', '{}'),
    call(0, undefined, undefined, 'ty":"Rome"}'),
  ]);
  expect(toolCalls).toEqual([
    { id: 'c1', name: 'weather', arguments: '{"city":"Rome"}' },
    { id: 'c2', name: 'time', arguments: '{}' },
  ]);
});

test('an error in the stream is a failure, and the text so far stays', () => {
  const answer = withEvents(NO_ANSWER, [
    delta({ content: 'So far' }),
    chunk({ error: { message: 'The backend failed.', code: 'backend_error' } }),
  ]);
  expect(answer.text).toBe('So far');
  expect(answer.failure).toMatchObject({ code: 'backend_error', message: 'The backend failed.' });
  expect(answer.isComplete).toBe(false);
});

test('what is no chunk changes nothing', () => {
  for (const data of ['', 'null', '[]', '"x"', '{', '{"choices":"x"}', '{"choices":[null]}'])
    expect(withEvents(NO_ANSWER, [chunk(data)])).toEqual(NO_ANSWER);
});
