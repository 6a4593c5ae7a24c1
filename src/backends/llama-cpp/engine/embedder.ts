/**
 * Embeddings, for a model whose file says how it pools: which models those are, the tokens of a text, its vector, and
 * the worker that embeds one request after another. Owns the context and the requests under way.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EmbeddingInput, TokenizeRequest } from '../../../core/backend.ts';
import { ServingError } from '../../../core/errors.ts';
import type { EngineEmbeddingRequest, EngineEvent, EngineReport } from '../messages.ts';
import { type EngineWorker, failedEvent } from './engine-worker.ts';
import {
  type Context,
  type ContextOptions,
  type Model,
  type NativeContext,
  nativeContextOf,
  type Token,
} from './library.ts';
import { ThreadGovernor } from './threads.ts';
import { requireKnownTokens } from './vocabulary.ts';

/** By their numbers in llama.cpp; 0 is none. */
const POOLINGS = [undefined, 'mean', 'cls', 'last', 'rank'] as const;

/** How a text's vector is made of its tokens' vectors. `rank` makes a score of two texts instead. */
export type Pooling = NonNullable<(typeof POOLINGS)[number]>;

/** The metadata of a GGUF file as the library reads it: `llama.pooling_type` stands under `llama`. */
interface PoolingMetadata {
  readonly general?: { readonly architecture?: string };
  readonly [architecture: string]: unknown;
}

/** Undefined for a model that generates. */
export function poolingOf(metadata: PoolingMetadata = {}): Pooling | undefined {
  const keys = metadata[metadata.general?.architecture ?? ''] as
    | { readonly pooling_type?: unknown }
    | undefined;
  return POOLINGS[Number(keys?.pooling_type ?? 0)];
}

interface EmbedderOptions {
  /** The tokens of a text, with those that the model adds. Throws a ServingError for unknown tokens. */
  readonly encode: (text: EmbeddingInput) => Token[];
  readonly vectorOf: (tokens: readonly Token[]) => Promise<number[]>;
  /** The most tokens of a text. */
  readonly contextSize: number;
  readonly emit: (events: readonly EngineEvent[]) => void;
  /** A step is over: the engine makes progress. */
  readonly onStep: () => void;
}

interface EmbeddingWork {
  readonly request: EngineEmbeddingRequest;
  /** Of the texts read so far. */
  readonly texts: (readonly Token[])[];
  embedded: number;
  aborted: boolean;
  /** Nothing is computed for it. */
  paused: boolean;
}

/**
 * In each step one request has one of its texts read or embedded, then it is the turn of the next, so that a short
 * request does not wait for the end of a long one. All texts of a request are read, and rejected if one is too long,
 * before the first is embedded.
 */
export class Embedder implements EngineWorker<EngineEmbeddingRequest> {
  readonly #options: EmbedderOptions;
  readonly #work: EmbeddingWork[] = [];
  /** A step of it is under way. */
  #current: EmbeddingWork | undefined;
  #loop: Promise<void> | undefined;
  #stopped = false;

  constructor(options: EmbedderOptions) {
    this.#options = options;
  }

  add(request: EngineEmbeddingRequest): void {
    this.#work.push({ request, texts: [], embedded: 0, aborted: false, paused: false });
    this.#loop ??= this.#run();
  }

  abort(id: number): void {
    const work = this.#find(id);
    if (work === undefined) return;
    if (work === this.#current) {
      work.aborted = true;
    } else {
      this.#work.splice(this.#work.indexOf(work), 1);
      this.#options.emit([{ id, event: { type: 'freed' } }]);
    }
  }

  pause(id: number): void {
    const work = this.#find(id);
    if (work !== undefined) work.paused = true;
  }

