/** Facts of a model's weights, as listings show them; each only where the backend knows it. */
export interface ModelDetails {
  /** SHA-256, 64 lower-case hexadecimal digits: of the file, or what its server knows the model by. */
  readonly digest?: string;
  /** Of the file. */
  readonly sizeBytes?: number;
  /** Of the file: `gguf`. */
  readonly format?: string;
  /** The architecture: `llama`. */
  readonly family?: string;
  readonly families?: readonly string[];
  /** `134.52M`. */
  readonly parameterSize?: string;
  /** How most of its numbers are stored: `Q4_K_M`. */
  readonly quantization?: string;
  /** Tokens that it was trained for. */
  readonly trainedContextSize?: number;
  /** Numbers of a vector inside the model. */
  readonly embeddingLength?: number;
}

/** Without what is not known. */
export function knownDetails(
  found: {
    readonly [Fact in keyof ModelDetails]: ModelDetails[Fact] | undefined;
  },
): ModelDetails {
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}
