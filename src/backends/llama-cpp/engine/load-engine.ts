/**
 * Loads library, model and context, and gives a batcher over them; or an embedder, for a model whose file says that it
 * embeds. Throws an Error whose message a user can act on.
 */
import { availableParallelism } from 'node:os';
import type {
  EngineEmbedding,
  EngineEvent,
  EngineGeneration,
  EngineLogLevel,
  EngineSettings,
} from '../messages.ts';
import { Batcher, PROMPT_TOKENS_ALONE } from './batcher.ts';
import { chooseTemplate } from './chat-template.ts';
import type { EmbeddingModel } from './embedding-library.ts';
import { importLibrary, type Library, LibraryMissingError, type Llama, type Model } from './library.ts';
import { loadEmbedder } from './load-embedder.ts';
import { type OrderTaker, refuseOrders } from './orders.ts';
import { type Pooling, poolingOf } from './pooling.ts';
import { createPromptEncoder } from './prompt.ts';
import { ThreadGovernor } from './thread-governor.ts';

export interface EngineOutput {
  log(level: EngineLogLevel, message: string): void;
  emit(events: readonly EngineEvent[]): void;
}

export interface LoadedEngine {
  readonly batcher: OrderTaker<EngineGeneration>;
  readonly embedder: OrderTaker<EngineEmbedding>;
  readonly contextSize: number;
}

export async function loadEngine(settings: EngineSettings, output: EngineOutput): Promise<LoadedEngine> {
  const library = await loadLibrary();
  const threads = settings.threads ?? availableParallelism();
  const llama = await library.getLlama({
    gpu: settings.gpu === 'auto' ? 'auto' : false,
    // A prebuilt binary or none: nothing is ever compiled or downloaded.
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    maxThreads: threads,
    logger: (level, message) => output.log(logLevel(level), message.trimEnd()),
  });
  const model = await loadModel(llama, settings.modelPath);
  const contextSize = fitContext({ wanted: settings.contextSize, trained: model.trainContextSize, output });
  const emit: EngineOutput['emit'] = (events) => output.emit(events);
  const pooling = poolingOf(model.fileInfo.metadata);
  if (pooling !== undefined) {
    const embedding = { modelPath: settings.modelPath, pooling, contextSize, threads, emit };
    const embedder = await loadEmbedder(model as unknown as EmbeddingModel, embedding);
    return { batcher: refuseOrders(emit, embedsOnly(pooling)), embedder, contextSize };
  }
  const context = await model.createContext({
    contextSize,
    sequences: settings.sequences,
    batchSize: PROMPT_TOKENS_ALONE + settings.sequences,
    threads,
    failedCreationRemedy: false,
  });
  const sequences = Array.from({ length: settings.sequences }, () =>
    context.getSequence({ contextShift: { strategy: refuseShift } }),
  );
  const template = selectTemplate({ model, library, settings, output });
  const prompts = createPromptEncoder(model, template);
  const batcher = new Batcher({
    model,
    sequences,
    prompts,
    contextSize,
    threads: new ThreadGovernor(threads),
    setThreads: (count) => {
      llama.maxThreads = count;
    },
    emit,
  });
  return { batcher, embedder: refuseOrders(emit, GENERATES_ONLY), contextSize };
}

const GENERATES_ONLY =
  'This model generates text and makes no embeddings. Name an embedding model: one whose GGUF file says how it pools ' +
  '(pooling_type mean, cls or last), such as all-MiniLM-L6-v2, nomic-embed-text or Qwen3-Embedding.';

function embedsOnly(pooling: Pooling): string {
  return `This model only makes embeddings (pooling: ${pooling}), it generates no text. Name a model that does.`;
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

async function loadModel(llama: Llama, modelPath: string): Promise<Model> {
  try {
    return await llama.loadModel({ modelPath });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `The model file ${modelPath} could not be loaded (${reason}). It must be a complete GGUF file that this engine ` +
        'knows: delete it to have it fetched anew, or give another file with --model PATH.',
      { cause },
    );
  }
}

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
  readonly library: Library;
  readonly settings: EngineSettings;
  readonly output: EngineOutput;
}) {
  const source = from.model.fileInfo.metadata?.tokenizer?.chat_template;
  const name = from.settings.chatTemplate;
  if (name === 'file' && source === undefined) {
    from.output.log('warn', 'The model file has no chat template: ChatML is used.');
  }
  return chooseTemplate({ name, source, library: from.library });
}

/** Generations end before the context is full, so the library never has a reason to shift it. */
function refuseShift(): never {
  throw new Error('The context is full.');
}

function logLevel(level: string): EngineLogLevel {
  if (level === 'fatal' || level === 'error') return 'error';
  if (level === 'warn' || level === 'info') return level;
  return 'debug';
}