  resume(id: number): void {
    const work = this.#find(id);
    if (work === undefined) return;
    work.paused = false;
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  #find(id: number): EmbeddingWork | undefined {
    return this.#work.find(({ request }) => request.id === id);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      // Messages that have come meanwhile, aborts above all, are read before the next step.
      await nextTurn();
      const work = this.#work.find(({ paused }) => !paused);
      if (work === undefined) break;
      this.#current = work;
      const stepEvents = await this.#step(work);
      this.#current = undefined;
      this.#options.onStep();
      // The events of an aborted request have no reader.
      const events: readonly EngineReport[] = work.aborted ? [{ type: 'freed' }] : stepEvents;
      this.#work.splice(this.#work.indexOf(work), 1);
      if (!events.some(isFinal)) this.#work.push(work);
      const { id } = work.request;
      if (events.length > 0) this.#options.emit(events.map((event) => ({ id, event })));
    }
    this.#loop = undefined;
  }

  async #step(work: EmbeddingWork): Promise<readonly EngineReport[]> {
    try {
      return work.texts.length < work.request.inputs.length ? this.#read(work) : await this.#embed(work);
    } catch (thrown) {
      return [failedEvent(thrown, 'embed')];
    }
  }

  #read({ request, texts }: EmbeddingWork): readonly EngineReport[] {
    const { encode, contextSize } = this.#options;
    const tokens = encode(request.inputs[texts.length] ?? '');
    texts.push(tokens);
    const failure = { type: 'failed', param: 'input' } as const;
    const which = request.inputs.length === 1 ? 'The input' : `Text ${texts.length} of the input`;
    if (tokens.length === 0) {
      const message = `${which} has no tokens: write at least one.`;
      return [{ ...failure, code: 'invalid_request', message }];
    }
    if (tokens.length <= contextSize) return [];
    const message =
      `${which} has ${tokens.length} tokens, but the model’s context holds ${contextSize}: shorten it, ` +
      'or have the server’s context_size raised if the model was trained for more.';
    return [{ ...failure, code: 'context_length_exceeded', message }];
  }

  async #embed(work: EmbeddingWork): Promise<readonly EngineReport[]> {
    const { texts } = work;
    const values = await this.#options.vectorOf(texts[work.embedded] ?? []);
    work.embedded += 1;
    const vector = { type: 'vector', values } as const;
    if (work.embedded < texts.length) return [vector];
    const promptTokens = texts.reduce((sum, tokens) => sum + tokens.length, 0);
    return [vector, { type: 'embedded', promptTokens }];
  }
}

function isFinal({ type }: EngineReport): boolean {
  return type !== 'vector';
}

interface EmbedderSettings {
  readonly modelPath: string;
  readonly pooling: Pooling;
  /** The most tokens of a text. */
  readonly contextSize: number;
  readonly threads: number;
  readonly vocabularySize: number;
  readonly emit: (events: readonly EngineEvent[]) => void;
  readonly onStep: () => void;
}

/** Throws an Error whose message a user can act on. */
export async function loadEmbedder(model: EmbeddingModel, settings: EmbedderSettings): Promise<Embedder> {
  const { modelPath, pooling, contextSize, threads, vocabularySize, emit, onStep } = settings;
  if (pooling === 'rank') {
    throw new Error(
      `The model file ${modelPath} is a reranker (pooling: rank): it neither generates nor embeds. ` +
        'Give a file whose pooling is mean, cls or last to embed, or one without to generate.',
    );
  }
  const context = await model.createContext({
    contextSize,
    // One text at a time: pooled vectors can be read from one sequence only.
    sequences: 1,
    // A text is pooled as a whole only when all its tokens are in one batch.
    batchSize: contextSize,
    threads,
    flashAttention: false,
    failedCreationRemedy: false,
    _embeddings: true,
  });
  const vectors = new TextVectors(nativeContextOf(context), new ThreadGovernor(threads));
  // A device that cannot compute fails here, before the engine says that it is ready.
  await vectors.of([0]);
  return new Embedder({
    encode: (input) => encodeInput(model, vocabularySize, input),
    vectorOf: (tokens) => vectors.of(tokens),
    contextSize,
    emit,
    onStep,
  });
}

/**
 * The part of node-llama-cpp that embeddings use. Its own embedding context splits long texts, pools each part by itself,
 * and takes no text that fills its context; so this uses the context below it.
 */
