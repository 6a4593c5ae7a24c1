/** Plays Ollama's native API in the shapes that were recorded from releases 0.17.4 and 0.32.15, or as 0.6.5 where it is asked to. */

import { OllamaMemory, type OllamaRelease } from './ollama-memory.ts';
import { formedAnswer, logprobsOf, misreadArguments, promptOf, toolCalls } from './ollama-stand-in-pieces.ts';
import { lastWords, type PlayedTurn, turnOf } from './played-turns.ts';
import { recordedChunks, recordedJson, recording } from './recording.ts';
import { answer, countTokens, vectorOf } from './stand-in-model.ts';
import {
  type Play,
  type Reply,
  type SeenRequest,
  type StandIn,
  type StandInOptions,
  type StreamReply,
  startStandIn,
} from './stand-in-server.ts';

export interface OllamaStandInOptions extends StandInOptions {
  /** The model thinks, and says so in /api/show. */
  readonly thinks?: boolean;
  /** And cannot be kept from it: as newer releases tell it, or by its family, as older ones do. */
  readonly alwaysThinks?: 'listed' | 'family';
  /** The model calls tools: those whose names the last message has a word of. */
  readonly callsTools?: boolean;
  /** The model sees images: of each it says `[img-0]` and so on, before the words it repeats. */
  readonly sees?: boolean;
  /** Not in releases before 0.6.4. Default true. */
  readonly tellsCapabilities?: boolean;
  /** Listed by /api/ps from the start; else from its first load. Default true. */
  readonly loaded?: boolean;
  /** The model embeds and does not generate. */
  readonly embedsOnly?: boolean;
  /** Further names of the same weights. */
  readonly otherNames?: readonly string[];
  /** What /api/version says; false: 404. Default: the release. */
  readonly toldVersion?: string | false;
  /** /api/tags goes on listing a model that was deleted, as a list that is kept does. */
  readonly listsDeleted?: boolean;
  /** What it does turn by turn; where a turn has no calls, it says what the last message says. */
  readonly turns?: readonly PlayedTurn[];
  /**
   * 0.6.5 cuts a long prompt silently, ignores `logprobs` and `dimensions`, and gives calls no ids. 0.32.15 has one runner
   * for each file of weights, started anew when `shift` changes, shifts the context unless told not to, and embeds only with
   * models that are made for it. Default 0.17.4, which does none of that.
   */
  readonly release?: OllamaRelease;
}

export interface OllamaStandIn extends StandIn {
  /** How often requests had the model loaded. */
  loads(): number;
}

interface Piece {
  readonly text?: string;
  readonly thinking?: string;
  readonly tool_calls?: readonly unknown[];
}

const DEFAULT_CONTEXT = 4096;
const TOO_LONG = 'the input length exceeds the context length';
const THOUGHT = 'Let me think.';

export async function startOllamaStandIn(options: OllamaStandInOptions = {}): Promise<OllamaStandIn> {
  const model = options.model ?? 'smollm2';
  const play = new OllamaPlay({ ...options, model });
  const standIn = await startStandIn(play, { ...options, model });
  return Object.assign(standIn, { loads: () => play.loads });
}

/** What the stand-in says, for other servers. */
export function ollamaPlay(options: OllamaStandInOptions & { readonly model: string }): Play {
  return new OllamaPlay(options);
}

class OllamaPlay implements Play {
  readonly serverError = JSON.stringify({ error: 'llama runner process has terminated' });
  readonly #options: OllamaStandInOptions & { readonly model: string };
  readonly #chat = recordedChunks('ollama/chat-stream');
  readonly #generate = recordedChunks('ollama/generate-stream');
  readonly #memory: OllamaMemory;
  readonly #deleted = new Set<unknown>();

