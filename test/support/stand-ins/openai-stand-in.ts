/** Plays servers with the OpenAI API in the shapes recorded from vLLM 0.32.0 and llama-server, and a plain third one. */

import { embeddingsReply } from './openai-embeddings.ts';
import { biasOf, callsOf, formedAnswer, grammarError, type PlayedCall, promptOf } from './openai-forms.ts';
import { type Choice, callChoices, textChoices } from './openai-frames.ts';
import { loadHeader, loadReply, type PlayedLoad } from './openai-load.ts';
import {
  badRequest,
  effortRefused,
  type PlayedEffortRefusal,
  PlayedRefusals,
  schemaRefusal,
  strictRefused,
  unknownModel,
} from './openai-refusals.ts';
import { PlayedVocabulary } from './openai-vocabulary.ts';
import { wholeReply } from './openai-whole.ts';
import { callsOfTurn, lastWords, type PlayedTurn, turnOf } from './played-turns.ts';
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
  /** Thought before each answer, in this field of the delta, unless it is told not to, in words that it knows. */
  readonly reasoningField?: 'reasoning' | 'reasoning_content';
  /** Ignores stream_options, as some servers do. */
  readonly withoutUsage?: boolean;
  /** Never sends `[DONE]` and keeps the answer open. */
  readonly withoutEnd?: boolean;
  /** Makes embeddings; default true. Without: as recorded. */
  readonly embeds?: boolean;
  /** Numbers in a vector; default 4. */
  readonly embeddingLength?: number;
  /** Refuses chat_template_kwargs. */
  readonly refusesTemplateSwitch?: boolean;
  /** Refuses `reasoning_effort`, in the words of the OpenAI service or in those of a server that checks bodies with pydantic. */
  readonly refusesEffort?: PlayedEffortRefusal;
  /** Started without what reads calls out of answers: refuses tools. */
  readonly withoutToolParser?: boolean;
  /** As models of the OpenAI service that reason: takes the limit under its newer name only. */
  readonly wantsNewerLimit?: boolean;
  /** What it does turn by turn; where a turn has no calls, it says what the last message says. */
  readonly turns?: readonly PlayedTurn[];
  /** As the OpenAI service: takes no schema as strict that leaves a property optional. */
  readonly refusesStrictTools?: boolean;
  /** Never ends before it has said all, whatever max_tokens is. */
  readonly ignoresLimit?: boolean;
  /** Finds a schema bad only after its 200 was sent, as vLLM does. */
  readonly refusesSchemaInStream?: boolean;
  /** And says so within a whole answer of status 200, as some proxies do. */
  readonly refusesWithin200?: boolean;
  /** Streams whatever was asked. */
  readonly alwaysStreams?: boolean;
  /** So many times it cannot tell of itself. */
  readonly failingProps?: number;
  /** As recorded from llama-server: the model's template has no tools, and drops them without a word. */
  readonly templateWithoutTools?: boolean;
  /** Reports it; absent: has no such routes. */
  readonly load?: PlayedLoad;
  /** Takes images; default true. */
  readonly sees?: boolean;
  /** Has a template that takes one system message, at the beginning, and no two messages of the user in a row. */
  readonly wantsPlainTurns?: boolean;
  /** Refuses what begins with "refuse" and repeats it, as servers do that tell what they could not read. */
  readonly repeatsRefused?: boolean;
}

type Chunk = Readonly<Record<string, unknown>>;

const CONTEXT = 2048;
const THOUGHT = 'Let me think.';

export function startOpenAiStandIn(options: OpenAiStandInOptions = {}): Promise<StandIn> {
  const model = options.model ?? 'smollm2';
  return startStandIn(openAiPlay({ ...options, model }), { ...options, model });
}

