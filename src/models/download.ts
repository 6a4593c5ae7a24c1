/** What every kind of source is given, and what it delivers. */
export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** Where files of the hub are. */
  readonly hubUrl: string;
  /** What is there already, if anything. */
  readonly resume: ResumePoint | undefined;
  /** Without an answer, or without a further byte, for so long a source is given up. */
  readonly silenceMs: number;
  /** A folder for temporary files on the disk the model goes to; the caller removes it. */
  readonly scratchDirectory: string;
  /** Bytes that arrived before the file itself can be read, for sources that come in a package. */
  readonly onPackageBytes: (doneBytes: number) => void;
}

export interface ResumePoint {
  readonly fromByte: number;
  /** Strong ETag or date of the file that the first bytes are of. */
  readonly validator: string | undefined;
  /** Checksum of that whole file, where its source had published one. */
  readonly sha256: string | undefined;
}

export interface Download {
  /** Where in the file the first of `bytes` belongs: where it was to go on, or 0. */
  readonly startByte: number;
  /** Of the whole file, as the source says. */
  readonly sizeBytes: number | undefined;
  /** Of the whole file, as the source has published it. */
  readonly sha256: string | undefined;
  readonly validator: string | undefined;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Takes the delivery while its source is open. */
export type Receive<Result> = (delivery: Download) => Promise<Result>;

/**
 * One try at one source: a signal that aborts with the caller's, or when nothing has moved for too long.
 * Owns its timer and its listener; `end` must run on every path.
 */
export class IdleTimeout {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #caller: AbortSignal;
  readonly #onCallerAbort = () => this.#controller.abort(this.#caller.reason);

  constructor(caller: AbortSignal, silenceMs: number) {
    this.signal = this.#controller.signal;
    this.#caller = caller;
    this.#timer = setTimeout(() => {
      this.#controller.abort(new Error(`nothing came for ${silenceMs / 1000} s`));
    }, silenceMs);
    if (caller.aborted) this.#onCallerAbort();
    else caller.addEventListener('abort', this.#onCallerAbort, { once: true });
  }

  /** Something moved: the silence starts anew. */
  reset(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener('abort', this.#onCallerAbort);
  }
}