export interface EmbeddingModel extends Omit<Model, 'createContext' | 'tokens'> {
  readonly tokens: SpecialTokens;
  createContext(options: ContextOptions & { readonly _embeddings: true }): Promise<Context>;
}

interface SpecialTokens {
  readonly bos: Token | null;
  readonly eos: Token | null;
  readonly sep: Token | null;
  readonly shouldPrependBosToken: boolean;
  readonly shouldAppendEosToken: boolean;
}

type Frame = (tokens: SpecialTokens) => readonly [Token | null, Token | null];

/** The tokens that llama.cpp puts before and after a text, by the kind of vocabulary; most follow the file's own flags. */
const FRAMES: Readonly<Record<string, Frame>> = {
  wpm: ({ bos, sep }) => [bos, sep],
  ugm: ({ eos }) => [null, eos],
  rwkv: () => [null, null],
};

const byFlags: Frame = ({ bos, eos, shouldPrependBosToken, shouldAppendEosToken }) => [
  shouldPrependBosToken ? bos : null,
  shouldAppendEosToken ? eos : null,
];

type EncodingModel = Pick<EmbeddingModel, 'tokenize' | 'tokens' | 'vocabularyType'>;

/** Throws `invalid_request` for tokens that the model does not have. */
export function encodeInput(model: EncodingModel, vocabularySize: number, input: EmbeddingInput): Token[] {
  if (typeof input === 'string') return encodeText(model, input);
  // A client that sends tokens adds the special ones itself.
  requireKnownTokens(input, vocabularySize, 'input');
  return [...input];
}

/** The tokens of an input as for an embedding. Throws `invalid_request` for a chat: these models have no template. */
export function encodeForEmbedding(model: EncodingModel, { input, addSpecial }: TokenizeRequest): Token[] {
  if (input.kind === 'chat') {
    const message = 'This model only makes embeddings, so it has no chat template: give a text instead.';
    throw new ServingError('invalid_request', { message, param: 'messages' });
  }
  if (input.kind === 'tokens') return [...input.tokens];
  return addSpecial === false ? model.tokenize(input.prompt, false) : encodeText(model, input.prompt);
}

/** Special tokens written in the text are plain text; those that the model wants around it are added. */
export function encodeText(model: EncodingModel, text: string): Token[] {
  const [first, last] = (FRAMES[model.vocabularyType] ?? byFlags)(model.tokens);
  const before = first === null ? [] : [first];
  const after = last === null ? [] : [last];
  return [...before, ...model.tokenize(text, false), ...after];
}

const SEQUENCE = 0;
/** Enough to distinguish any two 32-bit floats. */
const SIGNIFICANT_DIGITS = 9;

/**
 * Decodes all tokens of a text in one batch, has llama.cpp pool them, and gives the vector length 1. Invariant: between
 * two texts the context holds nothing of either.
 */
class TextVectors {
  readonly #context: NativeContext;
  readonly #threads: ThreadGovernor;

  constructor(context: NativeContext, threads: ThreadGovernor) {
    this.#context = context;
    this.#threads = threads;
  }

  /** `tokens`: at least one, and no more than the context holds. */
  async of(tokens: readonly Token[]): Promise<number[]> {
    const context = this.#context;
    try {
      context.setThreads(this.#threads.threads);
      context.initBatch(tokens.length);
      context.addToBatch(SEQUENCE, 0, Uint32Array.from(tokens), Uint32Array.of(tokens.length - 1));
      const startedAt = performance.now();
      await context.decodeBatch();
      const endedAt = performance.now();
      this.#threads.recordStep({ tokens: tokens.length, durationMs: endedAt - startedAt }, endedAt);
      return normalized(context.getEmbedding(tokens.length));
    } finally {
      context.disposeSequence(SEQUENCE);
    }
  }
}

/** As llama-server does by default. A vector of zeros stays one. */
export function normalized(vector: Float64Array): number[] {
  const length = Math.hypot(...vector);
  if (!Number.isFinite(length)) throw new Error('The vector has components that are no numbers.');
  if (length === 0) return Array.from(vector);
  return Array.from(vector, (value) => Number((value / length).toPrecision(SIGNIFICANT_DIGITS)));
}