/** What the stand-in says, for other servers. */
export function openAiPlay(options: OpenAiStandInOptions & { readonly model: string }): Play {
  return new OpenAiPlay(options);
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
  readonly #refusals: PlayedRefusals;
  readonly #vocabulary = new PlayedVocabulary();
  #propsAsked = 0;
  readonly #recorded: { readonly chat: Chunk; readonly completion: Chunk };

  constructor(options: OpenAiStandInOptions & { readonly model: string }) {
    this.#options = options;
    this.#server = options.server ?? 'vllm';
    this.#contextSize = options.contextSize ?? CONTEXT;
    const { model, withoutToolParser, wantsNewerLimit, sees, wantsPlainTurns } = options;
    const played = { model, withoutToolParser, wantsNewerLimit, sees, wantsPlainTurns };
    this.#refusals = new PlayedRefusals({ ...played, server: this.#server, contextSize: this.#contextSize });
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

  generation(seen: SeenRequest): StreamReply | Reply {
    const request = { ...seen, body: this.#inWords(seen.body) };
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
    if (this.#options.refusesEffort !== undefined && body.reasoning_effort !== undefined)
      return effortRefused(this.#options.refusesEffort);
    if (this.#options.repeatsRefused && promptOf(body).startsWith('refuse'))
      return badRequest(promptOf(body));
    if (this.#options.refusesStrictTools && JSON.stringify(body.tools ?? []).includes('"strict":true'))
      return strictRefused();
    const { max_tokens, max_completion_tokens } = body;
    const limit = (max_tokens === undefined ? max_completion_tokens : max_tokens) as
      | number
      | null
      | undefined;
    const prompt = promptOf(body);
    const unable =
      this.#refusals.unable(body) ??
      this.#refusals.turns(body) ??
      grammarError(body) ??
      this.#refusals.bias(body);
    if (unable !== undefined) return unable;
    const refused = this.#refusals.context(countTokens(prompt), limit);
    if (refused !== undefined) return refused;
    const unset = request.path === '/v1/completions' && this.#server !== 'llama-server' ? 16 : undefined;
    const maxTokens = limit === undefined ? unset : limit;
    const turn = turnOf(body, this.#options.turns);
    const calls = turn === undefined ? callsOf(body, prompt, this.#server) : callsOfTurn(body, turn);
    const answered = answer({
      prompt,
      says: calls.length > 0 ? [] : turn === undefined ? formedAnswer(body) : lastWords(body),
      avoids: (word) =>
        biasOf(body)[this.#vocabulary.tokenOf(word)] === -100 ||
        ((body.bad_words ?? []) as string[]).includes(word.trim()),
      maxTokens: this.#options.ignoresLimit ? undefined : (maxTokens ?? undefined),
      stop: (body.stop as string[] | undefined) ?? [],
      contextSize: this.#contextSize,
      seed: body.seed as number | undefined,
    });
    if (this.#options.refusesSchemaInStream && body.response_format !== undefined)
      return schemaRefusal(body.stream !== false || this.#options.refusesWithin200 === true);
    const ended = this.#cutAtStopToken(answered, body);
    if (body.stream === false && !this.#options.alwaysStreams) return this.#wholeReply(request, ended, calls);
    return this.#streamReply(request, ended, calls);
  }

  /** A prompt of token ids as the words that they stand for. */
  #inWords(body: Record<string, unknown>): Record<string, unknown> {
    if (!Array.isArray(body.prompt)) return body;
    return { ...body, prompt: this.#vocabulary.decode(body.prompt as number[]) };
  }

  #cutAtStopToken(answered: ModelAnswer, { stop_token_ids }: Record<string, unknown>): ModelAnswer {
    const ids = (stop_token_ids ?? []) as readonly number[];
    const end = answered.tokens.findIndex((word) => ids.includes(this.#vocabulary.tokenOf(word)));
    if (end === -1) return answered;
    return { ...answered, tokens: answered.tokens.slice(0, end), generated: end + 1, reason: 'stop' };
  }

  /** vLLM and llama-server take the template's switch, the OpenAI API has a level. */
  #thoughtOn({
    path,
    body,
  }: Pick<SeenRequest, 'path' | 'body'>): Readonly<Record<string, string>> | undefined {
    const { reasoningField } = this.#options;
    const { enable_thinking: isOn = true } = (body.chat_template_kwargs ?? {}) as Record<string, unknown>;
    const isOff = this.#server === 'generic' ? body.reasoning_effort === 'none' : isOn === false;
    if (reasoningField === undefined || path !== '/v1/chat/completions' || isOff) return undefined;
    return { [reasoningField]: THOUGHT };
  }

  #wholeReply(request: SeenRequest, answered: ModelAnswer, calls: readonly PlayedCall[]): Reply {
    const { model, withoutUsage = false } = this.#options;
    const thought = this.#thoughtOn(request) ?? {};
    const chat = request.path === '/v1/chat/completions';
    const reply = wholeReply({ server: this.#server, model, chat, answered, calls, thought, withoutUsage });
    const reported = this.#server === 'vllm' ? loadHeader(request, this.#options.load ?? {}) : {};
    return { ...reply, headers: { ...this.#headers(), ...reported } };
  }

  #embeddings(body: Record<string, unknown>): Reply {
    const folder = this.#server === 'llama-server' ? 'llama-server' : 'vllm';
    if (this.#options.embeds === false) return recording(`${folder}/embeddings-disabled`);
    return embeddingsReply(body, {
      cuts: this.#server !== 'llama-server',
      length: this.#options.embeddingLength,
      refuse: (tokens) => this.#refusals.context(tokens, 0),
    });
  }

  #plain({ path, headers, body }: SeenRequest): Reply {
    const { apiKey, health = 200 } = this.#options;
    const told = this.#tokens(path, body);
    if (told !== undefined) return { status: 200, body: JSON.stringify(told) };
    const reported = this.#options.load && loadReply(path, this.#server, this.#options.load);
    if (reported !== undefined) return reported;
    if (path === '/health' && this.#server !== 'generic')
      return { status: health, body: health === 200 ? '' : '{"error":{}}' };
    if (path === '/version' && this.#server === 'vllm')
      return { status: 200, body: recording('vllm/version').body };
    if (path === '/props' && this.#server === 'llama-server') {
      this.#propsAsked += 1;
      const fails = this.#propsAsked <= (this.#options.failingProps ?? 0);
      return fails ? { status: 500, body: this.serverError } : { status: 200, body: this.#props() };
    }
    if (path !== '/v1/models') return { status: 404, body: '{"detail":"Not Found"}' };
    if (apiKey !== undefined && headers.authorization !== `Bearer ${apiKey}`)
      return { status: 401, body: '{"error":"Unauthorized"}' };
    return { status: 200, body: this.#models() };
  }

  /** The recorded model's template has no tools. */
  #props(): string {
    const caps = { supports_tools: true, supports_tool_calls: true };
    const { chat_template_caps, ...props } = recordedJson('llama-server/props');
    const played = this.#options.templateWithoutTools ? chat_template_caps : caps;
    return JSON.stringify({ ...props, chat_template_caps: played });
  }

  #tokens(path: string, body: Record<string, unknown>): Record<string, unknown> | undefined {
    if (this.#server === 'vllm') {
      if (path === '/detokenize') return { prompt: this.#vocabulary.decode(body.tokens as number[]) };
      if (path !== '/tokenize') return undefined;
      const tokens = this.#vocabulary.encode(promptOf(body));
      return { count: tokens.length, max_model_len: this.#contextSize, tokens, token_strs: null };
    }
    if (this.#server === 'generic') return undefined;
    if (path === '/apply-template') return { prompt: promptOf(body) };
    if (path === '/tokenize') return { tokens: this.#vocabulary.encode(body.content as string) };
    if (path === '/detokenize') return { content: this.#vocabulary.decode(body.tokens as number[]) };
    return undefined;
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
      .replace(
        '["completion"]',
        this.#options.sees === true ? '["completion","multimodal"]' : '["completion"]',
      )
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

  #streamReply(
    { path, body }: SeenRequest,
    answered: ModelAnswer,
    calls: readonly PlayedCall[],
  ): StreamReply {
    const chat = path === '/v1/chat/completions';
    const recorded = chat ? this.#recorded.chat : this.#recorded.completion;
    const { include_usage, continuous_usage_stats } = (body.stream_options ?? {}) as Record<string, boolean>;
    let framed = 0;
    const usageOf = (completion_tokens: number) => ({
      prompt_tokens: answered.promptTokens,
      completion_tokens,
      total_tokens: answered.promptTokens + completion_tokens,
    });
    const frame = (choice: Record<string, unknown>) => {
      const { usage: _usage, timings: _timings, ...template } = recorded;
      return event({
        ...template,
        model: this.#options.model,
        choices: [{ index: 0, finish_reason: null, ...choice }],
        ...(continuous_usage_stats && { usage: usageOf(Math.min(generated, framed++)) }),
      });
    };
    const said =
      calls.length > 0
        ? callChoices(calls, this.#server)
        : textChoices(answered.tokens, { body, chat, server: this.#server, vocabulary: this.#vocabulary });
    const limit = Number(body.max_tokens ?? Number.POSITIVE_INFINITY);
    const generated = calls.length > 0 ? Math.min(limit, said.length) : answered.generated;
    const { withoutUsage, withoutEnd } = this.#options;
    const opening = chat
      ? [frame({ delta: { role: 'assistant', content: this.#server === 'llama-server' ? null : '' } })]
      : [];
    const progress =
      this.#server === 'llama-server' && body.return_progress === true
        ? [event({ ...recorded, choices: [], prompt_progress: progressOf(answered.promptTokens) })]
        : [];
    const thought = this.#thoughtOn({ path, body });
    const thoughts = thought === undefined ? [] : [frame({ delta: thought })];
    const usage = event({
      ...recorded,
      choices: [],
      usage: usageOf(generated),
    });
    const asksUsage = include_usage === true;
    const called = calls.length > 0 && this.#server !== 'generic';
    const end = { ...answered, reason: called ? 'tool_calls' : answered.reason };
    return {
      contentType: 'text/event-stream; charset=utf-8',
      headers: this.#headers(),
      frames: [
        ...progress,
        ...opening,
        ...thoughts,
        ...this.#withFinish(cutCalls(said, calls, limit), end, chat).map(frame),
      ],
      ending: [...(asksUsage && !withoutUsage ? [usage] : []), ...(withoutEnd ? [] : ['data: [DONE]\n\n'])],
      failure: [`data: ${this.serverError}\n\n`, 'data: [DONE]\n\n'],
      leavesOpen: withoutEnd ?? false,
    };
  }

  /** vLLM tells `length` together with the last content; every other end has a chunk of its own. */
  #withFinish(
    said: readonly Choice[],
    end: { readonly reason: string; readonly matchedStop?: string },
    chat: boolean,
  ): Choice[] {
    const stopReason = this.#server === 'vllm' ? { stop_reason: end.matchedStop ?? null } : {};
    const ending = { finish_reason: end.reason, ...stopReason };
    const last = said.at(-1);
    if (this.#server === 'vllm' && end.reason === 'length' && last !== undefined)
      return [...said.slice(0, -1), { ...last, ...ending }];
    return [...said, { ...(chat ? { delta: {} } : { text: '' }), ...ending }];
  }
}

function event(chunk: Record<string, unknown>): string {
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

function progressOf(total: number): Record<string, number> {
  return { total, cache: 0, processed: total, time_ms: 1 };
}

/** vLLM says that calls ended an answer, also where max_tokens did. */
function cutCalls(said: readonly Choice[], calls: readonly PlayedCall[], limit: number): readonly Choice[] {
  return calls.length === 0 ? said : said.slice(0, limit);
}
