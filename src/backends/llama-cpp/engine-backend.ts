/**
 * The embedded engine as a backend: the port over an engine, wherever that runs. Compiles grammars, translates requests and states.
 */
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
import type { Clock } from '../../core/clock.ts';
import { outputField, unsupported } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { RunningGeneration } from '../../core/sink.ts';
import { findModel, type ModelEntry } from '../../models/catalog.ts';
import { embedInEngine, engineTokenizer, refuseUnsupportedByEngine, runInEngine } from './engine-client.ts';
import type { EngineSource } from './engine-source.ts';
import { constrainsCalls, constraintOf } from './grammar/answer-grammar.ts';
import { GrammarCompiler } from './grammar-compiler.ts';
import type { EngineGenerationRequest } from './messages.ts';

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

interface LlamaCppOptions {
  /** A model’s name in any of its forms. */
  readonly model: string;
  readonly engine: EngineSource;
  readonly clock: Clock;
}

export class LlamaCppBackend implements Backend {
  readonly #entry: ModelEntry | undefined;
  readonly #engine: EngineSource;
  readonly #grammars: GrammarCompiler;
  readonly tokenizer: Tokenizer;

  constructor({ model, engine, clock }: LlamaCppOptions) {
    this.#entry = findModel(model);
    this.#engine = engine;
    this.#grammars = new GrammarCompiler({ clock });
    this.tokenizer = engineTokenizer((request, sink) => engine.access.tokenize(request, sink));
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
      await runInEngine(generation, (engineSink) => this.#engine.access.generate(engineRequest, engineSink));
    });
  }

  embed({ inputs, dimensions }: EmbeddingRequest, { signal }: CallOptions): Promise<Embeddings> {
    if (dimensions !== undefined) return Promise.reject(unsupported('dimensions', 'the embedded engine'));
    return embedInEngine((sink) => this.#engine.access.embed({ inputs }, sink), signal);
  }

  async probe(): Promise<TargetStatus> {
    return this.#engine.status();
  }

  warmUp(options: CallOptions): Promise<void> {
    return this.#engine.warmUp(options);
  }

  async close(): Promise<void> {
    await Promise.all([this.#grammars.close(), this.#engine.close()]);
  }

  /** Without a grammar. */
  #engineRequest(
    { input, limits, thinking, thinkingIsDefault, tools, logprobs, sampling }: GenerationRequest,
    cacheScope: string | undefined,
  ): EngineRequest {
    return {
      input,
      sampling: { ...DEFAULT_SAMPLING, ...this.#entry?.sampling, ...sampling },
      limits,
      ...(thinking !== undefined && { thinking }),
      ...(thinkingIsDefault && { thinkingIsDefault }),
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
    const format = constrainsCalls(request) ? await this.#engine.access.toolCallFormat(signal) : undefined;
    const constraint = constraintOf(request, format);
    if (constraint === undefined) return engineRequest;
    const grammar = await this.#grammars.compile(constraint, signal);
    const { output } = constraint;
    return { ...engineRequest, grammar, ...(output !== undefined && { grammarField: outputField(output) }) };
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
