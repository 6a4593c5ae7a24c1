/**
 * The part of node-llama-cpp that the engine uses, as types of our own: the package is optional, so neither the
 * build nor any other backend may need it. A test holds these types against the package's.
 */
export type Token = number;

export interface Library {
  getLlama(options: LlamaOptions): Promise<Llama>;
}

export interface LlamaOptions {
  readonly gpu: 'auto' | false;
  readonly build: 'never';
  readonly skipDownload: boolean;
  readonly progressLogs: boolean;
  readonly maxThreads: number;
  readonly logger: (level: string, message: string) => void;
}

export interface Llama {
  readonly gpu: string | false;
  /** Of a decode step, at most; may be changed between steps. */
  maxThreads: number;
  loadModel(options: { readonly modelPath: string }): Promise<Model>;
}

export interface Model {
  readonly trainContextSize: number;
  readonly fileInfo: { readonly metadata?: { readonly tokenizer?: { readonly chat_template?: string } } };
  readonly tokens: {
    readonly bos: Token | null;
    readonly eos: Token | null;
    readonly shouldPrependBosToken: boolean;
  };
  tokenize(text: string, specialTokens?: boolean): Token[];
  detokenize(tokens: readonly Token[], specialTokens?: boolean, lastTokens?: readonly Token[]): string;
  isEogToken(token: Token | undefined): boolean;
  getTokenAttributes(token: Token): { readonly control: boolean; readonly unknown: boolean };
  iterateAllTokens(): Iterable<Token>;
  createContext(options: ContextOptions): Promise<Context>;
}

export interface ContextOptions {
  /** Of one sequence; the library allots it once for each. */
  readonly contextSize: number;
  readonly sequences: number;
  readonly batchSize: number;
  readonly threads: number;
  /** `false`: never a smaller context than asked for. */
  readonly failedCreationRemedy: false;
}

export interface Context {
  getSequence(options: { readonly contextShift: { readonly strategy: () => never } }): Sequence;
}

export interface Sequence {
  /** How many tokens have been evaluated: the length of `contextTokens`. */
  readonly nextTokenIndex: number;
  compareContextTokens(tokens: Token[]): { readonly firstDifferentIndex: number };
  adaptStateToTokens(tokens: Token[], allowShift: boolean): Promise<void>;
  clearHistory(): Promise<void>;
  evaluateWithoutGeneratingNewTokens(tokens: Token[]): Promise<void>;
  evaluateWithMetadata(tokens: Token[], metadata: object, options: EvaluateOptions): TokenIterator;
}

/** Each `next()` is one decode step; the token it gives is evaluated by the step after. */
export interface TokenIterator {
  next(): Promise<IteratorResult<{ readonly token: Token }, unknown>>;
  return(value?: undefined): Promise<unknown>;
}

export interface EvaluateOptions {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly seed: number;
  readonly yieldEogToken: boolean;
  readonly repeatPenalty?: {
    readonly punishTokens: () => Token[];
    readonly penalty: number;
    readonly frequencyPenalty: number;
    readonly presencePenalty: number;
  };
}

/** What the package keeps to itself: it is pinned to one version, and a test holds these types against that one's. */
export interface Bindings {
  /** llama.cpp's own engine for Jinja; throws where the template is none, or refuses what it is given. */
  readonly AddonJinjaRenderer: new (
    template: string,
  ) => JinjaRenderer;
}

export interface JinjaRenderer {
  render(variables?: Record<string, unknown>): string;
}

export function bindingsOf(llama: Llama): Bindings {
  return (llama as unknown as { readonly _bindings: Bindings })._bindings;
}

/** Thrown where the optional package is not installed. */
export class LibraryMissingError extends Error {}

export async function importLibrary(): Promise<Library> {
  const name: string = 'node-llama-cpp';
  try {
    return (await import(name)) as Library;
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new LibraryMissingError(`${name} is not installed`, { cause });
  }
}
