/** Plays Ollama's native API in the shapes that were recorded from release 0.17.4, or as 0.6.5 where it is asked to. */

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
  /** Listed by /api/ps from the start; else from its first load. Default true. */
  readonly loaded?: boolean;
  /** The model embeds and does not generate. */
  readonly embedsOnly?: boolean;
  /** Cuts a long prompt silently, as releases do that do not know `truncate: false`. */
  readonly cutsPrompts?: boolean;
}

const DEFAULT_CONTEXT = 4096;
const THOUGHT = 'Let me think.';

export function startOllamaStandIn(options: OllamaStandInOptions = {}): Promise<StandIn> {
  const model = options.model ?? 'smollm2';
  return startStandIn(new OllamaPlay({ ...options, model }), { ...options, model });
}

class OllamaPlay implements Play {
  readonly serverError = JSON.stringify({ error: 'llama runner process has terminated' });
  readonly #options: OllamaStandInOptions & { readonly model: string };
  readonly #chat = recordedChunks('ollama/chat-stream');
  readonly #generate = recordedChunks('ollama/generate-stream');
  #loaded: boolean;

  constructor(options: OllamaStandInOptions & { readonly model: string }) {
    this.#options = options;
    this.#loaded = options.loaded ?? true;
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
        return whole('ollama/version');
      case '/api/tags':
        return this.#listing('ollama/tags');
      case '/api/ps':
        return this.#loaded ? this.#listing('ollama/ps-loaded') : whole('ollama/ps-empty');
      case '/api/show':
        return this.#known(body) ? this.#show() : this.#unknown(body);
      case '/api/generate':
        if (!this.#known(body)) return this.#unknown(body);
        if (this.#options.embedsOnly) return doesNotGenerate(body);
        this.#loaded = body.keep_alive !== 0;
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
    if (body.think !== undefined && body.think !== false && !this.#options.thinks)
      return whole('ollama/error-think-unsupported');
    const options = (body.options ?? {}) as Record<string, unknown>;
    const contextSize =
      (options.num_ctx as number | undefined) ?? this.#options.contextSize ?? DEFAULT_CONTEXT;
    const prompt = promptOf(body);
    const tooLong = countTokens(prompt) >= contextSize;
    if (tooLong && !this.#options.cutsPrompts) {
      return { status: 400, body: JSON.stringify({ error: 'the input length exceeds the context length' }) };
    }
    this.#loaded = true;
    const answered = answer({
      prompt: tooLong ? 'cut' : prompt,
      maxTokens: options.num_predict as number | undefined,
      stop: (options.stop as string[] | undefined) ?? [],
      contextSize,
      seed: options.seed as number | undefined,
    });
    const thoughts =
      this.#options.thinks && body.think !== false ? [this.#line(request, { thinking: THOUGHT })] : [];
    return {
      contentType: 'application/x-ndjson',
      frames: [...thoughts, ...answered.tokens.map((text) => this.#line(request, { text }))],
      ending: [
        this.#lastLine(request, {
          done_reason: answered.reason,
          prompt_eval_count: tooLong ? contextSize : answered.promptTokens,
          eval_count: answered.generated,
        }),
      ],
      failure: [`${this.serverError}\n`],
    };
  }

  #embedding(body: Record<string, unknown>): Reply {
    const texts = body.input as string[];
    const options = (body.options ?? {}) as Record<string, unknown>;
    const contextSize =
      (options.num_ctx as number | undefined) ?? this.#options.contextSize ?? DEFAULT_CONTEXT;
    if (texts.some((text) => countTokens(text) > contextSize)) {
      return { status: 400, body: JSON.stringify({ error: 'the input length exceeds the context length' }) };
    }
    this.#loaded = true;
    const promptTokens = texts.reduce((sum, text) => sum + countTokens(text), 0);
    const counted = promptTokens === 0 ? {} : { prompt_eval_count: promptTokens };
    const { prompt_eval_count: _recorded, ...recorded } = recordedJson('ollama/embed');
    return {
      status: 200,
      body: JSON.stringify({ ...recorded, embeddings: texts.map(vectorOf), ...counted }),
    };
  }

  #known({ model }: Record<string, unknown>): boolean {
    return model === this.#options.model || model === `${this.#options.model}:latest`;
  }

  #unknown({ model }: Record<string, unknown>): Reply {
    const { status, body } = recording('ollama/error-unknown-model');
    return { status, body: body.replace('nope', String(model)) };
  }

  #show(): Reply {
    const capabilities = ['completion', ...(this.#options.thinks ? ['thinking'] : [])];
    return { status: 200, body: JSON.stringify({ ...recordedJson('ollama/show'), capabilities }) };
  }

  #listing(name: string): Reply {
    const { status, body } = recording(name);
    const renamed = body.replaceAll('smollm2:latest', `${this.#options.model}:latest`);
    const { contextSize } = this.#options;
    return {
      status,
      body:
        contextSize === undefined
          ? renamed
          : renamed.replace(/"context_length":\d+/, `"context_length":${contextSize}`),
    };
  }

  #line({ path }: SeenRequest, piece: { text?: string; thinking?: string }): string {
    const { text = '', thinking } = piece;
    const thought = thinking === undefined ? {} : { thinking };
    const template = (path === '/api/chat' ? this.#chat : this.#generate)[0];
    const content =
      path === '/api/chat'
        ? { message: { role: 'assistant', content: text, ...thought } }
        : { response: text, ...thought };
    return `${JSON.stringify({ ...template, model: this.#options.model, ...content })}\n`;
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

function promptOf(body: Record<string, unknown>): string {
  if (typeof body.prompt === 'string') return body.prompt;
  return (body.messages as { content: string }[]).map(({ content }) => content).join(' ');
}

function doesNotGenerate({ model }: Record<string, unknown>): Reply {
  return { status: 400, body: JSON.stringify({ error: `"${model}" does not support generate` }) };
}

function whole(name: string): Reply {
  const { status, body } = recording(name);
  return { status, body };
}
