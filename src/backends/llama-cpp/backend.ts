/**
 * The embedded engine behind the port: fetches the model, has the engine supervised in a process of its own, and
 * translates requests and states. Owns the supervisor and whether a warm-up is under way.
 */
import { createRequire } from 'node:module';
import type {
  Backend,
  CallOptions,
  EmbeddingRequest,
  Embeddings,
  GenerateOptions,
  Generation,
  GenerationSink,
  TargetStatus,
  Tokenizer,
} from '../../core/backend.ts';
import { ServingError, toServingError } from '../../core/errors.ts';
import { outputField, unsupported } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import type { ModelDetails } from '../../core/model-details.ts';
import { refusedGeneration } from '../../core/sink.ts';
import { findModel, type ModelEntry } from '../../models/catalog.ts';
import { ensureModel } from '../../models/ensure-model.ts';
import { fileDetails } from '../../models/file-details.ts';
import type { BackendEnvironment } from '../backend-definition.ts';
import { EmbeddedGeneration, type RunInEngine } from './embedded-generation.ts';
import { embeddingCall } from './embedding-call.ts';
import { engineTokenizer } from './engine-tokenizer.ts';
import { bindsCalls, constraintOf } from './grammar/answer-grammar.ts';
import { GrammarCompiler } from './grammar-compiler.ts';
import type { ChatTemplateName, EngineGeneration, GpuSetting } from './messages.ts';
import { Supervisor, type SupervisorOptions } from './supervisor.ts';
import { refuseBeyondEngine } from './supported-features.ts';

export interface LlamaCppTarget {
  /** Any form of a model’s name; see models/reference.ts. */
  readonly model: string;
  readonly slots: number;
  readonly context_size: number;
  readonly chat_template?: 'file' | 'catalogue';
  readonly threads?: number;
  readonly flash_attention: boolean;
  readonly gpu: GpuSetting;
  readonly step_timeout_ms: number;
  readonly load_timeout_ms: number;
}

/** llama.cpp’s own defaults: in force where neither the request nor the model’s catalogue entry says otherwise. */
const DEFAULT_SAMPLING: EngineGeneration['sampling'] = {
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
};

/** A generation as the engine gets it, without the number that it has there. */
type Order = Omit<EngineGeneration, 'id'>;

export type LlamaCppOptions = Pick<SupervisorOptions, 'enginePath'>;

export class LlamaCppBackend implements Backend {
  readonly #target: LlamaCppTarget;
  readonly #environment: BackendEnvironment;
  readonly #entry: ModelEntry | undefined;
  readonly #supervisor: Supervisor;
  readonly #grammars: GrammarCompiler;
  readonly tokenizer: Tokenizer;
  #warming: Promise<void> | undefined;
  #details: ModelDetails | undefined;
  #warmUpError: ServingError | undefined;

