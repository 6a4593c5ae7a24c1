import { describe, expect, it } from 'vitest';
import type { GenerationEvent, TokenLogprob } from '../../../../../src/core/generation.ts';
import { completionRoute } from '../../../../../src/protocols/openai/completions/route.ts';
import { parseWith, refusalWith, streamOf, wholeOf } from '../../../../support/protocol-answers.ts';

const parse = (fields: object = {}) => parseWith(completionRoute, { model: 'm', prompt: 'a', ...fields });
const refusal = (fields: object) => refusalWith(completionRoute, { model: 'm', prompt: 'a', ...fields });
const finish = (promptTokens = 1): GenerationEvent => ({
  type: 'finish',
  reason: 'stop',
  usage: { promptTokens, completionTokens: 2, cachedTokens: 0 },
});

describe('a text completion', () => {
  it('has no chat template, and 16 tokens by default', () => {
    expect(parse().requests).toEqual([
      {
        id: 'gen_000000000000000000000001',
        model: 'm',
        input: { kind: 'text', prompt: 'a' },
        sampling: {},
        limits: { maxTokens: 16, maxTokensIsDefault: true, stop: [] },
        thinking: false,
        thinkingIsDefault: true,
      },
    ]);
  });

  it('is made n times for each prompt, seeds beginning anew', () => {
    const { requests } = parse({
      prompt: ['a', 'b'],
      n: 2,
      seed: 5,
      max_tokens: 2000,
      best_of: 2,
      logprobs: 0,
    });
    const given = requests.map(({ input, sampling }) => [
      input.kind === 'text' && input.prompt,
      sampling.seed,
    ]);
    expect(given).toEqual([
      ['a', 5],
      ['a', 6],
      ['b', 5],
      ['b', 6],
    ]);
    expect(requests[3]).toMatchObject({ limits: { maxTokens: 1000 }, logprobs: { top: 0 } });
  });

  it.each([
    [{ suffix: 'x' }, 'unsupported_parameter', 'suffix'],
    [{ best_of: 3 }, 'unsupported_parameter', 'best_of'],
    [{ echo: true, logprobs: 1 }, 'unsupported_parameter', 'logprobs'],
    [{ prompt: '' }, 'invalid_request', 'prompt'],
    [{ prompt: null }, 'invalid_request', 'prompt'],
    [{ prompt: ['a', 1] }, 'invalid_request', 'prompt[1]'],
    [{ prompt: Array.from({ length: 129 }, () => 'a') }, 'invalid_request', 'n'],
    [{ logprobs: true }, 'invalid_request', 'logprobs'],
    [{ max_tokens: 0 }, 'invalid_request', 'max_tokens'],
  ])('is rejected with %j', (fields, code, param) => {
    expect(refusal(fields)).toMatchObject({ code, param });
  });

  it('counts each prompt once', async () => {
    const { renderer } = parse({ prompt: ['a', 'b'], n: 2 });
    expect(await wholeOf(renderer, [finish(3)], [finish(3)], [finish(4)], [finish(4)])).toMatchObject({
      id: 'cmpl-000000000000000000000001',
      object: 'text_completion',
      choices: [0, 1, 2, 3].map((index) => ({ index, text: '', logprobs: null, finish_reason: 'stop' })),
      usage: { prompt_tokens: 7, completion_tokens: 8, total_tokens: 15 },
    });
  });

  it('has its prompt in front with echo', async () => {
    const events: GenerationEvent[] = [{ type: 'text', text: 'b' }, finish()];
    expect(await wholeOf(parse({ echo: true }).renderer, events)).toMatchObject({
      choices: [{ text: 'ab' }],
    });
    const texts = streamOf(parse({ echo: true, stream: true }).renderer, events).match(/"text":"[^"]*"/g);
    expect(texts).toEqual(['"text":"a"', '"text":"b"', '"text":""']);
  });

  it('says where in the text each token stands, in characters, over the chunks of a stream', () => {
    const token = (bytes: number[], top: TokenLogprob['top'] = []): TokenLogprob => ({
      bytes,
      logprob: -1,
      top,
    });
    const [first = 0, ...rest] = Buffer.from('😀');
    const events: GenerationEvent[] = [
      { type: 'text', text: '😀', logprobs: [token([first]), token(rest)] },
      {
        type: 'text',
        text: 'é',
        logprobs: [token([...Buffer.from('é')], [{ bytes: [0x61], logprob: -0.5 }])],
      },
      { type: 'text', text: '!', logprobs: [token([0x21])] },
      finish(),
    ];
    const stream = streamOf(parse({ logprobs: 1, stream: true }).renderer, events);
    const lists = stream.match(/\{"tokens".*?\]\}/g)?.map((list) => JSON.parse(list));
    expect(lists).toMatchObject([
      { tokens: ['\uFFFD', '\uFFFD\uFFFD\uFFFD'], token_logprobs: [-1, -1], text_offset: [0, 0] },
      { tokens: ['é'], top_logprobs: [{ a: -0.5, é: -1 }], text_offset: [1] },
      { tokens: ['!'], top_logprobs: [{ '!': -1 }], text_offset: [2] },
    ]);
  });
});
