/**
 * Loads the library, the model and its context, and returns the workers over them: a batcher for a model that generates,
 * an embedder for one whose file says how it pools. Throws an Error whose message a user can act on.
 */
import type { Ability } from '../../../core/backend.ts';
import type { CompiledGrammar, ToolCallFormat } from '../grammar/answer-grammar.ts';
import {
  type EngineEmbeddingRequest,
  type EngineEvent,
  type EngineGenerationRequest,
  type EngineLogLevel,
  type EngineSettings,
  type GpuKind,
  LIBRARY_MISSING,
} from '../messages.ts';
import { RecentResults } from '../recent-results.ts';
import { type ActiveGrammar, createAdmission } from './admission.ts';
import { Batcher } from './batcher.ts';
import { type ChatTemplate, chatml, jinjaTemplate } from './chat-template.ts';
import {
  type Device,
  describeDevice,
  LoadFailure,
  loadWeights,
  onDevice,
  openDevice,
} from './compute-device.ts';
import {
  type EmbeddingModel,
  encodeForEmbedding,
  loadEmbedder,
  type Pooling,
  poolingOf,
} from './embedder.ts';
import { type EngineWorker, rejectingWorker } from './engine-worker.ts';
import { GrammarWatch } from './grammar-watch.ts';
import {
  bindingsOf,
  importLibrary,
  type Library,
  LibraryMissingError,
  type Model,
  type NativeBindings,
  type NativeContext,
  type NativeGrammar,
  type NativeModel,
  type NativeSampler,
  nativeContextOf,
  nativeModelOf,
  type Token,
} from './library.ts';
import { createPromptEncoder, promptLimit } from './prompt.ts';
import { LogprobReader, Sampler } from './sampler.ts';
import { Sequence } from './sequences.ts';
import { PROMPT_TOKENS_ALONE } from './step-planner.ts';
import { chooseThreads, coresOfThisProcess, ThreadGovernor } from './threads.ts';
import { TokenizerTurns } from './tokenizer-turns.ts';
import {
  badWordTokens,
  createTokenizerHandler,
  type TokenBytes,
  type TokenizerHandler,
  tokenBytes,
} from './vocabulary.ts';

interface EngineOutput {
  log(level: EngineLogLevel, message: string): void;
  emit(events: readonly EngineEvent[]): void;
  device(device: GpuKind | 'cpu'): void;
  /** A step was finished, or the load went on. */
  progress(): void;
}

export interface LoadedEngine {
  readonly batcher: EngineWorker<EngineGenerationRequest>;
  readonly embedder: EngineWorker<EngineEmbeddingRequest>;
  readonly tokenize: TokenizerHandler;
  readonly contextSize: number;
  readonly abilities: readonly Ability[];
  /** Part of the KV cache that requests hold, 0 to 1; absent: it generates no text. */
  readonly kvCacheUsed?: () => number;
  /** How the model writes tool calls; absent: it generates no text. */
  readonly toolCallFormat?: ToolCallFormat;
}

/** What is loaded for either kind of model. */
interface LoadedModel {
  readonly settings: EngineSettings;
  readonly output: EngineOutput;
  readonly device: Device;
  readonly model: Model;
  readonly allTokens: readonly Token[];
  readonly contextSize: number;
  readonly threads: number;
}

/** Settles when a first token has been computed. */
export async function loadEngine(
  settings: EngineSettings,
  excludedGpus: readonly GpuKind[],
  output: EngineOutput,
): Promise<LoadedEngine> {
  const library = await loadLibrary();
  const choice = chooseThreads(settings.threads, coresOfThisProcess());
  const { threads, warning } = choice;
  if (warning !== undefined) output.log('warn', warning);
  const failure = new LoadFailure();
  const logger = (level: string, message: string) => {
    failure.readLogLine(message);
    output.log(logLevel(level), message.trimEnd());
  };
  const device = await openDevice(library, {
    gpu: settings.gpu,
    excludedGpus,
    threads,
    logger,
    onOpened: (opened) => output.device(opened),
  });
  output.progress();
  const model = await loadWeights(device, settings, { failure, onLoadProgress: () => output.progress() });
  output.log('info', describeDevice(device, model, choice));
  const contextSize = fitContext(settings.contextSize, model.trainContextSize, output);
  const allTokens = [...model.iterateAllTokens()];
  const loaded = { settings, output, device, model, allTokens, contextSize, threads };
  const pooling = poolingOf(model.fileInfo.metadata);
  return pooling === undefined ? loadGenerator(loaded) : loadEmbeddings(loaded, pooling);
}

