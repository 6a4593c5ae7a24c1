/** The OpenAI-compatible backend's keys, defaults and short names. */
import { Type } from 'typebox';
import { URL_PATTERN, URL_RULE } from '../../upstream/upstream.ts';
import { defineBackend } from '../backend-definition.ts';
import type { Flavor } from './dialect.ts';
import { OpenAiCompatibleBackend } from './openai-compatible-backend.ts';
import { checkPassFields, PASSED_FIELDS } from './passed-fields.ts';

function listed(flavor: Flavor): string {
  return PASSED_FIELDS[flavor].join(', ');
}

export const openAiCompatible = defineBackend({
  name: 'openai-compatible',
  aliases: { vllm: { flavor: 'vllm' }, 'llama-server': { flavor: 'llama-server' } },
  summary: 'A model that a server with the OpenAI API serves: vLLM, llama-server and others.',
  keys: {
    url: Type.String({
      pattern: URL_PATTERN,
      title: URL_RULE,
      description: 'Where the server is; may end in /v1 or not. Health is asked at its root.',
    }),
    api_key: Type.Optional(
      Type.String({ minLength: 1, secret: true, description: 'Sent as a Bearer token.' }),
    ),
    flavor: Type.Union(
      [Type.Literal('auto'), Type.Literal('vllm'), Type.Literal('llama-server'), Type.Literal('generic')],
      {
        default: 'auto',
        description:
          'Which server it is: decides how health is asked and which fields beyond the OpenAI API are sent.',
      },
    ),
    context_size: Type.Optional(
      Type.Integer({ minimum: 16, description: 'Tokens per slot. Unset: what the server tells.' }),
    ),
    whole_answers: Type.Union([Type.Literal('auto'), Type.Literal('streamed')], {
      default: 'auto',
      description:
        'auto: an answer that the client does not stream is requested in one piece, which costs the server less; with tools or log-probabilities it is a stream. streamed: always a stream; for proxies on the way that close silent connections.',
    }),
    pass_fields: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        description: `Fields of clients that are passed on to the server as they came, beside ${listed('vllm')} (vllm), and ${listed('llama-server')} (llama-server). All others that no protocol knows are ignored.`,
      }),
    ),
  },
  defaultSlots: 64,
  embedded: false,
  checkTarget: (target) => checkPassFields(target.pass_fields ?? []),
  create: (target, environment) => new OpenAiCompatibleBackend(target, environment),
});
