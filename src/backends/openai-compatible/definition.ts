/** What the configuration of a target at a server with the OpenAI API may have, and the backend that is made of it. */
import { Type } from 'typebox';
import { PRIORITIES, type Priority } from '../../core/priority.ts';
import { URL_PATTERN, URL_RULE } from '../../upstream/upstream.ts';
import { defineBackend } from '../backend-definition.ts';
import { OpenAiCompatibleBackend } from './backend.ts';
import { checkPassFields, type Flavor, PASSED_FIELDS } from './dialect.ts';
import { serverRoot } from './load.ts';
import { checkRouter, ROUTER_HEADERS, type RouterKind } from './router-headers.ts';

const objectiveName = Type.String({
  pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
  title: 'the name of a Kubernetes object: lower-case letters, digits, - and .',
});

function listed(flavor: Flavor): string {
  return PASSED_FIELDS[flavor].join(', ');
}

/** Throws an Error if the server has no ranks, or is not one server. */
function checkRank({
  data_parallel_rank: rank,
  flavor,
  router,
}: {
  data_parallel_rank?: number;
  flavor: string;
  router?: RouterKind;
}): void {
  if (rank === undefined) return;
  if (router !== undefined)
    throw new Error(
      'data_parallel_rank is a rank of one vLLM, but a router chooses between several. Remove one of them.',
    );
  if (flavor === 'auto' || flavor === 'vllm') return;
  throw new Error(`data_parallel_rank is for vLLM, but flavor is ${flavor}. Remove one of them.`);
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
    data_parallel_rank: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 4095,
        description:
          'vLLM with several data-parallel ranks behind one address: the requests of this target go to this rank of that server, from 0, and only its load counts. Each rank then is a target. Unset: vLLM chooses the rank.',
      }),
    ),
    pass_fields: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        description: `Fields of a request that are passed on to the server unchanged, beside ${listed('vllm')} (vllm), and ${listed('llama-server')} (llama-server). Other unknown fields are ignored.`,
      }),
    ),
    reasoning_field: Type.Enum(['auto', 'none', 'reasoning', 'reasoning_content'], {
      default: 'auto',
      description:
        'Where the server reads what the model thought in earlier turns. auto: both (vLLM), reasoning_content (llama-server), none (others). DeepSeek’s service wants reasoning_content, and rejects calls without it.',
    }),
    router: Type.Optional(
      Type.Enum(Object.keys(ROUTER_HEADERS) as RouterKind[], {
        description:
          'The address is a router in front of several engines, such as the endpoint picker of a Gateway API InferencePool, and is told in headers whose request it is, as an opaque id, and how soon its first token is due. llm-d: x-llm-d-inference-fairness-id …; gateway-api: the earlier names, x-gateway-inference-fairness-id ….',
      }),
    ),
    router_ttft_ms: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          'From arrival to the first token: the router is told what is left of it, or of the time limit that the client has set, if that is less. Unset: the latter alone.',
      }),
    ),
    router_tpot_ms: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Time per output token that the router is told.' }),
    ),
    router_objectives: Type.Optional(
      Type.Object(
        Object.fromEntries(PRIORITIES.map((priority) => [priority, Type.Optional(objectiveName)])) as Record<
          Priority,
          ReturnType<typeof Type.Optional<typeof objectiveName>>
        >,
        {
          additionalProperties: false,
          description:
            'Names of the InferenceObjectives that the router is told: { high, normal, low }, by the priority that a request was granted. Without a name it is told none.',
        },
      ),
    ),
  },
  defaultSlots: 64,
  embedded: false,
  server: ({ url, data_parallel_rank: rank }) =>
    rank === undefined ? serverRoot(url) : `${serverRoot(url)} rank ${rank}`,
  checkTarget: (target) => {
    checkPassFields(target.pass_fields ?? []);
    checkRouter(target);
    checkRank(target);
  },
  create: (target, environment) => new OpenAiCompatibleBackend(target, environment),
});
