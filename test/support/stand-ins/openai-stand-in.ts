/** Plays servers with the OpenAI API in the shapes recorded from vLLM 0.32.0 and llama-server, and a plain third one. */

import { embeddingsReply } from './openai-embeddings.ts';
import { recordedChunks, recordedJson, recording } from './recording.ts';
import { answer, countTokens, type ModelAnswer } from './stand-in-model.ts';
import {
  type Play,
  type Reply,
  type SeenRequest,
  type StandIn,
  type StandInOptions,
  type StreamReply,
  startStandIn,
} from './stand-in-server.ts';

export type PlayedServer = 'vllm' | 'llama-server' | 'generic';

export interface OpenAiStandInOptions extends StandInOptions {
  /** Default vllm. */
  readonly server?: PlayedServer;
  readonly apiKey?: string;
  /** Status of /health; default 200. */
  readonly health?: number;
  /** Thought before each answer, in this field of the delta. */
  readonly reasoningField?: 'reasoning' | 'reasoning_content';
  /** Ignores stream_options, as some servers do. */
  readonly withoutUsage?: boolean;
  /** Never sends `[DONE]` and keeps the answer open. */
  readonly withoutEnd?: boolean;
  /** Makes embeddings; default true. Without: as recorded. */
  readonly embeds?: boolean;
  /** Refuses chat_template_kwargs. */
  readonly refusesTemplateSwitch?: boolean;
}

type Chunk = Readonly<Record<string, unknown>>;

const CONTEXT = 2048;
const THOUGHT = 'Let me think.';

export function startOpenAiStandIn(options: OpenAiStandInOptions = {}): Promise<StandIn> {
  const model = options.model ?? 'smollm2';
  return startStandIn(new OpenAiPlay({ ...options, model }), { ...options, model });
}

class OpenAiPlay implements Play {
  readonly serverError = JSON.stringify({
    error: {
      message: 'EngineCore encountered an issue.',
      type: 'InternalServerError',
      param: null,
      code: 500,
    },
  });
  readonly #options: OpenAiStandInOptions & { readonly model: string };
  readonly #server: PlayedServer;
  readonly #contextSize: number;
  readonly #recorded: { readonly chat: Chunk; readonly completion: Chunk };

