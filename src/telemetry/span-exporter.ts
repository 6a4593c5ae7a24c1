/**
 * The spans that wait to be exported: encodes those of each request at its end, and sends them in batches. It owns the bound on what is
 * held: beyond it spans are dropped and counted. An export that fails disturbs nothing: it is counted, and logged once until exports
 * succeed again.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Refused } from './otlp-answer.ts';
import type { SpanEncoder } from './otlp-encoding.ts';
import type { SpanData } from './request-spans.ts';

/** Spans since the start, by what became of them. */
export interface SpanCounts {
  readonly exported: number;
  /** Never sent: too many were waiting. */
  readonly dropped: number;
  /** The receiver refused them, or could not be reached. */
  readonly failed: number;
}

/** Where exports go. */
export interface SpanSender {
  /** Resolves with what was refused of an export that was accepted. Rejects when it is lost. */
  send(spans: Uint8Array): Promise<Refused | undefined>;
  close(): Promise<void>;
}

interface QueueOptions {
  /** Of the receiver, for the log. */
  readonly url: string;
  readonly encoder: SpanEncoder;
  readonly sender: SpanSender;
  readonly clock: Clock;
  readonly log: Log;
}

interface Batch {
  readonly bytes: Uint8Array;
  readonly spans: number;
  /** Of prompts and answers. */
  readonly characters: number;
}

const MAX_SPANS = 4096;
/** Of prompts and answers, in all spans that wait. */
const MAX_CONTENT_CHARACTERS = 16 * 1024 * 1024;
/** A batch is sent when it has as many; receivers often take no more than 20 MiB at once. */
const BATCH_SPANS = 512;
const BATCH_BYTES = 4 * 1024 * 1024;
const EXPORT_EVERY_MS = 1000;
/** At the same time: a receiver that is far away answers late. */
const MAX_EXPORTS = 4;

export class SpanQueue {
  readonly #options: QueueOptions;
  #waiting: Batch[] = [];
  #exports = 0;
  /** Of the spans in the encoder. */
  #characters = 0;
  #timer: Timer | undefined;
  /** In the encoder, waiting, and being sent. */
  #held = 0;
  #heldCharacters = 0;
  #exported = 0;
  #dropped = 0;
  #failed = 0;
  /** Since the last export that succeeded. */
  #isFailing = false;
  #isDropping = false;
  #isClosed = false;
  #onEmpty: () => void = () => {};

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  get counts(): SpanCounts {
    return { exported: this.#exported, dropped: this.#dropped, failed: this.#failed };
  }

  /** Of one request: all or none. */
  add(spans: readonly SpanData[]): void {
    const { encoder, clock } = this.#options;
    let characters = 0;
    for (const { contentLength } of spans) characters += contentLength;
    const isFull =
      this.#held + spans.length > MAX_SPANS || this.#heldCharacters + characters > MAX_CONTENT_CHARACTERS;
    if (isFull || this.#isClosed) {
      this.#drop(spans.length);
      return;
    }
    this.#held += spans.length;
    this.#heldCharacters += characters;
    this.#characters += characters;
    for (const span of spans) encoder.add(span);
    if (encoder.spans >= BATCH_SPANS || encoder.bytes >= BATCH_BYTES) this.#endBatch();
    else this.#timer ??= clock.schedule(EXPORT_EVERY_MS, () => this.#endBatch());
  }

  /** Exports what is held; what has not gone after that time counts as dropped. Never rejects. */
  async close(withinMs: Milliseconds): Promise<void> {
    const { sender, log } = this.#options;
    this.#isClosed = true;
    this.#endBatch();
    if (this.#held > 0) await this.#emptyWithin(withinMs);
    const spans = this.#held;
    // Sends that are cut off count as dropped: `#ended` and `#lost` find nothing held.
    this.#held = 0;
    this.#waiting = [];
    await sender.close();
    if (spans === 0) return;
    this.#dropped += spans;
    log.warn('Spans were not exported before the end', { spans });
  }

  #emptyWithin(withinMs: Milliseconds): Promise<void> {
    return new Promise((resolve) => {
      // A clock's timers do not keep the process alive; this one has to.
      const limit = setTimeout(resolve, withinMs);
      this.#onEmpty = () => {
        clearTimeout(limit);
        resolve();
      };
    });
  }

  #endBatch(): void {
    const { encoder } = this.#options;
    this.#timer?.cancel();
    this.#timer = undefined;
    const { spans } = encoder;
    if (spans === 0) return;
    this.#waiting.push({ spans, bytes: encoder.take(), characters: this.#characters });
    this.#characters = 0;
    this.#sendNext();
  }

  #sendNext(): void {
    if (this.#exports === MAX_EXPORTS) return;
    const batch = this.#waiting.shift();
    if (batch === undefined) return;
    this.#exports += 1;
    this.#options.sender
      .send(batch.bytes)
      .then((refused) => this.#accepted(batch, refused))
      .catch((error: unknown) =>
        this.#lost(batch.spans, error instanceof Error ? error.message : String(error)),
      )
      .finally(() => this.#ended(batch));
  }

  #ended({ spans, characters }: Batch): void {
    this.#exports -= 1;
    if (this.#held === 0) return;
    this.#held -= spans;
    this.#heldCharacters -= characters;
    if (this.#held < MAX_SPANS / 2) this.#isDropping = false;
    this.#sendNext();
    if (this.#held === 0) this.#onEmpty();
  }

  #accepted({ spans }: Batch, refused: Refused | undefined): void {
    const { log, url } = this.#options;
    const notTaken = Math.min(refused?.spans ?? 0, spans);
    this.#exported += spans - notTaken;
    if (notTaken > 0) {
      this.#lost(notTaken, `refused: ${refused?.message}`);
      return;
    }
    if (refused !== undefined)
      log.debug('The receiver of spans has a warning', { url, warning: refused.message });
    if (this.#isFailing) log.info('Spans are exported again', { url, lost: this.#failed + this.#dropped });
    this.#isFailing = false;
  }

  #lost(spans: number, cause: string): void {
    const { log, url } = this.#options;
    if (this.#held === 0) return;
    this.#failed += spans;
    if (this.#isFailing) return;
    this.#isFailing = true;
    log.warn('Spans cannot be exported, and are lost until the receiver takes them again', { url, cause });
  }

  #drop(spans: number): void {
    this.#dropped += spans;
    if (this.#isDropping) return;
    this.#isDropping = true;
    const cause = this.#isClosed
      ? 'the server has ended'
      : 'too many spans, or too long ones, wait to be exported';
    this.#options.log.warn(`Spans are dropped: ${cause}`, { waiting: this.#held });
  }
}