async function loadGenerator(loaded: LoadedModel): Promise<LoadedEngine> {
  const { settings, output, device, model, allTokens, contextSize, threads } = loaded;
  const bindings = bindingsOf(device.llama);
  const native = nativeModelOf(model);
  const createSampler = () => new bindings.AddonSampler(native);
  const promptTokensAlone = PROMPT_TOKENS_ALONE[model.gpuLayers > 0 ? 'gpu' : 'cpu'];
  const context = await createContext(loaded, promptTokensAlone, createSampler());
  output.progress();
  const template = selectTemplate(model, bindings, loaded);
  const prompts = createPromptEncoder(model, template, promptLimit(model, contextSize));
  const endTokens = allTokens.filter((token) => model.isEogToken(token));
  const bytesOf = tokenBytes(model);
  const emit: EngineOutput['emit'] = (events) => output.emit(events);
  const onStep = () => output.progress();
  const vocabularySize = allTokens.length;
  const batcher = new Batcher({
    model,
    context,
    sequences: Array.from(
      { length: settings.sequences },
      (_, id) => new Sequence(id, context, new Sampler(createSampler(), endTokens)),
    ),
    admit: createAdmission({
      prompts,
      contextSize,
      vocabularySize,
      tokensOfBadWords: (words) => badWordTokens(words, model),
      readGrammar: grammarReader(bindings, native, bytesOf),
    }),
    logprobs: new LogprobReader({ context, bytesOf, createSampler }),
    contextSize,
    promptTokensAlone,
    threads: new ThreadGovernor(threads),
    emit,
    onStep,
    onDecoding: () => tokenizerTurns.decoding(),
    onRest: () => tokenizerTurns.rested(),
  });
  const tokenizerTurns = new TokenizerTurns({
    answer: createTokenizerHandler({
      model,
      vocabularySize,
      encode: (request) => prompts.encode(request).tokens,
      emit,
      onStep,
    }),
    isStepping: () => batcher.isStepping,
    now: () => performance.now(),
  });
  return {
    batcher,
    embedder: rejectingWorker(emit, GENERATES_ONLY),
    tokenize: (request) => tokenizerTurns.add(request),
    contextSize,
    // Where a template knows no tools, they are spelled out in the messages.
    abilities: ['generate', 'tools', ...(template.supportsReasoning ? (['think'] as const) : [])],
    toolCallFormat: template.toolSyntax.format,
    kvCacheUsed: () => batcher.kvCacheUsed,
  };
}

const GENERATES_ONLY =
  'This model generates text and makes no embeddings. Name an embedding model: one whose GGUF file says how it pools ' +
  '(pooling_type mean, cls or last), such as all-MiniLM-L6-v2, nomic-embed-text or Qwen3-Embedding.';

async function loadEmbeddings(loaded: LoadedModel, pooling: Pooling): Promise<LoadedEngine> {
  const { settings, output, device, allTokens, contextSize, threads } = loaded;
  const model = loaded.model as unknown as EmbeddingModel;
  const emit: EngineOutput['emit'] = (events) => output.emit(events);
  const onStep = () => output.progress();
  const vocabularySize = allTokens.length;
  const { modelPath } = settings;
  const embedding = { modelPath, pooling, contextSize, threads, vocabularySize, emit, onStep };
  const embedsOnly = `This model only makes embeddings (pooling: ${pooling}), it generates no text. Name a model that does.`;
  return {
    batcher: rejectingWorker(emit, embedsOnly),
    embedder: await onDevice(device, () => loadEmbedder(model, embedding)),
    tokenize: createTokenizerHandler({
      model,
      vocabularySize,
      encode: (request) => encodeForEmbedding(model, request),
      emit,
      onStep,
    }),
    contextSize,
    abilities: ['embed'],
  };
}

