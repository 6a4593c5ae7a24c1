/** What the played servers refuse, in the words of each. */
import { biasOf } from './openai-forms.ts';
import { VOCABULARY_SIZE } from './openai-vocabulary.ts';
import { recordedJson, recording } from './recording.ts';
import type { Reply, StreamReply } from './stand-in-server.ts';

type Body = Readonly<Record<string, unknown>>;

export interface PlayedLimits {
  readonly server: 'vllm' | 'llama-server' | 'generic';
  readonly model: string;
  readonly contextSize: number;
  readonly withoutToolParser: boolean | undefined;
  readonly wantsNewerLimit: boolean | undefined;
  readonly sees: boolean | undefined;
  readonly wantsPlainTurns: boolean | undefined;
}

export class PlayedRefusals {
  readonly #limits: PlayedLimits;

  constructor(limits: PlayedLimits) {
    this.#limits = limits;
  }

  /** Without a tool parser, without eyes, with a limit of another name. */
  unable(body: Body): Reply | undefined {
    const { server, model, withoutToolParser, wantsNewerLimit, sees = true } = this.#limits;
    if (wantsNewerLimit && body.max_tokens !== undefined) {
      return badRequest(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      );
    }
    if (withoutToolParser && body.tools !== undefined && body.tool_choice !== 'none') {
      return server === 'llama-server'
        ? serverFailure('tools param requires --jinja flag')
        : badRequest(
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
          );
    }
    if (sees || !JSON.stringify(body.messages ?? []).includes('"image_url"')) return undefined;
    return server === 'llama-server'
      ? serverFailure(
          'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj',
        )
      : badRequest(`${model} is not a multimodal model None`);
  }

  /** As the templates of Qwen and Mistral: one system message, at the beginning, and a user who does not speak twice in a row. */
  turns({ messages = [] }: Body): Reply | undefined {
    if (!this.#limits.wantsPlainTurns) return undefined;
    const roles = (messages as readonly { readonly role: string }[]).map(({ role }) => role);
    if (roles.lastIndexOf('system') > 0) return badRequest('System message must be at the beginning.');
    if (roles.some((role, index) => role === 'user' && roles[index - 1] === 'user'))
      return badRequest(
        'After the optional system message, conversation roles must alternate user/assistant/user/assistant/...',
      );
    return undefined;
  }

  /** llama-server leaves such tokens away without a word. */
  bias(body: Body): Reply | undefined {
    const outside = Object.keys(biasOf(body)).filter((token) => Number(token) >= VOCABULARY_SIZE);
    if (this.#limits.server === 'llama-server' || outside.length === 0) return undefined;
    return badRequest(
      `token_id(s) [${outside.join(', ')}] in logit_bias contain out-of-vocab token ids. Vocabulary size: ${VOCABULARY_SIZE}`,
    );
  }

  context(promptTokens: number, maxTokens: number | null | undefined): Reply | undefined {
    const { server, contextSize: size } = this.#limits;
    if (server === 'llama-server') {
      if (promptTokens < size) return undefined;
      const { error } = recordedJson('llama-server/error-context') as { error: Record<string, unknown> };
      const message = `request (${promptTokens} tokens) exceeds the available context size (${size} tokens), try increasing it`;
      return {
        status: 400,
        body: JSON.stringify({ error: { ...error, message, n_prompt_tokens: promptTokens, n_ctx: size } }),
      };
    }
    if (typeof maxTokens === 'number' && maxTokens > size && server === 'vllm') {
      return badRequest(
        `max_tokens=${maxTokens} cannot be greater than max_model_len=${size}. Please request fewer output tokens. (parameter=max_tokens, value=${maxTokens})`,
      );
    }
    const asked = promptTokens + (maxTokens ?? 0);
    if (promptTokens < size && asked <= size) return undefined;
    return badRequest(
      `This model's maximum context length is ${size} tokens. However, you requested ${asked} tokens (${promptTokens} in the messages, ${maxTokens ?? 0} in the completion). Please reduce the length of the messages or completion.`,
    );
  }
}

export function unknownModel(model: unknown): Reply {
  const { status, body } = recording('vllm/error-unknown-model');
  return { status, body: body.replace('nope', String(model)) };
}

export type PlayedEffortRefusal = 'openai' | 'openai-value' | 'pydantic';

/** Of a model that does not reason, of one that always does, and of a server that has no such value. */
export function effortRefused(words: PlayedEffortRefusal): Reply {
  const type = 'invalid_request_error';
  switch (words) {
    case 'openai': {
      const message = 'Unrecognized request argument supplied: reasoning_effort';
      return { status: 400, body: JSON.stringify({ error: { message, type, param: null, code: null } }) };
    }
    case 'openai-value': {
      const message = "Unsupported value: 'none' is not supported with this model.";
      const told = { type, param: 'reasoning_effort', code: 'unsupported_value' };
      return { status: 400, body: JSON.stringify({ error: { message, ...told } }) };
    }
    case 'pydantic': {
      const loc = ['body', 'reasoning_effort'];
      const msg = "Input should be 'low', 'medium' or 'high'";
      return { status: 422, body: JSON.stringify({ detail: [{ type: 'literal_error', loc, msg }] }) };
    }
    default:
      throw words satisfies never;
  }
}

export function strictRefused(): Reply {
  const message =
    "Invalid schema for function 'clock': In context=(), 'additionalProperties' is required to be supplied and to be false.";
  const told = {
    type: 'invalid_request_error',
    param: 'tools[0].function.parameters',
    code: 'invalid_function_parameters',
  };
  return { status: 400, body: JSON.stringify({ error: { message, ...told } }) };
}

/** As vLLM says it: in a stream as its only event, before any token; else with its status. */
export function schemaRefusal(inStream: boolean): Reply | StreamReply {
  const refused = badRequest('The provided JSON schema contains features not supported by xgrammar.');
  if (!inStream) return refused;
  return {
    contentType: 'text/event-stream; charset=utf-8',
    frames: [`data: ${refused.body}\n\n`],
    ending: ['data: [DONE]\n\n'],
    failure: [],
  };
}

export function badRequest(message: string): Reply {
  return {
    status: 400,
    body: JSON.stringify({ error: { message, type: 'BadRequestError', param: null, code: 400 } }),
  };
}

function serverFailure(message: string): Reply {
  return { status: 500, body: JSON.stringify({ error: { code: 500, message, type: 'server_error' } }) };
}
