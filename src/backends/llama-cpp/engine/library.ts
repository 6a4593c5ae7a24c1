/**
 * The part of node-llama-cpp that the engine uses, as types of our own: the package is optional, so neither the
 * build nor any other backend may need it. A test holds these types against the package's.
 */
import type { GpuKind } from '../messages.ts';

export type Token = number;

export interface Library {
  getLlama(options: LlamaOptions): Promise<Llama>;
  /** Those whose drivers are there; `false` is the CPU. */
  getLlamaGpuTypes(include: 'supported'): Promise<readonly GpuType[]>;
}

export interface LlamaOptions {
  /** `exclude`: kinds that are not tried. */
  readonly gpu: { readonly type: 'auto'; readonly exclude: GpuKind[] } | false;
  readonly build: 'never';
  readonly skipDownload: boolean;
  readonly progressLogs: boolean;
  readonly maxThreads: number;
  readonly logger: (level: string, message: string) => void;
}

export type GpuType = GpuKind | false;

export interface Llama {
  readonly gpu: GpuType;
  getGpuDeviceNames(): Promise<string[]>;
  loadModel(options: ModelOptions): Promise<Model>;
}

export interface ModelOptions {
  readonly modelPath: string;
  /** A number of layers, or as many as fit beside a context of so many tokens. */
  readonly gpuLayers: number | { readonly fitContext: { readonly contextSize: number } };
  readonly onLoadProgress: () => void;
}

export interface Model {
  readonly trainContextSize: number;
  readonly vocabularyType: 'none' | 'spm' | 'bpe' | 'wpm' | 'ugm' | 'rwkv' | 'plamo2';
  readonly gpuLayers: number;
  readonly fileInsights: { readonly totalLayers: number };
  readonly fileInfo: { readonly metadata?: { readonly tokenizer?: { readonly chat_template?: string } } };
  readonly tokens: {
    readonly bos: Token | null;
    readonly eos: Token | null;
    readonly shouldPrependBosToken: boolean;
  };
  tokenize(text: string, specialTokens?: boolean): Token[];
  detokenize(tokens: readonly Token[], specialTokens?: boolean, lastTokens?: readonly Token[]): string;
  isEogToken(token: Token | undefined): boolean;
  getTokenAttributes(token: Token): TokenAttributes;
  iterateAllTokens(): Iterable<Token>;
  createContext(options: ContextOptions): Promise<Context>;
}

export interface TokenAttributes {
  readonly control: boolean;
  readonly unknown: boolean;
  readonly userDefined: boolean;
  /** White space before it, or behind it, belongs to it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

export interface ContextOptions {
  /** Of one sequence; the library allots it once for each. */
  readonly contextSize: number;
  readonly sequences: number;
  readonly batchSize: number;
  readonly threads: number;
  /** `auto`: on where the hardware has it. */
  readonly flashAttention: 'auto' | false;
  /** `false`: never a smaller context than asked for. */
  readonly failedCreationRemedy: false;
}

/** What it is made of is in native.ts. */
export type Context = object;

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
