import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../../src/core/errors.ts';
import { embeddingsRoute, embedRoute } from '../../../../src/protocols/ollama/embed.ts';
import { chatRoute, generateRoute } from '../../../../src/protocols/ollama/protocol.ts';
import { parseWith, refusalWith, wholeOf } from '../../../support/protocol-answers.ts';

const PNG = 'iVBORw0KGgoAAAANSUhEUg==';
const user = { role: 'user', content: 'hi' };

const chat = (body: object) => parseWith(chatRoute, { model: 'm', messages: [user], ...body });
const chatRefusal = (body: object) => refusalWith(chatRoute, { model: 'm', messages: [user], ...body });
const generate = (body: object) => parseWith(generateRoute, { model: 'm', prompt: 'hi', ...body });
const generateRefusal = (body: object) => refusalWith(generateRoute, { model: 'm', prompt: 'hi', ...body });

function nested(levels: number): unknown {
  let value: unknown = {};
  for (let level = 0; level < levels; level += 1) value = { a: value };
  return value;
}

describe('a request', () => {
  it('is streamed unless stream is false', () => {
    expect(chat({}).delivery).toBe('stream');
    expect(chat({ stream: null }).delivery).toBe('stream');
    expect(generate({ stream: false }).delivery).toBe('whole');
  });

  it('says nothing of what the body does not say', () => {
    expect(chat({}).request).toEqual({
      id: 'gen_000000000000000000000001',
      model: 'm',
      input: { kind: 'chat', messages: [user] },
      sampling: {},
      limits: { stop: [] },
    });
  });

  it('is found with and without the tag latest', () => {
    expect(chat({ model: 'm:latest' }).request.model).toBe('m');
    const tagged = (model: string) => {
      if (model !== 't:latest') throw new ServingError('model_not_found', { message: 'No.' });
      return { id: model, contextSize: undefined };
    };
    const body = { model: 't', messages: [user] };
    expect(parseWith(chatRoute, body, { requireModel: tagged }).request.model).toBe('t:latest');
    expect(chatRefusal({ model: 'm:7b' })).toMatchObject({ code: 'model_not_found', param: 'model' });
    expect(chat({ model: undefined }).request.model).toBe('m');
    expect(generate({ model: '' }).request.model).toBe('m');
  });

  it('is found in any case, where none is spelled so', () => {
    const cased = (name: string, { anyCase = false } = {}) => {
      const known = ['Llama3.2', 'llama3.2'].filter((id) =>
        anyCase ? id.toLowerCase() === name.toLowerCase() : id === name,
      );
      if (known[0] === undefined) throw new ServingError('model_not_found', { message: 'No.' });
      return { id: known[0], contextSize: undefined };
    };
    const found = (model: string) =>
      parseWith(chatRoute, { model, messages: [user] }, { requireModel: cased }).request.model;
    expect(['llama3.2', 'llama3.2:latest', 'LLAMA3.2', 'LLAMA3.2:LATEST'].map(found)).toEqual([
      'llama3.2',
      'llama3.2',
      'Llama3.2',
      'Llama3.2',
    ]);
  });

  it('has a system message in front of the prompt, or a raw prompt as it is', () => {
    expect(generate({ system: 'Be brief.' }).request.input).toEqual({
      kind: 'chat',
      messages: [{ role: 'system', content: 'Be brief.' }, user],
    });
    expect(generate({ raw: true, system: '' }).request.input).toEqual({ kind: 'text', prompt: 'hi' });
    expect(generateRefusal({ raw: true, system: 'x' }).param).toBe('system');
    expect(generateRefusal({ raw: true, images: [PNG] }).param).toBe('images');
  });

  it('takes null for absent, and what nobody knows for nothing', () => {
    const nulls = {
      format: null,
      think: null,
      tools: null,
      options: { seed: null, stop: null },
      other: null,
    };
    expect(chat({ ...nulls, messages: [{ ...user, images: null }] }).request).toEqual(chat({}).request);
    expect(chat({ other: nested(10_000) }).request).toEqual(chat({}).request);
  });

  it('keeps the nulls that a schema allows', () => {
    const schema = { enum: [null, 1] };
    expect(chat({ format: schema }).request.output).toEqual({ kind: 'json-schema', schema });
  });

  it.each(['suffix', 'template'])('refuses %s unless it is empty', (field) => {
    expect(generate({ [field]: '' }).requests).toHaveLength(1);
    expect(generateRefusal({ [field]: 'x' })).toMatchObject({ code: 'unsupported_parameter', param: field });
  });

  it('refuses the tokens of an earlier answer', () => {
    expect(generate({ context: [] }).requests).toHaveLength(1);
    expect(generateRefusal({ context: [1] })).toMatchObject({
      code: 'unsupported_parameter',
      param: 'context',
    });
  });
});

