/** What every source of a model file is given (`DownloadOptions`) and what it delivers (`Download`). Sources check nothing. */

export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** The address of the hub. */
  readonly hubUrl: string;
  /** The part that is on disk already, if any. */
  readonly resume: ResumePoint | undefined;
  /** A source that sends nothing for so long has failed. */
  readonly idleTimeoutMs: number;
  /** A folder for temporary files on the disk that the model goes to; the caller removes it. */
  readonly scratchDirectory: string;
  /** Bytes that arrived before the file itself can be read, for sources that come in a package. */
  readonly onPackageBytes: (doneBytes: number) => void;
}

export interface ResumePoint {
  readonly fromByte: number;
  /** Strong ETag or date of the file that the first bytes are of. */
  readonly validator: string | undefined;
  /** Checksum of the whole file, where its source has published one. */
  readonly sha256: string | undefined;
}

export interface Download {
  /** Where in the file the first of `bytes` belongs: at the resume point, or 0. */
  readonly startByte: number;
  /** Of the whole file, according to the source. */
  readonly sizeBytes: number | undefined;
  /** Of the whole file, as its source has published it. */
  readonly sha256: string | undefined;
  readonly validator: string | undefined;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Reads the download while its source is open. */
export type Receive<Result> = (download: Download) => Promise<Result>;

/** A signal that aborts with the caller's, or when nothing arrives for too long. `end` must be called on every path. */
export class IdleTimeout {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #caller: AbortSignal;
  readonly #onCallerAbort = () => this.#controller.abort(this.#caller.reason);

  constructor(caller: AbortSignal, timeoutMs: number) {
    this.signal = this.#controller.signal;
    this.#caller = caller;
    this.#timer = setTimeout(() => {
      this.#controller.abort(new Error(`no data for ${timeoutMs / 1000} s`));
    }, timeoutMs);
    if (caller.aborted) this.#onCallerAbort();
    else caller.addEventListener('abort', this.#onCallerAbort, { once: true });
  }

  /** Something arrived. */
  reset(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener('abort', this.#onCallerAbort);
  }
}
