import { describe, expect, it } from 'vitest';
import {
  checkPassFields,
  DIALECTS,
  dialectsOf,
  type Flavor,
  passedFeatures,
  passedNames,
} from '../../../../src/backends/openai-compatible/dialect.ts';
import { generateCall } from '../../../../src/backends/openai-compatible/request-body.ts';
import type { GenerationRequest, Message, ToolUse } from '../../../../src/core/generation.ts';
import { chatRequest, textRequest } from '../../../support/stand-ins/generate.ts';

function bodyOf(
  flavor: Flavor,
  request: GenerationRequest,
  own: readonly string[] = [],
  dialects = DIALECTS,
) {
  const passed = passedNames(flavor, own);
  return generateCall(request, {
    model: 'm',
    dialect: dialects[flavor],
    passed,
    supports: [...DIALECTS[flavor].supports, ...passedFeatures(passed)],
    maxTokens: 8,
    maxTokensName: 'max_tokens',
    contextSize: undefined,
    vocabularySize: undefined,
    templateSwitch: true,
    effortNone: true,
    strictTools: true,
    whole: false,
    promptTokensFirst: false,
  }).body;
}

const conversation = (messages: readonly Message[]) => chatRequest('', { input: { kind: 'chat', messages } });

describe('tools', () => {
  const tools: ToolUse['tools'] = [
    { name: 'weather', description: 'Of a city.', parameters: { type: 'object', properties: { city: {} } } },
    { name: 'clock' },
  ];
  const wired = [
    {
      type: 'function',
      function: {
        name: 'weather',
        description: 'Of a city.',
        parameters: { type: 'object', properties: { city: {} } },
      },
    },
    { type: 'function', function: { name: 'clock', parameters: { type: 'object', properties: {} } } },
  ];

  const strictly = (...of: readonly (typeof wired)[number][]) =>
    of.map((tool) => ({ ...tool, function: { ...tool.function, strict: true } }));

  it('are strict where a call is forced, whatever the client says of it', () => {
    for (const flavor of ['vllm', 'llama-server', 'generic'] as const) {
      const required = bodyOf(flavor, chatRequest('hi', { tools: { tools, choice: 'required' } }));
      expect(required.tools).toEqual(strictly(...wired));
    }
    const named = { tools, choice: { name: 'clock' } };
    expect(bodyOf('vllm', chatRequest('hi', { tools: named })).tools).toEqual(strictly(...wired));
  });

  it('are strict where the client says so, and only those', () => {
    const [weather, clock] = tools as [ToolUse['tools'][number], ToolUse['tools'][number]];
    const one = { tools: [weather, { ...clock, strict: true as const }], choice: 'auto' as const };
    expect(bodyOf('vllm', chatRequest('hi', { tools: one })).tools).toEqual([
      wired[0],
      ...strictly(...wired.slice(1)),
    ]);
    expect(bodyOf('vllm', chatRequest('hi', { tools: { tools, choice: 'auto' } })).tools).toEqual(wired);
  });

  it.each(['auto', 'none', 'required'] as const)('may be called as %s says', (choice) => {
    for (const flavor of ['vllm', 'llama-server', 'generic'] as const) {
      const body = bodyOf(flavor, chatRequest('hi', { tools: { tools, choice } }));
      expect(body).toMatchObject({ tools: wired, tool_choice: choice });
    }
  });

  it('are named in the choice, or alone where the server reads no name there', () => {
    const request = chatRequest('hi', { tools: { tools, choice: { name: 'clock' } } });
    for (const flavor of ['vllm', 'generic'] as const) {
      expect(bodyOf(flavor, request)).toMatchObject({
        tools: wired,
        tool_choice: { type: 'function', function: { name: 'clock' } },
      });
    }
    expect(bodyOf('llama-server', request)).toMatchObject({ tools: [wired[1]], tool_choice: 'required' });
  });

  it('are called one at a time where the request says so; else nothing is said', () => {
    const many = chatRequest('hi', { tools: { tools, choice: 'auto' } });
    const single = chatRequest('hi', { tools: { tools, choice: 'auto', single: true } });
    for (const flavor of ['vllm', 'llama-server', 'generic'] as const) {
      expect(bodyOf(flavor, many)).not.toHaveProperty('parallel_tool_calls');
      expect(bodyOf(flavor, single)).toMatchObject({ parallel_tool_calls: false });
    }
  });
});