describe('without a prompt', () => {
  it('no model is asked, and the answer is one body', async () => {
    for (const body of [
      { messages: [] },
      { messages: null },
      { messages: [], keep_alive: '10m', stream: true },
    ]) {
      const parsed = chatRoute.parse({ model: 'm', ...body }, contextOf());
      expect(parsed).toMatchObject({ requests: [], delivery: 'whole' });
      expect(await wholeOf(parsed.renderer)).toEqual({
        model: 'm',
        created_at: '2023-11-14T22:13:20.000Z',
        message: { role: 'assistant', content: '' },
        done: true,
        done_reason: 'load',
      });
    }
    const parsed = generateRoute.parse({ model: 'm:latest', prompt: '' }, contextOf());
    expect(parsed).toMatchObject({ requests: [], delivery: 'whole' });
    expect(await wholeOf(parsed.renderer)).toMatchObject({ model: 'm:latest', response: '', done: true });
  });

  it.each([0, '0', '0s', '0m', '-0s', '0.0s'])('keep_alive %j is answered as unload', async (keep_alive) => {
    for (const parsed of [
      chatRoute.parse({ model: 'm', keep_alive }, contextOf()),
      generateRoute.parse({ model: 'm', keep_alive }, contextOf()),
    ]) {
      expect(parsed).toMatchObject({ requests: [], dropped: ['keep_alive'] });
      expect(await wholeOf(parsed.renderer)).toMatchObject({ done: true, done_reason: 'unload' });
    }
  });

  it.each([1, -1, '5m', '10s', '-1', ''])('keep_alive %j is not', async (keep_alive) => {
    const { renderer } = generateRoute.parse({ model: 'm', keep_alive }, contextOf());
    expect(await wholeOf(renderer)).toMatchObject({ done_reason: 'load' });
  });

  it('what is wrong is refused all the same', () => {
    expect(refusalWith(chatRoute, { model: 'm', options: { mirostat: 3 } }).param).toBe('options.mirostat');
  });
});

describe('fields without effect', () => {
  it('is named as dropped', () => {
    const body = { keep_alive: '5m', options: { num_ctx: 8192, num_gpu: 99, nobody_knows: 1 } };
    const dropped = ['keep_alive', 'options.num_ctx', 'options.num_gpu'];
    expect(chat(body).dropped).toEqual(dropped);
    expect(generate(body).dropped).toEqual(dropped);
    expect(embedRoute.parse({ model: 'm', input: 'hi', ...body }, contextOf()).dropped).toEqual(dropped);
    expect(embeddingsRoute.parse({ model: 'm', prompt: 'hi', ...body }, contextOf()).dropped).toEqual(
      dropped,
    );
  });

  it.each([
    ['tfs_z', 0.5, 1],
    ['penalize_newline', false, true],
  ])('is named where Ollama itself has it no more and it is not at its default: %s', (name, value, usual) => {
    const { request, dropped } = chat({ options: { [name]: value } });
    expect(dropped).toEqual([`options.${name}`]);
    expect(request).toEqual(chat({}).request);
    expect(chat({ options: { [name]: usual } })).not.toHaveProperty('dropped');
  });

  it('is not named where it is not said', () => {
    const unknown = { nobody_knows: 1 };
    for (const parsed of [
      chat({ options: { seed: 1 } }),
      generate({ keep_alive: null }),
      chat({ options: unknown }),
    ])
      expect(parsed).not.toHaveProperty('dropped');
  });
});