function createContext(
  { settings, device, model, allTokens, contextSize, threads }: LoadedModel,
  promptTokensAlone: number,
  sampler: NativeSampler,
): Promise<NativeContext> {
  return onDevice(device, async () => {
    const context = nativeContextOf(
      await model.createContext({
        contextSize,
        sequences: settings.sequences,
        batchSize: promptTokensAlone + settings.sequences,
        threads,
        flashAttention: settings.flashAttention ? 'auto' : false,
        failedCreationRemedy: false,
      }),
    );
    // On a GPU, steps of one token and of many use different kernels.
    const steps = model.gpuLayers > 0 ? [Math.min(promptTokensAlone, contextSize - 1), 1] : [1];
    const token = model.tokens.bos ?? (allTokens[0] as Token);
    await decodeFirstToken(context, { sampler, token, steps });
    return context;
  });
}

const SEQUENCE = 0;

/**
 * Decodes and chooses a first token before the engine reports that it is ready. A device can take every layer and still
 * fail at its first computation, usually by ending the process: when a GPU build is newer than the driver. Leaves the
 * context empty. `token`: any of the vocabulary; `steps`: their lengths.
 */
async function decodeFirstToken(
  context: NativeContext,
  first: { readonly sampler: NativeSampler; readonly token: Token; readonly steps: readonly number[] },
): Promise<void> {
  const { sampler, token, steps } = first;
  let position = 0;
  sampler.applyConfig({ temperature: 0 });
  try {
    for (const length of steps) {
      context.initBatch(length);
      const tokens = new Uint32Array(length).fill(token);
      const [logits] = context.addToBatch(SEQUENCE, position, tokens, Uint32Array.of(length - 1));
      await context.decodeBatch();
      const chosen = logits === undefined ? -1 : await context.sampleToken(logits, sampler);
      if (chosen < 0) throw new Error('No first token could be chosen.');
      position += length;
    }
  } finally {
    context.disposeSequence(SEQUENCE);
  }
}

const GRAMMARS_KEPT = 64;

/** The library throws for a text that is no grammar. */
function grammarReader(
  bindings: NativeBindings,
  model: NativeModel,
  bytesOf: TokenBytes,
): (grammar: CompiledGrammar) => () => ActiveGrammar {
  const grammars = new RecentResults<NativeGrammar>(GRAMMARS_KEPT);
  const read = (gbnf: string) =>
    new bindings.AddonGrammar(gbnf, { addonExports: bindings, rootRuleName: 'root' });
  return ({ gbnf, packed }) => {
    const native = grammars.of(gbnf, read);
    return () => ({
      state: new bindings.AddonGrammarEvaluationState(model, native),
      watch: new GrammarWatch(packed, bytesOf),
    });
  };
}

async function loadLibrary(): Promise<Library> {
  try {
    return await importLibrary();
  } catch (cause) {
    const message =
      cause instanceof LibraryMissingError
        ? LIBRARY_MISSING
        : `node-llama-cpp could not be loaded: ${String(cause)}`;
    throw new Error(message, { cause });
  }
}

function fitContext(wanted: number, trained: number, output: EngineOutput): number {
  if (wanted <= trained) return wanted;
  output.log('warn', `context_size ${wanted} is more than the model was trained for: ${trained} is used.`);
  return trained;
}

function selectTemplate(
  model: Model,
  bindings: NativeBindings,
  { settings, output }: Pick<LoadedModel, 'settings' | 'output'>,
): ChatTemplate {
  if (settings.chatTemplate === 'chatml') return chatml;
  const source = model.fileInfo.metadata?.tokenizer?.chat_template;
  if (source === undefined) {
    output.log('warn', 'The model file has no chat template: ChatML is used.');
    return chatml;
  }
  const textOf = (token: Token | null) => (token === null ? '' : model.detokenize([token], true));
  try {
    const renderer = new bindings.AddonJinjaRenderer(source);
    const { bos, eos } = model.tokens;
    return jinjaTemplate({ source, renderer, bosToken: textOf(bos), eosToken: textOf(eos) });
  } catch (thrown) {
    output.log(
      'warn',
      `The chat template of the model file cannot be read: ChatML is used. ${String(thrown)}`,
    );
    return chatml;
  }
}

function logLevel(level: string): EngineLogLevel {
  if (level === 'fatal' || level === 'error') return 'error';
  if (level === 'warn' || level === 'info') return level;
  return 'debug';
}