describe('messages', () => {
  const toolCalls = [{ id: 'call_1', name: 'clock', arguments: '{}' }];

  it('carry calls, their answers, and thoughts where the server reads them', () => {
    const request = conversation([
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'What time is it?' },
      { role: 'assistant', content: '', reasoning: 'I look.', toolCalls },
      { role: 'tool', content: 'noon', toolCallId: 'call_1' },
      { role: 'assistant', content: 'Noon.' },
    ]);
    const calling = {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'clock', arguments: '{}' } }],
    };
    const messages = (thoughts: object) => [
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'What time is it?' },
      { ...calling, ...thoughts },
      { role: 'tool', content: 'noon', tool_call_id: 'call_1' },
      { role: 'assistant', content: 'Noon.' },
    ];
    const both = { reasoning: 'I look.', reasoning_content: 'I look.' };
    expect(bodyOf('vllm', request).messages).toEqual(messages(both));
    expect(bodyOf('llama-server', request).messages).toEqual(messages({ reasoning_content: 'I look.' }));
    expect(bodyOf('generic', request).messages).toEqual(messages({}));
  });

  it.each([
    ['none', {}, {}],
    ['reasoning', { reasoning: 'I look.' }, { reasoning: '' }],
    ['reasoning_content', { reasoning_content: 'I look.' }, { reasoning_content: '' }],
  ] as const)('carry thoughts as the target is set: %s, beside calls always', (setting, thought, none) => {
    const request = conversation([
      { role: 'user', content: 'What time is it?' },
      { role: 'assistant', content: '', reasoning: 'I look.', toolCalls },
      { role: 'tool', content: 'noon', toolCallId: 'call_1' },
      { role: 'assistant', content: '', toolCalls },
      { role: 'tool', content: 'noon', toolCallId: 'call_1' },
      { role: 'assistant', content: 'Noon.' },
    ]);
    for (const flavor of ['vllm', 'llama-server', 'generic'] as const) {
      const messages = bodyOf(flavor, request, [], dialectsOf(setting)).messages as object[];
      const calling = { role: 'assistant', content: null, tool_calls: expect.any(Array) as unknown };
      expect(messages[1]).toEqual({ ...calling, ...thought });
      expect(messages[3]).toEqual({ ...calling, ...none });
      expect(messages[5]).toEqual({ role: 'assistant', content: 'Noon.' });
    }
    expect(dialectsOf()).toBe(DIALECTS);
  });

  it('show the images of results of tools behind them, as a user would', () => {
    const images = [{ mediaType: 'image/png', base64: 'AA==', at: 2 }];
    const url = 'data:image/png;base64,AA==';
    const request = conversation([{ role: 'tool', content: 'it', toolCallId: 'a', images }]);
    for (const flavor of ['vllm', 'llama-server', 'generic'] as const) {
      expect(bodyOf(flavor, request).messages).toEqual([
        { role: 'tool', content: 'it', tool_call_id: 'a' },
        { role: 'user', content: [{ type: 'image_url', image_url: { url } }] },
      ]);
    }
  });

  it('have images where they stood in the text', () => {
    const image = (base64: string, at: number) => ({ mediaType: 'image/png', base64, at });
    const wired = (base64: string) => ({
      type: 'image_url',
      image_url: { url: `data:image/png;base64,${base64}` },
    });
    const images = [image('AA==', 0), image('BB==', 5), image('CC==', 5), image('DD==', 9)];
    const request = conversation([{ role: 'user', content: 'this that', images }]);
    expect(bodyOf('generic', request).messages).toEqual([
      {
        role: 'user',
        content: [
          wired('AA=='),
          { type: 'text', text: 'this ' },
          wired('BB=='),
          wired('CC=='),
          { type: 'text', text: 'that' },
          wired('DD=='),
        ],
      },
    ]);
  });
});