describe('options', () => {
  it('become sampling and limits', () => {
    const options = {
      temperature: 0,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.1,
      seed: 7,
      presence_penalty: 1,
      frequency_penalty: -1,
      repeat_penalty: 1.1,
      repeat_last_n: 33,
      typical_p: 0.7,
      mirostat: 2,
      mirostat_tau: 3,
      mirostat_eta: 0.2,
      num_keep: 24,
      num_predict: 12,
      stop: ['a', 'b'],
    };
    const { sampling, limits } = chat({ options }).request;
    expect(sampling).toEqual({
      temperature: 0,
      topP: 0.9,
      topK: 40,
      minP: 0.1,
      seed: 7,
      presencePenalty: 1,
      frequencyPenalty: -1,
      repeatPenalty: 1.1,
      repeatLastN: 33,
      typicalP: 0.7,
      mirostat: { mode: 2, tau: 3, eta: 0.2 },
    });
    expect(limits).toEqual({ maxTokens: 12, keepTokens: 24, stop: ['a', 'b'] });
  });

  it('have values that switch something off', () => {
    expect(chat({ options: { seed: -1, top_k: -1, stop: 'a' } }).request).toMatchObject({
      sampling: { topK: 0 },
      limits: { stop: ['a'] },
    });
    expect(chat({ options: { seed: -1 } }).request.sampling).toEqual({});
    const sampled = (options: object) => chat({ options }).request.sampling;
    expect(sampled({ seed: 2 ** 40 + 5, top_p: 0 })).toEqual({ seed: 5, topP: 1e-6 });
    expect(sampled({ seed: -7 })).toEqual({ seed: 2 ** 31 - 7 });
    for (const num_predict of [0, -1, -2])
      expect(chat({ options: { num_predict } }).request.limits).toEqual({ stop: [] });
  });

  it('allow no more tokens than the context holds', () => {
    expect(chat({ options: { num_predict: 1_000_000 } }).request.limits.maxTokens).toBe(1000);
  });

  it.each([
    { num_gpu: 99 },
    { num_thread: 'many' },
    { use_mmap: false },
    { tfs_z: 1, penalize_newline: true },
    { num_ctx: 1000 },
    { num_ctx: 512 },
    { num_ctx: 100_000 },
    { nobody_knows: 1 },
  ])('that change nothing here are taken: %j', (options) => {
    expect(chat({ options }).request).toEqual(chat({}).request);
  });

  it.each([
    ['temperature', 'hot'],
    ['temperature', -1],
    ['top_p', -1],
    ['seed', 1.5],
    ['num_predict', '10'],
    ['num_predict', Number.POSITIVE_INFINITY],
    ['stop', ['']],
    ['num_ctx', 0],
    ['repeat_last_n', -2],
    ['typical_p', 2],
    ['mirostat', 3],
    ['mirostat_tau', -1],
    ['num_keep', 'all'],
  ])('of a wrong type or beyond their range are refused: %s', (name, value) => {
    const { code, param } = chatRefusal({ options: { [name]: value } });
    expect({ code, param: param?.replace(/\[0\]$/, '') }).toEqual({
      code: 'invalid_request',
      param: `options.${name}`,
    });
  });
});

describe('structured output and log-probabilities', () => {
  it('is JSON, or JSON of a schema', () => {
    expect(chat({ format: '' }).request.output).toBeUndefined();
    expect(generate({ format: 'json' }).request.output).toEqual({ kind: 'json' });
    expect(chatRefusal({ format: 'xml' }).param).toBe('format');
    expect(chatRefusal({ format: nested(200) }).message).toMatch(/nested too deeply/);
  });

  it('has thoughts as the client wishes', () => {
    for (const think of [true, false, 'low', 'medium', 'high'])
      expect(chat({ think }).request.thinking).toBe(think);
    expect(generate({ think: 'max' }).request.thinking).toBe('high');
    expect(chatRefusal({ think: 'never' }).param).toBe('think');
  });

  it('has log-probabilities where they are asked for', () => {
    expect(chat({ logprobs: true }).request.logprobs).toEqual({ top: 0 });
    expect(chat({ logprobs: true, top_logprobs: 3 }).request.logprobs).toEqual({ top: 3 });
    expect(chat({ top_logprobs: 3 }).request.logprobs).toBeUndefined();
    expect(chatRefusal({ top_logprobs: 21 }).param).toBe('top_logprobs');
  });

  it('may be of a format beside tools, where the backend can do both', () => {
    const tools = [{ type: 'function', function: { name: 'a' } }];
    expect(chat({ tools, format: 'json' }).request).toMatchObject({
      output: { kind: 'json' },
      tools: { choice: 'auto' },
    });
    expect(chat({ tools: [], format: 'json' }).request.tools).toBeUndefined();
  });
});

function contextOf(): Parameters<typeof chatRoute.parse>[1] {
  return {
    newRequestId: () => {
      throw new Error('no request is made');
    },
    requireModel: (id = 'm') => {
      if (id === 'm') return { id, contextSize: 1000 };
      throw new ServingError('model_not_found');
    },
    defaultMaxTokens: 256,
  };
}
