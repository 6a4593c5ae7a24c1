/** Loads library, model and context, and gives a batcher over them. Throws an Error whose message a user can act on. */
import { availableParallelism } from 'node:os';
import type { EngineEvent, EngineLogLevel, EngineSettings } from '../messages.ts';
import { Batcher, PROMPT_TOKENS_ALONE } from './batcher.ts';
import { type ChatTemplate, chatml } from './chat-template.ts';
import { jinjaTemplate } from './jinja-template.ts';
import {
  bindingsOf,
  importLibrary,
  type Library,
  LibraryMissingError,
  type Llama,
  type Model,
  type Token,
} from './library.ts';
import { createPromptEncoder } from './prompt.ts';
import { ThreadGovernor } from './thread-governor.ts';

export interface EngineOutput {
  log(level: EngineLogLevel, message: string): void;
  emit(events: readonly EngineEvent[]): void;
}

export interface LoadedEngine {
  readonly batcher: Batcher;
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
  const template = selectTemplate({ model, llama, settings, output });
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
    emit: (events) => output.emit(events),
  });
  return { batcher, contextSize };
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
  readonly llama: Llama;
  readonly settings: EngineSettings;
  readonly output: EngineOutput;
}): ChatTemplate {
  const { model, llama, settings, output } = from;
  if (settings.chatTemplate === 'chatml') return chatml;
  const source = model.fileInfo.metadata?.tokenizer?.chat_template;
  if (source === undefined) {
    output.log('warn', 'The model file has no chat template: ChatML is used.');
    return chatml;
  }
  const textOf = (token: Token | null) => (token === null ? '' : model.detokenize([token], true));
  try {
    const renderer = new (bindingsOf(llama).AddonJinjaRenderer)(source);
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

/** Generations end before the context is full, so the library never has a reason to shift it. */
function refuseShift(): never {
  throw new Error('The context is full.');
}

function logLevel(level: string): EngineLogLevel {
  if (level === 'fatal' || level === 'error') return 'error';
  if (level === 'warn' || level === 'info') return level;
  return 'debug';
}
