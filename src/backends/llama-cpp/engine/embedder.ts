/**
 * Embeds texts, one after the other: in each step one order has one of its texts read or embedded, then the next order
 * has its turn, so that a short one does not wait for a long one's end. Owns the orders under way. All texts of an order
 * are read, and refused where they are too long, before the first is embedded.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EmbeddingInput, TokenizeRequest } from '../../../core/backend.ts';
import { ServingError } from '../../../core/errors.ts';
import type { EngineEmbeddingRequest, EngineEvent, EngineReport } from '../messages.ts';
import { type EngineWorker, failedEvent } from './engine-worker.ts';
import type { Context, ContextOptions, Model, Token } from './library.ts';
import { type NativeContext, nativeContextOf } from './native.ts';
import { ThreadGovernor } from './threads.ts';
import { requireKnownTokens } from './vocabulary.ts';

interface EmbedderOptions {
  /** The tokens of a text, those that the model adds included. Throws a ServingError for tokens that are none. */
  readonly encode: (text: EmbeddingInput) => Token[];
  readonly vectorOf: (tokens: readonly Token[]) => Promise<number[]>;
  /** Tokens that a text may have. */
  readonly contextSize: number;
  readonly emit: (events: readonly EngineEvent[]) => void;
  /** A step is over: the engine gets on. */
  readonly onStep: () => void;
}

interface EmbeddingWork {
  readonly order: EngineEmbeddingRequest;
  /** Of the texts read so far. */
  readonly texts: (readonly Token[])[];
  embedded: number;
  aborted: boolean;
}

export class Embedder implements EngineWorker<EngineEmbeddingRequest> {
  readonly #options: EmbedderOptions;
  readonly #work: EmbeddingWork[] = [];
  #loop: Promise<void> | undefined;
  #stopped = false;

  constructor(options: EmbedderOptions) {
    this.#options = options;
  }

  add(order: EngineEmbeddingRequest): void {
    this.#work.push({ order, texts: [], embedded: 0, aborted: false });
    this.#loop ??= this.#run();
  }

  abort(id: number): void {
    const index = this.#work.findIndex(({ order }) => order.id === id);
    const [first] = this.#work;
    if (index === 0 && first) {
      // It may be in the middle of a step.
      first.aborted = true;
    } else if (index > 0) {
      this.#work.splice(index, 1);
      this.#options.emit([{ id, event: { type: 'freed' } }]);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  async #run(): Promise<void> {
    for (let [work] = this.#work; work && !this.#stopped; [work] = this.#work) {
      // What has come meanwhile, an abort above all, is heard before the next step.
      await nextTurn();
      const stepped = work.aborted ? [] : await this.#step(work);
      this.#options.onStep();
      // Nobody is left to hear of what an aborted one brought forth.
      const events: readonly EngineReport[] = work.aborted ? [{ type: 'freed' }] : stepped;
      this.#work.shift();
      if (!events.some(ends)) this.#work.push(work);
      const { id } = work.order;
      if (events.length > 0) this.#options.emit(events.map((event) => ({ id, event })));
    }
    this.#loop = undefined;
  }

  async #step(work: EmbeddingWork): Promise<readonly EngineReport[]> {
    try {
      return work.texts.length < work.order.inputs.length ? this.#read(work) : await this.#embed(work);
    } catch (thrown) {
      return [failedEvent(thrown, 'embed')];
    }
  }