describe('the form of the text', () => {
  const grammar = { kind: 'grammar', grammar: 'root ::= "a"' } as const;
  const schema = { kind: 'json-schema', schema: { type: 'object' } } as const;

  it('goes beside tools that may be called only where it does not hold for the whole answer', () => {
    const beside = (choice: 'auto' | 'none') =>
      chatRequest('hi', { output: schema, tools: { tools: [{ name: 'clock' }], choice } });
    for (const flavor of ['vllm', 'llama-server'] as const) {
      expect(() => bodyOf(flavor, beside('auto'))).toThrow(
        expect.objectContaining({ code: 'unsupported_parameter', param: 'format' }),
      );
      expect(bodyOf(flavor, beside('none'))).toHaveProperty('response_format');
    }
    expect(bodyOf('generic', beside('auto'))).toHaveProperty('response_format');
  });

  it.each([
    ['vllm', grammar, { structured_outputs: { grammar: 'root ::= "a"' } }],
    ['llama-server', grammar, { grammar: 'root ::= "a"' }],
    ['vllm', schema, { response_format: { json_schema: { schema: { type: 'object' } } } }],
    ['generic', schema, { response_format: { json_schema: { schema: { type: 'object' }, strict: true } } }],
    ['generic', { kind: 'json' } as const, { response_format: { type: 'json_object' } }],
  ] as const)('%s is told in a chat', (flavor, output, fields) => {
    expect(bodyOf(flavor, chatRequest('hi', { output }))).toMatchObject(fields);
  });

  it.each([
    ['vllm', grammar, { structured_outputs: { grammar: 'root ::= "a"' } }],
    ['vllm', schema, { response_format: { json_schema: { schema: { type: 'object' } } } }],
    ['llama-server', grammar, { grammar: 'root ::= "a"' }],
    ['llama-server', schema, { json_schema: { type: 'object' } }],
    ['llama-server', { kind: 'json' } as const, { json_schema: { type: 'object' } }],
  ] as const)('%s is told with a raw prompt', (flavor, output, fields) => {
    expect(bodyOf(flavor, textRequest('hi', { output }))).toMatchObject(fields);
  });
});

describe('log-probabilities and limits', () => {
  it.each([
    ['vllm', chatRequest('hi', { logprobs: { top: 0 } }), { logprobs: true, top_logprobs: 0 }],
    ['vllm', textRequest('hi', { logprobs: { top: 3 } }), { logprobs: 3 }],
    ['llama-server', chatRequest('hi', { logprobs: { top: 0 } }), { logprobs: true, top_logprobs: 1 }],
    ['llama-server', textRequest('hi', { logprobs: { top: 3 } }), { n_probs: 3 }],
    ['vllm', chatRequest('hi', { limits: { stop: [], minTokens: 2 } }), { min_tokens: 2 }],
    ['llama-server', chatRequest('hi', { limits: { stop: [], ignoreEos: true } }), { ignore_eos: true }],
    [
      'llama-server',
      chatRequest('hi', {
        sampling: { repeatLastN: 33, typicalP: 0.7, mirostat: { mode: 2, tau: 3, eta: 0.2 } },
        limits: { stop: [], keepTokens: 24 },
      }),
      {
        repeat_last_n: 33,
        typical_p: 0.7,
        mirostat: 2,
        mirostat_tau: 3,
        mirostat_eta: 0.2,
        n_keep: 24,
      },
    ],
  ] as const)('%s is asked by its own fields', (flavor, request, fields) => {
    expect(bodyOf(flavor, request)).toMatchObject(fields);
    expect(bodyOf(flavor, request)).not.toHaveProperty('n');
  });
});

