/** What a GGUF file says about its model; and what is wrong with a file, before the engine has to load it. */
import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { knownDetails, type ModelDetails } from '../core/backend.ts';
import { ServingError } from '../core/errors.ts';
import { cachePaths, readStamp, stampMatches } from './cache.ts';
import { type Ability, findModel } from './catalog.ts';
import { GgufError, type GgufHeader, readGgufHeader } from './gguf.ts';

interface ModelFile {
  readonly path: string;
  readonly header: GgufHeader;
}

/** The file by its absolute path. Throws ServingError('model_not_found') that names the file, the fault and what to do. */
export async function readModelFile(path: string): Promise<ModelFile> {
  const absolute = resolve(path);
  try {
    return { path: absolute, header: await readGgufHeader(absolute) };
  } catch (error) {
    const what = error instanceof GgufError ? error.message : whyNotReadable(error);
    throw new ServingError('model_not_found', {
      message: `The model file ${absolute} ${what}. ${whatToDo(what)}`,
      cause: error,
    });
  }
}

function whyNotReadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'cannot be read: this user has no permission';
  return `cannot be read (${code ?? String(error)})`;
}

function whatToDo(what: string): string {
  if (/^is (truncated|damaged|empty)/.test(what))
    return 'Download it again, or give another GGUF file, or a name from `llm-serve models list`.';
  if (/version/.test(what)) return 'Convert it with a current llama.cpp, or download a newer release.';
  return 'Give the path of a GGUF file, or a name from `llm-serve models list`.';
}

const BILLION = 1e9;
const MILLION = 1e6;
const THOUSAND = 1e3;

/** Details of a checked model file, which has any form of the name `model`. Hashes nothing. Throws as `readModelFile` does. */
export async function fileDetails(model: string, path: string): Promise<ModelDetails> {
  const { header } = await readModelFile(path);
  const { architecture, parameters, fileType, contextLength, embeddingLength } = describeGguf(header);
  return knownDetails({
    digest: findModel(model)?.sha256 ?? (await recordedChecksum(path)),
    sizeBytes: header.sizeBytes,
    format: 'gguf',
    family: architecture,
    families: architecture === undefined ? undefined : [architecture],
    parameterSize: parameterText(parameters),
    quantization: fileType,
    trainedContextSize: contextLength,
    embeddingLength,
  });
}

/** The checksum at the time of the download; undefined where there was none, or the file has changed since. */
async function recordedChecksum(path: string): Promise<string | undefined> {
  const stamp = await readStamp(cachePaths({ fileName: basename(path) }, dirname(path)).stamp);
  return stamp !== undefined && stampMatches(stamp, await stat(path)) ? stamp.sha256 : undefined;
}

/** As Ollama writes it: `3.2B`, `134.52M`. */
function parameterText(count: number): string | undefined {
  if (count >= BILLION) return `${trimmed(count / BILLION, 1)}B`;
  if (count >= MILLION) return `${trimmed(count / MILLION, 2)}M`;
  if (count >= THOUSAND) return `${trimmed(count / THOUSAND, 0)}K`;
  return count > 0 ? String(count) : undefined;
}

function trimmed(value: number, decimals: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(decimals);
}

export interface GgufDescription {
  readonly architecture: string | undefined;
  readonly title: string | undefined;
  readonly parameters: number;
  /** The quantization of most of its weights: `Q4_K_M`. */
  readonly fileType: string | undefined;
  /** In tokens, as it was trained. */
  readonly contextLength: number | undefined;
  readonly embeddingLength: number | undefined;
  /** How it pools the vectors of a text into one; undefined for models that only generate. */
  readonly pooling: string | undefined;
  readonly hasChatTemplate: boolean;
  /** The chat template mentions tools. */
  readonly templateKnowsTools: boolean;
  readonly tokenizer: string | undefined;
  readonly vocabularySize: number | undefined;
  readonly license: string | undefined;
  readonly abilities: readonly Ability[];
}

/** `general.file_type`, by number. */
const FILE_TYPES = new Map<number, string>([
  ...numbered(0, 'F32 F16 Q4_0 Q4_1'),
  ...numbered(7, 'Q8_0 Q5_0 Q5_1 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K'),
  ...numbered(19, 'IQ2_XXS IQ2_XS Q2_K_S IQ3_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ3_M IQ2_S IQ2_M IQ4_XS IQ1_M'),
  ...numbered(32, 'BF16'),
  ...numbered(36, 'TQ1_0 TQ2_0 MXFP4'),
]);
const POOLING = ['none', 'mean', 'cls', 'last', 'rank'];
const POOLING_NONE = 0;
const POOLING_RANK = 4;

export function describeGguf({ metadata, tensors }: GgufHeader): GgufDescription {
  const text = (key: string) => textOf(metadata.get(key));
  const number = (key: string) => numberOf(metadata.get(key));
  const architecture = text('general.architecture');
  const fileType = number('general.file_type');
  const pooling = number(`${architecture}.pooling_type`);
  const template = text('tokenizer.chat_template');
  const hasChatTemplate = metadata.has('tokenizer.chat_template');
  const templateKnowsTools =
    /\btools\b/.test(template ?? '') || metadata.has('tokenizer.chat_template.tool_use');
  const tokens = metadata.get('tokenizer.ggml.tokens');
  const embeds = pooling !== undefined && pooling !== POOLING_NONE && pooling !== POOLING_RANK;
  return {
    architecture,
    title: text('general.name'),
    parameters: tensors.parameters,
    fileType: fileType === undefined ? undefined : (FILE_TYPES.get(fileType) ?? `type ${fileType}`),
    contextLength: number(`${architecture}.context_length`),
    embeddingLength: number(`${architecture}.embedding_length`),
    pooling: pooling === undefined ? undefined : (POOLING[pooling] ?? `type ${pooling}`),
    hasChatTemplate,
    templateKnowsTools,
    tokenizer: text('tokenizer.ggml.model'),
    vocabularySize: typeof tokens === 'object' && 'elements' in tokens ? tokens.elements : undefined,
    license: text('general.license'),
    abilities: [
      ...(hasChatTemplate ? (['chat'] as const) : []),
      ...(templateKnowsTools ? (['tools'] as const) : []),
      ...(embeds ? (['embeddings'] as const) : []),
    ],
  };
}

function numbered(first: number, names: string): [number, string][] {
  return names.split(' ').map((name, index) => [first + index, name]);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : undefined;
}
