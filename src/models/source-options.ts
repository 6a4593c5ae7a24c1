/** What every kind of source is given. */
export interface SourceOptions {
  readonly signal: AbortSignal;
  readonly sizeBytes: number;
  /** Without an answer, or without a further byte, for so long a source is given up. */
  readonly silenceMs: number;
  /** An existing folder for temporary files on the disk the model goes to; the caller removes it. */
  readonly scratchDirectory: string;
  /** Bytes that arrived before the file itself can be read, for sources that come in a package. */
  readonly onPackageBytes: (doneBytes: number) => void;
}
