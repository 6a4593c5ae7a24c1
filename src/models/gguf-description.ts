/** What the header of a GGUF file tells about its model, in words. */
import type { Ability } from './catalog.ts';
import type { GgufHeader } from './gguf-header.ts';

export interface GgufDescription {
  readonly architecture: string | undefined;
  readonly title: string | undefined;
  readonly parameters: number;
  /** How most of its numbers are stored: `Q4_K_M`. */
  readonly fileType: string | undefined;
  /** Tokens it was trained for. */
  readonly contextLength: number | undefined;
  readonly embeddingLength: number | undefined;
  /** How it makes one vector of a text; undefined for models that only generate. */
  readonly pooling: string | undefined;
  readonly hasChatTemplate: boolean;
  /** The template speaks of tools. */
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