  constructor(options: OpenAiStandInOptions & { readonly model: string }) {
    this.#options = options;
    this.#server = options.server ?? 'vllm';
    this.#contextSize = options.contextSize ?? CONTEXT;
    const folder = this.#server === 'llama-server' ? 'llama-server' : 'vllm';
    this.#recorded = {
      chat: recordedChunks(`${folder}/chat-stream`)[0] ?? {},
      completion: recordedChunks(`${folder}/completion-stream`)[0] ?? {},
    };
  }

  isGeneration({ path }: SeenRequest): boolean {
    return ['/v1/chat/completions', '/v1/completions', '/v1/embeddings'].includes(path);
  }

  plain(request: SeenRequest): Reply {
    return { headers: this.#headers(), ...this.#plain(request) };
  }

  generation(request: SeenRequest): StreamReply | Reply {
    const { body, headers } = request;
    const { apiKey } = this.#options;
    if (apiKey !== undefined && headers.authorization !== `Bearer ${apiKey}`)
      return { status: 401, body: '{"error":"Unauthorized"}' };
    if (body.model !== this.#options.model && this.#server !== 'llama-server')
      return unknownModel(body.model);
    if (request.path === '/v1/embeddings') return this.#embeddings(body);
    if (this.#options.refusesTemplateSwitch && body.chat_template_kwargs !== undefined) {
      return badRequest('chat_template is not supported for Mistral tokenizers.');
    }
    const prompt = promptOf(body);
    const refused = this.#contextError(countTokens(prompt), body.max_tokens as number | null | undefined);
    if (refused !== undefined) return refused;
    const unset = request.path === '/v1/completions' && this.#server !== 'llama-server' ? 16 : undefined;
    const maxTokens = body.max_tokens === undefined ? unset : (body.max_tokens as number | null);
    const answered = answer({
      prompt,
      maxTokens: maxTokens ?? undefined,
      stop: (body.stop as string[] | undefined) ?? [],
      contextSize: this.#contextSize,
      seed: body.seed as number | undefined,
    });
    return this.#streamReply(request, answered);
  }

  #embeddings(body: Record<string, unknown>): Reply {
    const folder = this.#server === 'llama-server' ? 'llama-server' : 'vllm';
    if (this.#options.embeds === false) return recording(`${folder}/embeddings-disabled`);
    return embeddingsReply(body, (tokens) => this.#contextError(tokens, 0));
  }

  #plain({ path, headers }: SeenRequest): Reply {
    const { apiKey, health = 200 } = this.#options;
    if (path === '/health' && this.#server !== 'generic')
      return { status: health, body: health === 200 ? '' : '{"error":{}}' };
    if (path === '/version' && this.#server === 'vllm')
      return { status: 200, body: recording('vllm/version').body };
    if (path === '/props' && this.#server === 'llama-server')
      return { status: 200, body: recording('llama-server/props').body };
    if (path !== '/v1/models') return { status: 404, body: '{"detail":"Not Found"}' };
    if (apiKey !== undefined && headers.authorization !== `Bearer ${apiKey}`)
      return { status: 401, body: '{"error":"Unauthorized"}' };
    return { status: 200, body: this.#models() };
  }

  #models(): string {
    const { model } = this.#options;
    if (this.#server === 'generic') {
      return JSON.stringify({
        object: 'list',
        data: [{ id: model, object: 'model', created: 0, owned_by: 'someone' }],
      });
    }
    return JSON.stringify(recordedJson(`${this.#server}/models`))
      .replaceAll('"smollm2"', JSON.stringify(model))
      .replace(/"(max_model_len|n_ctx)":\d+/, `"$1":${this.#contextSize}`);
  }

  #headers(): Record<string, string> {
    switch (this.#server) {
      case 'vllm':
        return { server: 'uvicorn' };
      case 'llama-server':
        return { server: 'llama.cpp' };
      case 'generic':
        return {};
    }
  }

  #contextError(promptTokens: number, maxTokens: number | null | undefined): Reply | undefined {
    const size = this.#contextSize;
    if (this.#server === 'llama-server') {
      if (promptTokens < size) return undefined;
      const { error } = recordedJson('llama-server/error-context') as { error: Record<string, unknown> };
      const message = `request (${promptTokens} tokens) exceeds the available context size (${size} tokens), try increasing it`;
      return {
        status: 400,
        body: JSON.stringify({ error: { ...error, message, n_prompt_tokens: promptTokens, n_ctx: size } }),
      };
    }
    if (typeof maxTokens === 'number' && maxTokens > size && this.#server === 'vllm') {
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

  #streamReply({ path, body }: SeenRequest, answered: ModelAnswer): StreamReply {
    const chat = path === '/v1/chat/completions';
    const recorded = chat ? this.#recorded.chat : this.#recorded.completion;
    const frame = (choice: Record<string, unknown>) => {
      const { usage: _usage, timings: _timings, ...template } = recorded;
      return event({
        ...template,
        model: this.#options.model,
        choices: [{ index: 0, finish_reason: null, ...choice }],
      });
    };
    const speak = (text: string) => frame(chat ? { delta: { content: text } } : { text });
    const { reasoningField, withoutUsage, withoutEnd } = this.#options;
    const opening = chat
      ? [frame({ delta: { role: 'assistant', content: this.#server === 'llama-server' ? null : '' } })]
      : [];
    const thoughts =
      reasoningField === undefined || !chat ? [] : [frame({ delta: { [reasoningField]: THOUGHT } })];
    const usage = event({
      ...recorded,
      choices: [],
      usage: {
        prompt_tokens: answered.promptTokens,
        completion_tokens: answered.generated,
        total_tokens: answered.promptTokens + answered.generated,
      },
    });
    const asksUsage =
      (body.stream_options as { include_usage?: boolean } | undefined)?.include_usage === true;
    const words = answered.tokens.map(speak);
    return {
      contentType: 'text/event-stream; charset=utf-8',
      headers: this.#headers(),
      frames: [...opening, ...thoughts, ...this.#withFinish({ words, answered, chat, frame })],
      ending: [...(asksUsage && !withoutUsage ? [usage] : []), ...(withoutEnd ? [] : ['data: [DONE]\n\n'])],
      failure: [`data: ${this.serverError}\n\n`, 'data: [DONE]\n\n'],
      leavesOpen: withoutEnd ?? false,
    };
  }

  /** vLLM tells `length` together with the last content; every other end has a chunk of its own. */
  #withFinish(end: {
    words: readonly string[];
    answered: ModelAnswer;
    chat: boolean;
    frame: (choice: Record<string, unknown>) => string;
  }): string[] {
    const { words, answered, chat, frame } = end;
    const stopReason = this.#server === 'vllm' ? { stop_reason: answered.matchedStop ?? null } : {};
    const ending = { finish_reason: answered.reason, ...stopReason };
    const last = answered.tokens.at(-1);
    if (this.#server === 'vllm' && answered.reason === 'length' && last !== undefined) {
      return [
        ...words.slice(0, -1),
        frame({ ...(chat ? { delta: { content: last } } : { text: last }), ...ending }),
      ];
    }
    return [...words, frame({ ...(chat ? { delta: {} } : { text: '' }), ...ending })];
  }
}

function promptOf(body: Record<string, unknown>): string {
  if (typeof body.prompt === 'string') return body.prompt;
  return (body.messages as { content: string }[]).map(({ content }) => content).join(' ');
}

function unknownModel(model: unknown): Reply {
  const { status, body } = recording('vllm/error-unknown-model');
  return { status, body: body.replace('nope', String(model)) };
}

function badRequest(message: string): Reply {
  return {
    status: 400,
    body: JSON.stringify({ error: { message, type: 'BadRequestError', param: null, code: 400 } }),
  };
}

function event(chunk: Record<string, unknown>): string {
  return `data: ${JSON.stringify(chunk)}\n\n`;
}
