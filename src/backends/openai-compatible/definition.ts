/** What the configuration of a target at a server with the OpenAI API may have, and the backend that is made of it. */
import { Type } from 'typebox';
import { URL_PATTERN, URL_RULE } from '../../upstream/upstream.ts';
import { defineBackend } from '../backend-definition.ts';
import { OpenAiCompatibleBackend } from './backend.ts';
import { checkPassFields, type Flavor, PASSED_FIELDS } from './dialect.ts';
import { serverRoot } from './load.ts';

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
      description: 'Address of the server, with or without /v1 at the end. Health is checked at its root.',
    }),
    api_key: Type.Optional(
      Type.String({ minLength: 1, secret: true, description: 'Sent as a Bearer token.' }),
    ),
    flavor: Type.Union(
      [Type.Literal('auto'), Type.Literal('vllm'), Type.Literal('llama-server'), Type.Literal('generic')],
      {
        default: 'auto',
        description:
          'Which server it is: decides how its health is checked and which fields beyond the OpenAI API are sent.',
      },
    ),
    check_listed: Type.Enum(['auto', 'yes', 'no'], {
      default: 'auto',
      description:
        'Whether a model that the server does not list in /v1/models counts as missing. auto: yes for vLLM and llama-server; other servers are asked, and a 404 counts.',
    }),
    context_size: Type.Optional(
      Type.Integer({ minimum: 16, description: 'Tokens per slot. Unset: as the server reports.' }),
    ),
    whole_answers: Type.Union([Type.Literal('auto'), Type.Literal('streamed')], {
      default: 'auto',
      description:
        'auto: an answer that the client does not stream is requested in one piece, which costs the server less; with tools or log-probabilities it is streamed. streamed: always streamed, for proxies in between that close silent connections.',
    }),
    pass_fields: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        description: `Fields of a request that are passed on to the server unchanged, beside ${listed('vllm')} (vllm), and ${listed('llama-server')} (llama-server). Other unknown fields are ignored.`,
      }),
    ),
  },
  defaultSlots: 64,
  embedded: false,
  server: ({ url }) => serverRoot(url),
  checkTarget: (target) => checkPassFields(target.pass_fields ?? []),
  create: (target, environment) => new OpenAiCompatibleBackend(target, environment),
});