  #read({ order, texts }: EmbeddingWork): readonly EngineReport[] {
    const { encode, contextSize } = this.#options;
    const tokens = encode(order.inputs[texts.length] ?? '');
    texts.push(tokens);
    const refused = { type: 'failed', param: 'input' } as const;
    const which = order.inputs.length === 1 ? 'The input' : `Text ${texts.length} of the input`;
    if (tokens.length === 0) {
      const message = `${which} has no tokens: write at least one.`;
      return [{ ...refused, code: 'invalid_request', message }];
    }
    if (tokens.length <= contextSize) return [];
    const message =
      `${which} has ${tokens.length} tokens, but the model’s context holds ${contextSize}: shorten it, ` +
      'or have the server’s context_size raised where the model was trained for more.';
    return [{ ...refused, code: 'context_length_exceeded', message }];
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

function ends({ type }: EngineReport): boolean {
  return type !== 'vector';
}

/** Makes an embedder of a model whose file says how it pools. Throws an Error whose message a user can act on. */

interface EmbedderSettings {
  readonly modelPath: string;
  readonly pooling: Pooling;
  /** Tokens of a text at most. */
  readonly contextSize: number;
  readonly threads: number;
  readonly vocabularySize: number;
  readonly emit: (events: readonly EngineEvent[]) => void;
  readonly onStep: () => void;
}

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
    // One text at a time: pooled vectors can be read of one sequence only.
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

/** The tokens of what is to be embedded: special tokens written in a text are plain text, those the model wants around it are added. Pure. */

type Frame = (tokens: SpecialTokens) => readonly [Token | null, Token | null];

/** What llama.cpp puts before and after a text, by the kind of vocabulary; most follow the file's own flags. */
const FRAMES: Readonly<Record<string, Frame>> = {
  wpm: ({ bos, sep }) => [bos, sep],
  ugm: ({ eos }) => [null, eos],
  rwkv: () => [null, null],
};

const byFlags: Frame = ({ bos, eos, shouldPrependBosToken, shouldAppendEosToken }) => [
  shouldPrependBosToken ? bos : null,
  shouldAppendEosToken ? eos : null,
];

type ReadingModel = Pick<EmbeddingModel, 'tokenize' | 'tokens' | 'vocabularyType'>;

/** Throws `invalid_request` for tokens that are none of the model’s. */
export function encodeInput(model: ReadingModel, vocabularySize: number, input: EmbeddingInput): Token[] {
  if (typeof input === 'string') return encodeText(model, input);
  // Whoever made the tokens knows what belongs around them.
  requireKnownTokens(input, vocabularySize, 'input');
  return [...input];
}

/** Tokens as an embedding would have them; throws `invalid_request` for a chat, which no such model has. */
export function encodeForEmbedding(model: ReadingModel, { input, addSpecial }: TokenizeRequest): Token[] {
  if (input.kind === 'chat') {
    const message = 'This model only makes embeddings, so it has no chat template: give a text instead.';
    throw new ServingError('invalid_request', { message, param: 'messages' });
  }
  if (input.kind === 'tokens') return [...input.tokens];
  return addSpecial === false ? model.tokenize(input.prompt, false) : encodeText(model, input.prompt);
}

export function encodeText(model: ReadingModel, text: string): Token[] {
  const [first, last] = (FRAMES[model.vocabularyType] ?? byFlags)(model.tokens);
  const before = first === null ? [] : [first];
  const after = last === null ? [] : [last];
  return [...before, ...model.tokenize(text, false), ...after];
}

/**
 * The part of node-llama-cpp that embeddings use. Its own embedding context reads long texts in pieces and pools each by
 * itself, and takes no text that fills its context: so the context below it is used. Tests hold this against the package.
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

/** How a model file says that a text's vector is made of its tokens' vectors; with it a model is one that embeds. Pure. */

/** By the numbers of llama.cpp; 0 is none. */
const POOLINGS = [undefined, 'mean', 'cls', 'last', 'rank'] as const;

/** `rank` makes one score of a pair of texts, no vector. */
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

/**
 * Makes the vector of one text at a time: decodes all its tokens in one batch, has llama.cpp pool them, and gives the
 * vector length 1. Owns the context. Invariant: between two texts it holds nothing of either.
 */

const SEQUENCE = 0;
/** Enough to tell any two 32-bit floats apart. */
const SIGNIFICANT_DIGITS = 9;

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

/** As llama-server does unless told otherwise; a vector of zeros stays one. */
export function normalized(vector: Float64Array): number[] {
  const length = Math.hypot(...vector);
  if (!Number.isFinite(length)) throw new Error('The vector has components that are no numbers.');
  if (length === 0) return Array.from(vector);
  return Array.from(vector, (value) => Number((value / length).toPrecision(SIGNIFICANT_DIGITS)));
}