describe('fields that no protocol knows', () => {
  const extras = {
    stop_token_ids: [2],
    cache_salt: null,
    priority: 1,
    model: 'other',
    stream: false,
    n: 4,
    my_field: 'x',
    chat_template_kwargs: { enable_thinking: true, tone: 'dry' },
  };

  it('are passed on where the server knows them, never over our own', () => {
    const body = bodyOf('vllm', chatRequest('hi', { extras }));
    expect(body).toMatchObject({
      stop_token_ids: [2],
      model: 'm',
      stream: true,
      chat_template_kwargs: { enable_thinking: true, tone: 'dry' },
    });
    for (const name of ['priority', 'n', 'my_field', 'cache_salt']) expect(body).not.toHaveProperty(name);
    const { stop_token_ids: _, ...others } = extras;
    expect(bodyOf('generic', chatRequest('hi', { extras: others }))).not.toHaveProperty('my_field');
    expect(() => bodyOf('generic', chatRequest('hi', { extras }))).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', param: 'stop_token_ids' }),
    );
  });

  it('are passed on where the target names them', () => {
    const named = ['my_field', 'model', 'stop_token_ids'];
    expect(bodyOf('generic', chatRequest('hi', { extras }), named)).toMatchObject({
      my_field: 'x',
      stop_token_ids: [2],
      model: 'm',
    });
  });

  it('say what binds the text as the client wrote it, where the server has that field', () => {
    const schema = { type: 'object', properties: { a: { type: 'string' } } };
    const written = { structured_outputs: { json: schema, whitespace_pattern: ' ' } };
    const output = { kind: 'json-schema', schema: schema } as const;
    const body = bodyOf('vllm', chatRequest('hi', { output, extras: written }));
    expect(body).toMatchObject(written);
    expect(body).not.toHaveProperty('response_format');
    const named = bodyOf('generic', chatRequest('hi', { output, extras: written }), ['structured_outputs']);
    expect(named).toMatchObject(written);
    expect(named).not.toHaveProperty('response_format');
    const other = chatRequest('hi', { output, extras: { json_schema: schema } });
    expect(bodyOf('vllm', other)).not.toHaveProperty('json_schema');
    expect(bodyOf('vllm', other)).toHaveProperty('response_format.json_schema.schema', schema);
  });

  it('say it by the older names of vLLM together with the one that its later releases read', () => {
    const output = { kind: 'regex', regex: 'a+' } as const;
    const older = chatRequest('hi', { output, extras: { guided_regex: 'a+' } });
    expect(bodyOf('vllm', older)).toMatchObject({
      guided_regex: 'a+',
      structured_outputs: { regex: 'a+' },
    });
    expect(() => bodyOf('llama-server', older)).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', param: 'regex' }),
    );
    const choice = chatRequest('hi', { output: { kind: 'choice', choices: ['a', 'b'] } });
    expect(bodyOf('vllm', choice)).toMatchObject({ structured_outputs: { choice: ['a', 'b'] } });
  });

  it('are tokens that end an answer, and words that never come, where the server has them', () => {
    const asked = {
      ...chatRequest('hi'),
      limits: { stop: [], stopTokens: [7] },
      sampling: { badWords: ['fox'] },
    };
    expect(bodyOf('vllm', asked)).toMatchObject({ stop_token_ids: [7], bad_words: ['fox'] });
    expect(() => bodyOf('llama-server', asked)).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', param: 'bad_words' }),
    );
  });

  it('continue the last message where it is asked for', () => {
    const messages = [{ role: 'assistant', content: 'The sky' }] as const;
    const begun = { ...chatRequest('hi'), input: { kind: 'chat', messages, continuesLast: true } as const };
    for (const server of ['vllm', 'llama-server'] as const)
      expect(bodyOf(server, begun)).toMatchObject({
        continue_final_message: true,
        add_generation_prompt: false,
      });
    expect(() => bodyOf('generic', begun)).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', param: 'continue_final_message' }),
    );
  });

  it('send token ids as they are', () => {
    const input = { kind: 'tokens', tokens: [1, 2] } as const;
    for (const server of ['vllm', 'llama-server', 'generic'] as const)
      expect(bodyOf(server, { ...chatRequest('hi'), input })).toMatchObject({ prompt: [1, 2] });
  });

  it('may not be named by a target where they are ours', () => {
    expect(() => checkPassFields(['priority', 'my_field'])).not.toThrow();
    expect(() => checkPassFields(['my_field', 'messages'])).toThrow(/pass_fields contains messages/);
  });
});
