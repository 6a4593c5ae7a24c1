import { describe, expect, it } from 'vitest';
import { responseError } from '../../../../src/backends/ollama/errors.ts';
import { chatMessages, embedCall, readEmbeddings } from '../../../../src/backends/ollama/requests.ts';
import type { Message, ToolUse } from '../../../../src/core/generation.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { chatRequest, generateAll, neverAborted } from '../../../support/stand-ins/generate.ts';
import { recordedJson } from '../../../support/stand-ins/recording.ts';
import { runningOllama } from '../../../support/stand-ins/running-ollama.ts';

describe('tool calls', () => {
  const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
  const TOOLS: ToolUse = {
    tools: [
      { name: 'get_weather', description: 'The weather of a city.', parameters: PARAMETERS },
      { name: 'clock' },
    ],
    choice: 'auto',
  };
  const EARLIER: readonly Message[] = [
    { role: 'user', content: 'How is the weather?' },
    {
      role: 'assistant',
      content: '',
      toolCalls: [
        { id: 'call_0', name: 'get_weather', arguments: '{"city":"Paris"}' },
        { id: 'call_1', name: 'clock', arguments: '{}' },
      ],
    },
    { role: 'tool', content: '18 degrees', toolCallId: 'call_0' },
    { role: 'tool', content: 'noon', toolCallId: 'call_1' },
  ];

  describe('tools', () => {
    it('are sent in the shape that templates walk through', async () => {
      const { standIn, backend } = await runningOllama({ callsTools: true });
      await generateAll(backend, chatRequest('hello', { tools: TOOLS }));
      expect(standIn.seen().at(-1)?.body.tools).toEqual([
        {
          type: 'function',
          function: { name: 'get_weather', description: 'The weather of a city.', parameters: PARAMETERS },
        },
        { type: 'function', function: { name: 'clock', parameters: { type: 'object', properties: {} } } },
      ]);
    });

    it('are named as the cause when an old release cannot read their schemas', () => {
      const words =
        'json: cannot unmarshal array into Go struct field .tools.function.parameters.properties.type of type string';
      const context = { model: 'smollm2', contextSize: undefined, clock: systemClock };
      expect(responseError({ status: 400, headers: {}, body: { error: words } }, context)).toMatchObject({
        code: 'invalid_request',
        param: 'tools',
        message: expect.stringContaining('properties.type'),
      });
    });

    it('are refused for a model without, in the words that were recorded', () => {
      const context = { model: 'smollm2', contextSize: undefined, clock: systemClock };
      const answer = { status: 400, headers: {}, body: recordedJson('ollama/error-tools-unsupported') };
      expect(responseError(answer, context)).toMatchObject({ code: 'unsupported_parameter', param: 'tools' });
    });
  });

  describe('calls', () => {
    it('come whole, each with an id, and end the answer', async () => {
      const { backend } = await runningOllama({ callsTools: true });
      const request = chatRequest('The weather, and what says the clock?', { tools: TOOLS });
      const { events } = await generateAll(backend, request);
      expect(events).toEqual([
        { type: 'start' },
        { type: 'tool-call', index: 0, id: 'call_standin0', name: 'get_weather' },
        { type: 'tool-arguments', index: 0, delta: '{"city":"Paris"}' },
        { type: 'tool-call', index: 1, id: 'call_standin1', name: 'clock' },
        { type: 'tool-arguments', index: 1, delta: '{}' },
        expect.objectContaining({ type: 'finish', reason: 'tool_calls' }),
      ]);
    });

    it('are given ids that the conversation has not had, where an old release gives none', async () => {
      const { backend } = await runningOllama({ callsTools: true, release: '0.6.5' });
      const messages = [...EARLIER, { role: 'user', content: 'And the weather now?' } as const];
      const request = chatRequest('', { input: { kind: 'chat', messages }, tools: TOOLS });
      const { events } = await generateAll(backend, request);
      expect(events).toContainEqual({ type: 'tool-call', index: 0, id: 'call_2', name: 'get_weather' });
    });

    it('of earlier turns have objects for arguments, and answers the names of their tools', async () => {
      const { standIn, backend } = await runningOllama({ callsTools: true });
      const request = chatRequest('', { input: { kind: 'chat', messages: EARLIER }, tools: TOOLS });
      const { events } = await generateAll(backend, request);
      expect(standIn.seen().at(-1)?.body.messages).toEqual([
        { role: 'user', content: 'How is the weather?' },
        {
          role: 'assistant',
          content: '',
          tool_calls: [
            { id: 'call_0', function: { name: 'get_weather', arguments: { city: 'Paris' } } },
            { id: 'call_1', function: { name: 'clock', arguments: {} } },
          ],
        },
        { role: 'tool', content: '18 degrees', tool_name: 'get_weather', tool_call_id: 'call_0' },
        { role: 'tool', content: 'noon', tool_name: 'clock', tool_call_id: 'call_1' },
      ]);
      expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'length' });
    });

    it('with an id of before are answered as the latest of that id', () => {
      const again = { id: 'call_0', name: 'clock', arguments: '{}' };
      const messages: Message[] = [
        ...EARLIER,
        { role: 'assistant', content: '', toolCalls: [again] },
        { role: 'tool', content: 'one', toolCallId: 'call_0' },
      ];
      expect(chatMessages(messages).at(-1)).toMatchObject({ tool_name: 'clock' });
      expect(chatMessages([{ role: 'tool', content: 'one' }])).toEqual([{ role: 'tool', content: 'one' }]);
    });

    it('have images behind the results, with what the user says', () => {
      const image = { mediaType: 'image/png', base64: 'AA==', at: 3 };
      const seen: Message = { role: 'tool', content: 'a photo', toolCallId: 'call_0', images: [image] };
      expect(chatMessages([...EARLIER.slice(0, 2), seen]).slice(2)).toEqual([
        { role: 'tool', content: 'a photo', tool_name: 'get_weather', tool_call_id: 'call_0' },
        { role: 'user', content: '', images: ['AA=='] },
      ]);
      const call = { id: 'call_9', name: 'clock', arguments: '[]' };
      const broken: Message = { role: 'assistant', content: '', toolCalls: [call] };
      expect(() => chatMessages([...EARLIER.slice(0, 2), seen, broken])).toThrow(
        expect.objectContaining({ param: 'messages[3].tool_calls[0].arguments' }),
      );
    });

    it.each(['{"city":"Par', '[]', '"Paris"', ''])('with the arguments %j are refused', (text) => {
      const call = { id: 'call_0', name: 'get_weather', arguments: text };
      expect(() => chatMessages([{ role: 'assistant', content: '', toolCalls: [call] }])).toThrow(
        expect.objectContaining({ code: 'invalid_request', param: 'messages[0].tool_calls[0].arguments' }),
      );
    });
  });
});