  constructor(target: LlamaCppTarget, environment: BackendEnvironment, options: LlamaCppOptions) {
    this.#target = target;
    this.#environment = environment;
    this.#entry = findModel(target.model);
    this.#grammars = new GrammarCompiler({ clock: environment.clock });
    this.#supervisor = new Supervisor({
      clock: environment.clock,
      log: environment.log,
      environment: environment.processEnvironment,
      stepTimeoutMs: target.step_timeout_ms,
      loadTimeoutMs: target.load_timeout_ms,
      ...options,
    });
    this.tokenizer = engineTokenizer((question, sink) => this.#supervisor.ask(question, sink));
  }

  generate(request: GenerationRequest, sink: GenerationSink, { cacheScope }: GenerateOptions): Generation {
    try {
      refuseBeyondEngine(request);
    } catch (thrown) {
      return refusedGeneration(toServingError(thrown), sink);
    }
    const generation = new EmbeddedGeneration<Order>(sink, this.#run);
    const order = this.#orderFor(request, cacheScope);
    if (isFree(request)) generation.run(order);
    else generation.runPrepared((signal) => this.#bound(order, request, signal));
    return generation;
  }

  embed({ inputs, dimensions }: EmbeddingRequest, { signal }: CallOptions): Promise<Embeddings> {
    if (dimensions !== undefined) return Promise.reject(unsupported('dimensions', 'the embedded engine'));
    return embeddingCall((sink) => this.#supervisor.embed({ inputs }, sink), signal);
  }

  async probe(): Promise<TargetStatus> {
    const { state } = this.#supervisor;
    const contextSize = this.#target.context_size;
    if (this.#warming !== undefined && (state.phase === 'idle' || state.phase === 'failed')) {
      return { state: 'loading', loaded: false, contextSize, detail: 'The model is being fetched.' };
    }
    switch (state.phase) {
      case 'idle':
        return this.#notStarted(contextSize);
      case 'loading':
        return { state: 'loading', loaded: false, contextSize, detail: 'The model is being loaded.' };
      case 'ready':
        return {
          state: 'ready',
          loaded: true,
          contextSize: state.contextSize,
          abilities: state.abilities,
          ...(this.#details && { details: this.#details }),
        };
      case 'restarting':
        return {
          state: 'failed',
          loaded: false,
          restarting: state.waitWorthwhile,
          contextSize,
          detail: state.detail,
        };
      case 'failed':
        return { state: 'failed', loaded: false, contextSize, detail: state.error.message };
      case 'closed':
        return { state: 'failed', loaded: false, contextSize, detail: 'The engine was closed.' };
      default:
        return state satisfies never;
    }
  }

  /** Callers at the same time share one warm-up; it follows the signal of the first. */
  warmUp({ signal }: CallOptions): Promise<void> {
    this.#warming ??= this.#load(signal)
      .then(
        () => {
          this.#warmUpError = undefined;
        },
        (thrown: unknown) => {
          this.#warmUpError = toServingError(thrown);
          throw thrown;
        },
      )
      .finally(() => {
        this.#warming = undefined;
      });
    return this.#warming;
  }

  async close(): Promise<void> {
    await Promise.all([this.#grammars.close(), this.#supervisor.close()]);
  }

  readonly #run: RunInEngine<Order> = (order, sink) => this.#supervisor.generate(order, sink);

  /** As if nothing bound the answer. */
  #orderFor(
    { input, limits, thinking, tools, logprobs, sampling }: GenerationRequest,
    cacheScope: string | undefined,
  ): Order {
    return {
      input,
      sampling: { ...DEFAULT_SAMPLING, ...this.#entry?.sampling, ...sampling },
      limits,
      ...(thinking !== undefined && { thinking }),
      ...(tools !== undefined && { tools }),
      ...(logprobs !== undefined && { logprobs }),
      ...(cacheScope !== undefined && { cacheScope }),
    };
  }

  /** The order with the grammar that binds the answer. */
  async #bound(order: Order, request: GenerationRequest, signal: AbortSignal): Promise<Order> {
    const callForm = bindsCalls(request) ? await this.#supervisor.callForm(signal) : undefined;
    const constraint = constraintOf(request, callForm);
    if (constraint === undefined) return order;
    const grammar = await this.#grammars.compile(constraint, signal);
    const { output } = constraint;
    return { ...order, grammar, ...(output !== undefined && { grammarField: outputField(output) }) };
  }

  async #load(signal: AbortSignal): Promise<void> {
    const { model, slots, context_size: contextSize, gpu, threads, flash_attention } = this.#target;
    requireLibrary();
    const chatTemplate = this.#chatTemplate();
    const { cacheDirectory, hubUrl, log, onDownloadProgress } = this.#environment;
    const modelPath = await ensureModel(model, {
      cacheDirectory,
      hubUrl,
      signal,
      log,
      onProgress: onDownloadProgress,
    });
    this.#details = await fileDetails(model, modelPath);
    const settings = {
      modelPath,
      contextSize,
      sequences: slots,
      chatTemplate,
      gpu,
      flashAttention: flash_attention,
    };
    await this.#supervisor.start(threads === undefined ? settings : { ...settings, threads }, signal);
  }

  #chatTemplate(): ChatTemplateName {
    const own = this.#entry?.chatTemplate;
    const wanted = this.#target.chat_template ?? (own === undefined ? 'file' : 'catalogue');
    if (wanted === 'file') return 'file';
    if (own === 'chatml') return own;
    throw new ServingError('model_not_found', {
      message:
        `chat_template: catalogue is set for ${this.#target.model}, but the catalogue has no template of its own for it. ` +
        'Set chat_template: file, or leave it out.',
    });
  }

  #notStarted(contextSize: number): TargetStatus {
    const error = this.#warmUpError;
    if (error === undefined) return { state: 'unloaded', loaded: false, contextSize };
    const state = error.code === 'model_not_found' ? 'not_found' : 'failed';
    return { state, loaded: false, contextSize, detail: error.message };
  }
}

/** Nothing binds the answer. */
function isFree(request: GenerationRequest): boolean {
  return request.output === undefined && !bindsCalls(request);
}

/** Known before a model is fetched in vain. The library itself is loaded by the engine’s process only. */
function requireLibrary(): void {
  try {
    createRequire(import.meta.url).resolve('node-llama-cpp');
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'MODULE_NOT_FOUND') return;
    throw new ServingError('backend_error', {
      message:
        'The embedded engine needs the optional dependency node-llama-cpp: npm install node-llama-cpp, ' +
        'or use another backend: --backend ollama --url http://127.0.0.1:11434 --model NAME.',
      cause,
    });
  }
}
