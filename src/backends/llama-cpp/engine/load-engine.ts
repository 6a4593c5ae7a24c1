/**
 * Loads library, model and context, and gives a batcher over them; or an embedder, for a model whose file says that it
 * embeds. Throws an Error whose message a user can act on.
 */

import type { Ability } from '../../../core/backend.ts';
import type { CompiledGrammar, ToolCallFormat } from '../grammar/answer-grammar.ts';
import type {
  EngineEmbeddingRequest,
  EngineEvent,
  EngineGenerationRequest,
  EngineLogLevel,
  EngineSettings,
  GpuKind,
} from '../messages.ts';
import { RecentResults } from '../recent-results.ts';
import { type ActiveGrammar, createAdmission } from './admission.ts';
import { Batcher } from './batcher.ts';
import { type ChatTemplate, chatml, jinjaTemplate } from './chat-template.ts';
import { describeDevice, LoadFailure, loadWeights, onDevice, openDevice } from './compute-device.ts';
import {
  type EmbeddingModel,
  encodeForEmbedding,
  loadEmbedder,
  type Pooling,
  poolingOf,
} from './embedder.ts';
import { type EngineWorker, type PausableWorker, rejectingWorker } from './engine-worker.ts';
import { GrammarWatch } from './grammar-watch.ts';
import { importLibrary, type Library, LibraryMissingError, type Model, type Token } from './library.ts';
import {
  bindingsOf,
  type NativeBindings,
  type NativeContext,
  type NativeGrammar,
  type NativeModel,
  type NativeSampler,
  nativeContextOf,
  nativeModelOf,
} from './native.ts';
import { createPromptEncoder, promptBytes } from './prompt.ts';
import { LogprobReader, Sampler } from './sampler.ts';
import { Sequence } from './sequences.ts';
import { PROMPT_TOKENS_ALONE } from './step-planner.ts';
import { chooseThreads, coresOfThisProcess, ThreadGovernor } from './threads.ts';
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
  /** A step was finished, or the load went on: what a watchdog wants to know. */
  progress(): void;
}

export interface LoadedEngine {
  readonly batcher: PausableWorker<EngineGenerationRequest>;
  readonly embedder: EngineWorker<EngineEmbeddingRequest>;
  readonly tokenize: TokenizerHandler;
  readonly contextSize: number;
  readonly abilities: readonly Ability[];
  /** In which the model writes calls of tools; absent: it generates no text. */
  readonly callForm?: ToolCallFormat;
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
  const onOpened: EngineOutput['device'] = (opened) => output.device(opened);
  const device = await openDevice(library, { gpu: settings.gpu, excludedGpus, threads, logger, onOpened });
  const { llama } = device;
  output.progress();
  const model = await loadWeights(device, settings, { failure, onLoadProgress: () => output.progress() });
  output.log('info', describeDevice(device, model, choice));
  const contextSize = fitContext({ wanted: settings.contextSize, trained: model.trainContextSize, output });
  const emit: EngineOutput['emit'] = (events) => output.emit(events);
  const onStep = () => output.progress();
  const allTokens = [...model.iterateAllTokens()];
  const vocabularySize = allTokens.length;
  const asking = { model, vocabularySize, emit, onStep };
  const pooling = poolingOf(model.fileInfo.metadata);
  if (pooling !== undefined) {
    const { modelPath } = settings;
    const embedding = { modelPath, pooling, contextSize, threads, vocabularySize, emit, onStep };
    const embeds = model as unknown as EmbeddingModel;
    return {
      batcher: rejectingWorker(emit, embedsOnly(pooling)),
      embedder: await onDevice(device, () => loadEmbedder(embeds, embedding)),
      tokenize: createTokenizerHandler({
        ...asking,
        encode: (request) => encodeForEmbedding(embeds, request),
      }),
      contextSize,
      abilities: ['embed'],
    };
  }
  const onGpu = model.gpuLayers > 0;
  const promptTokensAlone = PROMPT_TOKENS_ALONE[onGpu ? 'gpu' : 'cpu'];
  const bindings = bindingsOf(llama);
  const native = nativeModelOf(model);
  const createSampler = () => new bindings.AddonSampler(native);
  const context = await onDevice(device, async () => {
    const created = nativeContextOf(
      await model.createContext({
        contextSize,
        sequences: settings.sequences,
        batchSize: promptTokensAlone + settings.sequences,
        threads,
        flashAttention: settings.flashAttention ? 'auto' : false,
        failedCreationRemedy: false,
      }),
    );
    const steps = onGpu ? [Math.min(promptTokensAlone, contextSize - 1), 1] : [1];
    const token = model.tokens.bos ?? (allTokens[0] as Token);
    await decodeFirstToken(created, { sampler: createSampler(), token, steps });
    return created;
  });
  output.progress();
  const template = selectTemplate({ model, bindings, settings, output });
  const prompts = createPromptEncoder(model, template, promptBytes(model, contextSize));
  const endTokens = allTokens.filter((token) => model.isEogToken(token));
  const bytesOf = tokenBytes(model);
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
  });
  return {
    batcher,
    embedder: rejectingWorker(emit, GENERATES_ONLY),
    tokenize: createTokenizerHandler({ ...asking, encode: (request) => prompts.encode(request).tokens }),
    contextSize,
    // Where a template knows of no tools, they are spelled out.
    abilities: ['generate', 'tools', ...(template.thinks ? (['think'] as const) : [])],
    callForm: template.toolFormat.written,
  };
}

const GENERATES_ONLY =
  'This model generates text and makes no embeddings. Name an embedding model: one whose GGUF file says how it pools ' +
  '(pooling_type mean, cls or last), such as all-MiniLM-L6-v2, nomic-embed-text or Qwen3-Embedding.';

function embedsOnly(pooling: Pooling): string {
  return `This model only makes embeddings (pooling: ${pooling}), it generates no text. Name a model that does.`;
}

const GRAMMARS_KEPT = 64;

/** The library answers a text that is no grammar with an error. */
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
        ? MISSING_LIBRARY
        : `node-llama-cpp could not be loaded: ${String(cause)}`;
    throw new Error(message, { cause });
  }
}

const MISSING_LIBRARY =
  'The embedded engine needs the optional dependency node-llama-cpp: npm install node-llama-cpp, ' +
  'or use another backend: --backend ollama --url http://127.0.0.1:11434 --model NAME.';

function fitContext(sizes: {
  readonly wanted: number;
  readonly trained: number;
  readonly output: EngineOutput;
}): number {
  const { wanted, trained, output } = sizes;
  if (wanted <= trained) return wanted;
  output.log('warn', `context_size ${wanted} is more than the model was trained for: ${trained} is used.`);
  return trained;
}

function selectTemplate(from: {
  readonly model: Model;
  readonly bindings: NativeBindings;
  readonly settings: EngineSettings;
  readonly output: EngineOutput;
}): ChatTemplate {
  const { model, bindings, settings, output } = from;
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

/**
 * Decodes and chooses a first token before the engine says that it is ready. A device can take every layer and still fail
 * at its first computation, usually by ending the process: a GPU build that is newer than the driver does. Leaves the
 * context as empty as it was.
 */

const SEQUENCE = 0;

interface FirstDecode {
  readonly sampler: NativeSampler;
  /** Any token of the vocabulary. */
  readonly token: Token;
  /** Lengths of the steps; steps of one token and of many use different kernels. */
  readonly steps: readonly number[];
}

async function decodeFirstToken(
  context: NativeContext,
  { sampler, token, steps }: FirstDecode,
): Promise<void> {
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