describe('embedding', () => {
  const SETTINGS = { model: 'm', keepAlive: -1, contextSize: undefined };
  const context = { model: 'smollm2', contextSize: 512, clock: systemClock };

  it('asks that a long text be refused, not cut, and pins the context', () => {
    expect(embedCall({ inputs: ['a', 'b'] }, { model: 'm', keepAlive: -1, contextSize: 512 })).toEqual({
      path: '/api/embed',
      body: { model: 'm', input: ['a', 'b'], keep_alive: -1, truncate: false, options: { num_ctx: 512 } },
    });
    const unpinned = embedCall({ inputs: ['a'] }, { model: 'm', keepAlive: -1, contextSize: undefined });
    expect(unpinned.body).not.toHaveProperty('options');
  });

  it('passes the wish for shorter vectors on', () => {
    const { body } = embedCall({ inputs: ['a'], dimensions: 2 }, SETTINGS);
    expect(body).toMatchObject({ dimensions: 2 });
  });

  it('refuses tokens by name: Ollama embeds text alone', () => {
    expect(() => embedCall({ inputs: ['a', [1, 2]] }, SETTINGS)).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', param: 'input' }),
    );
  });

  it.each([
    ['an old release does not shorten them', { release: '0.6.5' }, 2],
    ['they are shorter already', {}, 512],
  ] as const)('refuses the wish for vectors of another length where %s', async (_, options, dimensions) => {
    const { backend } = await runningOllama(options);
    const asked = backend.embed({ model: 'smollm2', inputs: ['a'], dimensions }, { signal: neverAborted() });
    await expect(asked).rejects.toMatchObject({
      code: 'unsupported_parameter',
      param: 'dimensions',
      message: expect.stringContaining('4 numbers'),
    });
  });

  it('gives the shorter vectors of a release that makes them', async () => {
    const { backend } = await runningOllama();
    const request = { model: 'smollm2', inputs: ['a', 'b'], dimensions: 2 };
    const { vectors } = await backend.embed(request, { signal: neverAborted() });
    expect(vectors.map((vector) => vector.length)).toEqual([2, 2]);
  });

  it('reads what was recorded', () => {
    expect(readEmbeddings(recordedJson('ollama/embed'), { inputs: ['hello', 'world'] })).toEqual({
      vectors: [
        [-0.012705961, -0.018610077, 0.0011062855, 0.026624149],
        [-0.011782182, -0.019292178, 0.001108086, 0.026212983],
      ],
      promptTokens: 2,
    });
  });

  it.each([
    ['too few', { embeddings: [[1]] }],
    ['none', {}],
    ['empty ones', { embeddings: [[], []] }],
    ['of two sizes', { embeddings: [[1], [1, 2]] }],
    ['with what is no number', { embeddings: [[1], [null]] }],
  ])('takes an answer with vectors that are %s for a failure of the backend', (_, body) => {
    expect(() => readEmbeddings(body, { inputs: ['a', 'b'] })).toThrow(
      expect.objectContaining({ code: 'backend_error' }),
    );
  });

  it('says that a model makes no embeddings', () => {
    const answer = { status: 501, headers: {}, body: { error: 'this model does not support embeddings' } };
    expect(responseError(answer, context)).toMatchObject({ code: 'invalid_request', param: 'model' });
  });
});
