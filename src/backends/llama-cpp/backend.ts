/**
 * The embedded engine as a backend: its configuration keys, and the port over a supervised engine process. Fetches the
 * model, compiles grammars, translates requests and states. Owns the supervisor and the warm-up that is under way.
 */
import { createRequire } from 'node:module';
import { Type } from 'typebox';
import type {
  Backend,
  CallOptions,
  EmbeddingRequest,
  Embeddings,
  GenerateOptions,
  Generation,
  GenerationSink,
  ModelDetails,
  TargetStatus,
  Tokenizer,
} from '../../core/backend.ts';
import { ServingError, toServingError } from '../../core/errors.ts';
import { outputField, unsupported } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { RunningGeneration } from '../../core/sink.ts';
import { findModel, type ModelEntry } from '../../models/catalog.ts';
import { ensureModel } from '../../models/fetch.ts';
import { fileDetails } from '../../models/model-file.ts';
import { parseReference } from '../../models/names.ts';
import { type BackendEnvironment, defineBackend } from '../backend-definition.ts';
import { embedInEngine, engineTokenizer, refuseUnsupportedByEngine, runInEngine } from './engine-client.ts';
import { defaultEnginePath } from './engine-process.ts';
import { constrainsCalls, constraintOf } from './grammar/answer-grammar.ts';
import { GrammarCompiler } from './grammar-compiler.ts';
import {
  type ChatTemplateName,
  type EngineGenerationRequest,
  type GpuSetting,
  LIBRARY_MISSING,
} from './messages.ts';
import { Supervisor, type SupervisorOptions } from './supervisor.ts';

export const llamaCpp = defineBackend({
  name: 'llama-cpp',
  summary:
    'llama.cpp in a process of its own: a model of the catalogue, hf:owner/repo/file.gguf, an https address, or the path of a GGUF file.',
  keys: {
    context_size: Type.Integer({
      minimum: 16,
      default: 2048,
      description: 'Tokens per slot, prompt and answer together.',
    }),
    chat_template: Type.Optional(
      Type.Union([Type.Literal('file'), Type.Literal('catalogue')], {
        description:
          'Which chat template lays out messages. Unset: the catalogue’s if it has one, otherwise the file’s.',
      }),
    ),
    cache_isolation: Type.Optional(
      Type.Union([Type.Literal('shared'), Type.Literal('client')], {
        description:
          'Which requests may reuse a prompt prefix that a slot has cached. shared: all; client: only those of the key, or of the ' +
          'address without one, that the prefix came from, so that response times reveal nothing about the prompts of others. ' +
          'Unset: client as soon as there is more than one key, else shared.',
      }),
    ),
    threads: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1024,
        description:
          'Maximum number of compute threads. Unset: one per core that the process may use, within a container’s CPU limit, which is also the upper bound.',
      }),
    ),
    flash_attention: Type.Boolean({
      default: true,
      description:
        'Flash attention, where the hardware supports it: many answers at once then take as little as half the time. Off: the same arithmetic as llama.cpp without flash attention.',
    }),
    gpu: Type.Union(
      [Type.Literal('auto'), Type.Literal('off'), Type.Integer({ minimum: 0, maximum: 100_000 })],
      {
        default: 'auto',
        description:
          'auto: use a GPU that the prebuilt engine supports, if there is one. A number: put that many layers on the GPU; an error if there is none (0: off).',
      },
    ),
    step_timeout_ms: Type.Integer({
      minimum: 1000,
      maximum: 3_600_000,
      default: 60_000,
      description:
        'An engine that has work but finishes no step for this long, or does not answer, is killed and restarted.',
    }),
    load_timeout_ms: Type.Integer({
      minimum: 1000,
      maximum: 86_400_000,
      default: 300_000,
      description: 'The same limit for an engine that makes no progress while it loads.',
    }),
  },
  defaultSlots: 4,
  embedded: true,
  cacheIsolation: ({ cache_isolation }) => cache_isolation ?? 'by_keys',
  checkTarget: ({ model }) => void parseReference(model),
  purpose: ({ model }) => {
    const known = findModel(model);
    if (known === undefined) return undefined;
    return known.abilities.includes('embeddings') ? 'embed' : 'generate';
  },
  create: (target, environment) =>
    new LlamaCppBackend(target, environment, { enginePath: defaultEnginePath() }),
});