  constructor(options: OllamaStandInOptions & { readonly model: string }) {
    this.#options = options;
    this.#memory = new OllamaMemory({
      release: options.release ?? '0.17.4',
      names: [options.model, ...(options.otherNames ?? [])],
      loaded: options.loaded ?? true,
      contextSize: options.contextSize,
    });
  }

  get loads(): number {
    return this.#memory.loads;
  }

  isGeneration({ path, body }: SeenRequest): boolean {
    return (
      path === '/api/chat' ||
      (path === '/api/embed' && (body.input as string[]).length > 0) ||
      (path === '/api/generate' && typeof body.prompt === 'string' && body.prompt !== '')
    );
  }

  plain({ path, body }: SeenRequest): Reply {
    switch (path) {
      case '/':
        return whole('ollama/root');
      case '/api/version':
        return this.#version();
      case '/api/tags':
        return { status: 200, body: JSON.stringify(this.#memory.installed()) };
      case '/api/ps':
        return { status: 200, body: JSON.stringify(this.#memory.running()) };
      case '/api/show':
        return this.#known(body) ? this.#show() : this.#unknown(body);
      case '/api/create':
        this.#memory.make();
        return { status: 200, body: '{"status":"success"}' };
      case '/api/delete':
        this.#delete(body.model);
        return { status: 200, body: '' };
      case '/api/generate':
        if (!this.#known(body)) return this.#unknown(body);
        if (body.keep_alive === 0) {
          this.#memory.unload();
          return whole('ollama-0.32/unload');
        }
        if (this.#options.embedsOnly) return doesNotGenerate(body);
        this.#memory.load(body);
        return whole('ollama/load-empty-prompt');
      case '/api/embed':
        return this.#embedding(body);
      default:
        return { status: 404, body: '404 page not found' };
    }
  }

  generation(request: SeenRequest): StreamReply | Reply {
    const { body } = request;
    if (!this.#known(body)) return this.#unknown(body);
    if (request.path === '/api/embed') return this.#embedding(body);
    const misread = misreadArguments(body);
    if (misread !== undefined) return refusal(misread);
    if (body.tools !== undefined && !this.#options.callsTools) return whole('ollama/error-tools-unsupported');
    if (body.think !== undefined && body.think !== false && !this.#options.thinks)
      return whole('ollama/error-think-unsupported');
    const options = (body.options ?? {}) as Record<string, unknown>;
    const contextSize =
      (options.num_ctx as number | undefined) ?? this.#options.contextSize ?? DEFAULT_CONTEXT;
    const prompt = promptOf(body, { sees: this.#options.sees ?? false });
    const promptTokens = countTokens(prompt);
    const tooLong = promptTokens >= contextSize;
    const turn = turnOf(body, this.#options.turns);
    this.#memory.load(body);
    if (tooLong && !this.#isOld && body.truncate === false) return this.#tooLong(promptTokens, contextSize);
    const shifts = this.#isCurrent && body.shift !== false;
    const answered = answer({
      prompt: tooLong ? 'cut' : prompt,
      says: turn === undefined ? formedAnswer(body) : lastWords(body),
      maxTokens: options.num_predict as number | undefined,
      stop: (options.stop as string[] | undefined) ?? [],
      contextSize: shifts ? Number.POSITIVE_INFINITY : contextSize,
      seed: options.seed as number | undefined,
    });
    const { thinks, alwaysThinks } = this.#options;
    const thoughts =
      thinks && (body.think !== false || alwaysThinks !== undefined)
        ? [this.#line(request, { thinking: THOUGHT })]
        : [];
    const calls =
      turn === undefined
        ? toolCalls(body, { withIds: !this.#isOld })
        : (turn.tool_calls ?? []).map((call) => ({ function: call }));
    const pieces =
      calls.length > 0
        ? calls.map((call) => this.#line(request, { tool_calls: [call] }))
        : answered.tokens.map((text) => this.#line(request, { text }));
    return {
      contentType: 'application/x-ndjson',
      frames: [...thoughts, ...pieces],
      ending: [
        this.#lastLine(request, {
          done_reason: calls.length > 0 ? 'stop' : answered.reason,
          prompt_eval_count: tooLong ? contextSize : answered.promptTokens,
          eval_count: calls.length || answered.generated,
        }),
      ],
      failure: [`${this.serverError}\n`],
    };
  }

  get #isOld(): boolean {
    return this.#options.release === '0.6.5';
  }

  get #isCurrent(): boolean {
    return this.#options.release === '0.32.15';
  }

  #version(): Reply {
    const { toldVersion, release = '0.17.4' } = this.#options;
    if (toldVersion === false) return { status: 404, body: '404 page not found' };
    return { status: 200, body: JSON.stringify({ version: toldVersion ?? release }) };
  }

  #delete(name: unknown): void {
    if (this.#options.listsDeleted) this.#deleted.add(name);
    else this.#memory.remove(name);
  }

  #tooLong(promptTokens: number, contextSize: number): Reply {
    if (!this.#isCurrent) return refusal(TOO_LONG);
    const { status, body } = recording('ollama-0.32/too-long-truncate-false');
    return {
      status,
      body: body.replaceAll('6010', String(promptTokens)).replaceAll('4096', String(contextSize)),
    };
  }

  #embedding(body: Record<string, unknown>): Reply {
    const texts = body.input as string[];
    if (this.#isCurrent && !this.#options.embedsOnly) return whole('ollama-0.32/embed-generating-model');
    const options = (body.options ?? {}) as Record<string, unknown>;
    const contextSize =
      (options.num_ctx as number | undefined) ?? this.#options.contextSize ?? DEFAULT_CONTEXT;
    if (texts.some((text) => typeof text !== 'string')) return refusal('invalid input type');
    if (texts.some((text) => countTokens(text) > contextSize)) return refusal(TOO_LONG);
    this.#memory.load(body);
    const promptTokens = texts.reduce((sum, text) => sum + countTokens(text), 0);
    const counted = promptTokens === 0 ? {} : { prompt_eval_count: promptTokens };
    const { prompt_eval_count: _recorded, ...recorded } = recordedJson('ollama/embed');
    return {
      status: 200,
      body: JSON.stringify({
        ...recorded,
        embeddings: texts.map((text) => this.#vector(text, body.dimensions)),
        ...counted,
      }),
    };
  }

  #vector(text: string, dimensions: unknown): number[] {
    const vector = vectorOf(text);
    if (this.#isOld || typeof dimensions !== 'number') return vector;
    const cut = vector.slice(0, dimensions);
    const length = Math.hypot(...cut);
    return cut.map((value) => value / length);
  }

  #known({ model }: Record<string, unknown>): boolean {
    return this.#memory.knows(model) && !this.#deleted.has(model);
  }

  #unknown({ model }: Record<string, unknown>): Reply {
    const { status, body } = recording('ollama/error-unknown-model');
    return { status, body: body.replace('nope', String(model)) };
  }

  #show(): Reply {
    const { embedsOnly, thinks, alwaysThinks, callsTools, sees, tellsCapabilities = true } = this.#options;
    const { capabilities: _recorded, ...shown } = recordedJson(
      this.#isCurrent ? 'ollama-0.32/show' : 'ollama/show',
    );
    const capabilities = [
      embedsOnly ? 'embedding' : 'completion',
      ...(callsTools ? ['tools'] : []),
      ...(sees ? ['vision'] : []),
      ...(thinks ? ['thinking'] : []),
    ];
    const told = {
      ...shown,
      ...(tellsCapabilities && { capabilities }),
      ...(alwaysThinks === 'listed' && {
        thinking: { values: ['low', 'medium', 'high'], default: 'medium' },
      }),
      ...(alwaysThinks === 'family' && { details: { ...(shown.details as object), family: 'gptoss' } }),
    };
    return { status: 200, body: JSON.stringify(told) };
  }

  #line({ path, body }: SeenRequest, piece: Piece): string {
    const { text = '', ...beside } = piece;
    const template = (path === '/api/chat' ? this.#chat : this.#generate)[0];
    const content =
      path === '/api/chat'
        ? { message: { role: 'assistant', content: text, ...beside } }
        : { response: text, ...beside };
    const logprobs =
      body.logprobs === true && !this.#isOld
        ? { logprobs: logprobsOf(text, Number(body.top_logprobs ?? 0)) }
        : {};
    return `${JSON.stringify({ ...template, model: this.#options.model, ...content, ...logprobs })}\n`;
  }

  #lastLine({ path }: SeenRequest, counts: Record<string, unknown>): string {
    const template = (path === '/api/chat' ? this.#chat : this.#generate).at(-1);
    const { context: _context, ...line } = { ...template, model: this.#options.model, ...counts } as Record<
      string,
      unknown
    >;
    return `${JSON.stringify(line)}\n`;
  }
}

function refusal(error: string): Reply {
  return { status: 400, body: JSON.stringify({ error }) };
}

function doesNotGenerate({ model }: Record<string, unknown>): Reply {
  return refusal(`"${model}" does not support generate`);
}

function whole(name: string): Reply {
  const { status, body } = recording(name);
  return { status, body };
}