export interface LlamaCppTarget {
  /** A model’s name in any of its forms: models/names.ts lists them. */
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

/** llama.cpp’s own defaults. The model’s catalogue entry overrides them, and the request overrides both. */
const DEFAULT_SAMPLING: EngineGenerationRequest['sampling'] = {
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
};

type EngineRequest = Omit<EngineGenerationRequest, 'id'>;

type LlamaCppOptions = Pick<SupervisorOptions, 'enginePath'>;

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
    this.tokenizer = engineTokenizer((request, sink) => this.#supervisor.tokenize(request, sink));
  }

  generate(
    request: GenerationRequest,
    sink: GenerationSink,
    { cacheScope, begunWith = [] }: GenerateOptions,
  ): Generation {
    return new RunningGeneration(sink, async (generation) => {
      refuseUnsupportedByEngine(request);
      const plain = this.#engineRequest(request, cacheScope);
      let engineRequest = isUnconstrained(request)
        ? plain
        : await this.#constrain(plain, request, generation.signal);
      if (canBegin(request)) {
        generation.tokens = [...begunWith];
        engineRequest = { ...engineRequest, reportsTokens: true, begunWith };
      }
      await runInEngine(generation, (engineSink) => this.#supervisor.generate(engineRequest, engineSink));
    });
  }

  embed({ inputs, dimensions }: EmbeddingRequest, { signal }: CallOptions): Promise<Embeddings> {
    if (dimensions !== undefined) return Promise.reject(unsupported('dimensions', 'the embedded engine'));
    return embedInEngine((sink) => this.#supervisor.embed({ inputs }, sink), signal);
  }

  async probe(): Promise<TargetStatus> {
    const { state } = this.#supervisor;
    const contextSize = this.#target.context_size;
    if (this.#warming !== undefined && (state.phase === 'idle' || state.phase === 'failed')) {
      return { state: 'loading', loaded: false, contextSize, detail: 'The model is being downloaded.' };
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

  /** Without a grammar. */
  #engineRequest(
    { input, limits, thinking, tools, logprobs, sampling }: GenerationRequest,
    cacheScope: string | undefined,
  ): EngineRequest {
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

  /** Adds the grammar that constrains the answer. */
  async #constrain(
    engineRequest: EngineRequest,
    request: GenerationRequest,
    signal: AbortSignal,
  ): Promise<EngineRequest> {
    const format = constrainsCalls(request) ? await this.#supervisor.toolCallFormat(signal) : undefined;
    const constraint = constraintOf(request, format);
    if (constraint === undefined) return engineRequest;
    const grammar = await this.#grammars.compile(constraint, signal);
    const { output } = constraint;
    return { ...engineRequest, grammar, ...(output !== undefined && { grammarField: outputField(output) }) };
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
        'Set chat_template: file, or remove it.',
    });
  }

  #notStarted(contextSize: number): TargetStatus {
    const error = this.#warmUpError;
    if (error === undefined) return { state: 'unloaded', loaded: false, contextSize };
    const state = error.code === 'model_not_found' ? 'not_found' : 'failed';
    return { state, loaded: false, contextSize, detail: error.message };
  }
}

/**
 * All that its next token depends on can be rebuilt from its tokens: not the state of a grammar, and not how far a seed's random
 * numbers have got.
 */
function canBegin(request: GenerationRequest): boolean {
  return isUnconstrained(request) && request.logprobs === undefined && request.sampling.seed === undefined;
}

function isUnconstrained(request: GenerationRequest): boolean {
  return request.output === undefined && !constrainsCalls(request);
}

/** Checked before a model is downloaded in vain. The library itself is loaded by the engine’s process only. */
function requireLibrary(): void {
  try {
    createRequire(import.meta.url).resolve('node-llama-cpp');
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'MODULE_NOT_FOUND') return;
    throw new ServingError('backend_error', { message: LIBRARY_MISSING, failure: 'misconfigured', cause });
  }
}
