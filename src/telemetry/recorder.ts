/**
 * Writes the record of `serve --record`: a line for each request that has ended, behind it and never in its way. What cannot be written
 * fast enough is dropped and counted in the log; what follows it says again of which run it is and what is in force. At
 * MAX_RECORD_BYTES it stops.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import {
  type EndedForRecord,
  RECORD_VERSION,
  type RecordedAttempt,
  type RecordedRequest,
  type RecordedRun,
  type RecordedSettings,
  type RecordedSettingsLine,
} from '../core/record-file.ts';
import {
  type Attempt,
  concernsModel,
  type RequestRecord,
  timingsOf,
  wireTimings,
} from '../core/request-trace.ts';
import { BlockWriter, type Output } from './block-writer.ts';
import { ClientNames } from './client-names.ts';

interface RecorderOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  /** Names the run in each of its lines. */
  readonly runId: string;
  readonly output: Output;
  /** Of what an earlier run has written into the file. */
  readonly bytesBefore?: number;
  readonly maxBytes?: number;
}

/** Some 350,000 requests: as many as `whatif` can hold in memory. */
export const MAX_RECORD_BYTES = 250_000_000;
/** How often at most it is looked whether the settings are others: a reload, or slots that a server reports. */
const SETTINGS_EVERY_MS: Milliseconds = 1000;
/** How often at most the log says that requests are missing. */
const WARN_EVERY_MS: Milliseconds = 10_000;

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #writer: BlockWriter;
  readonly #names = new ClientNames();
  readonly #maxBytes: number;
  #bytes: number;
  #settings: (() => RecordedSettings) | undefined;
  #written = '';
  #lookedAt: Milliseconds = Number.NEGATIVE_INFINITY;
  /** Written at the first request. */
  #run: RecordedRun | undefined;
  /** Lines that the log has not reported. */
  #missing = 0;
  /** Set for a while after the log has reported some. */
  #warned: Timer | undefined;

  constructor(options: RecorderOptions) {
    const { clock, output, log, bytesBefore = 0, maxBytes = MAX_RECORD_BYTES } = options;
    this.#options = options;
    this.#maxBytes = maxBytes;
    this.#bytes = bytesBefore;
    this.#settings = undefined;
    this.#run = undefined;
    this.#warned = undefined;
    this.#writer = new BlockWriter({
      clock,
      output,
      immediate: false,
      dropNotice: (lines) => {
        this.#missing += lines;
        this.#warn();
        return '';
      },
      afterLoss: () => this.#linesAfterLoss(),
      onLost: (lines) =>
        log.warn('requests are missing in the record: its file took them no more at the end', { lines }),
    });
  }

  /** What is in force, read with the requests. */
  readSettings(settings: () => RecordedSettings): void {
    this.#settings = settings;
  }

  requestEnded(record: RequestRecord): void {
    if (this.#bytes < this.#maxBytes && concernsModel(record.trace))
      this.add(endedForRecord(record, this.#options.clock), record.endedAt);
  }

  /** Also one of another process. */
  add(request: EndedForRecord, endedAt: Milliseconds = this.#options.clock.now()): void {
    if (this.#bytes >= this.#maxBytes) return;
    this.#begin();
    this.#writeSettings(endedAt);
    const client = this.#names.nameOf(request.client);
    const line: RecordedRequest = { run: this.#options.runId, ...request, client };
    this.#write(JSON.stringify(line));
    if (this.#bytes < this.#maxBytes) return;
    this.#options.log.warn('the record is full: no further requests are written', { bytes: this.#bytes });
  }

  /** Settles when all is written, or cannot be. */
  async close(): Promise<void> {
    await this.#writer.close();
    this.#stopWarning();
  }

  closeSync(): void {
    this.#writer.closeSync();
    this.#stopWarning();
  }

  #begin(): void {
    if (this.#run !== undefined) return;
    const { version, runId, clock } = this.#options;
    this.#run = { llm_serve_record: RECORD_VERSION, run: runId, version, started_at_ms: clock.wallNow() };
    // The last line of a process that was killed may be half a line.
    if (this.#bytes > 0) this.#writer.write('\n', false);
    this.#write(JSON.stringify(this.#run));
  }

  /** Both lines may be among those that were lost, the last of which may be half a line. */
  #linesAfterLoss(): string {
    const text = `\n${JSON.stringify(this.#run)}\n${this.#written === '' ? '' : `${this.#written}\n`}`;
    this.#bytes += Buffer.byteLength(text);
    return text;
  }

  /** At once, then from time to time: a full disk may lose every block of a long time. */
  #warn(): void {
    if (this.#warned !== undefined || this.#missing === 0) return;
    this.#reportMissing();
    this.#warned = this.#options.clock.schedule(WARN_EVERY_MS, () => {
      this.#warned = undefined;
      this.#warn();
    });
  }

  #stopWarning(): void {
    this.#warned?.cancel();
    this.#warned = undefined;
    if (this.#missing > 0) this.#reportMissing();
  }

  #reportMissing(): void {
    this.#options.log.warn(
      'requests are missing in the record: its file could not be written, or not fast enough',
      { lines: this.#missing },
    );
    this.#missing = 0;
  }

  #writeSettings(now: Milliseconds): void {
    if (this.#settings === undefined || now - this.#lookedAt < SETTINGS_EVERY_MS) return;
    this.#lookedAt = now;
    const line: RecordedSettingsLine = { run: this.#options.runId, settings: this.#settings() };
    const text = JSON.stringify(line);
    if (text === this.#written) return;
    this.#written = text;
    this.#write(text);
  }

  #write(line: string): void {
    const text = `${line}\n`;
    this.#bytes += Buffer.byteLength(text);
    this.#writer.write(text, false);
  }
}

/** `client` as its share of the slots goes by. */
export function endedForRecord(
  { route, status, clientAddress, trace, endedAt }: RequestRecord,
  clock: Pick<Clock, 'now' | 'wallNow'>,
): EndedForRecord {
  const { receivedAt, usage, queued, model, client = clientAddress } = trace;
  const since = (time: Milliseconds) => tenths(time - receivedAt);
  return {
    at_ms: tenths(receivedAt + clock.wallNow() - clock.now()),
    route,
    status,
    client,
    model: model ?? null,
    priority: trace.priority ?? null,
    queued:
      queued === undefined || trace.enqueuedAt === undefined
        ? null
        : {
            at: since(trace.enqueuedAt),
            prompt_tokens: queued.promptTokens,
            max_tokens: queued.maxTokens ?? null,
            max_tokens_is_default: queued.maxTokensIsDefault,
            bytes: queued.sizeBytes,
            deadline: since(queued.deadlineAt),
          },
    prompt_tokens: usage?.promptTokens ?? null,
    cached_tokens: usage?.cachedTokens ?? null,
    completion_tokens: usage?.completionTokens ?? null,
    ended: since(trace.endedAt ?? endedAt),
    error_code: trace.errorCode ?? null,
    finish_reason: trace.finishReason ?? null,
    cancel_phase: trace.cancelPhase ?? null,
    timings: model === undefined ? null : wireTimings(timingsOf(trace, trace.endedAt ?? endedAt)),
    attempts: (trace.attempts ?? []).map((attempt) => attemptOf(attempt, since)),
  };
}

function attemptOf(attempt: Attempt, since: (time: Milliseconds) => Milliseconds): RecordedAttempt {
  const { target, model, kind, batch, enqueuedAt, startedAt, firstTokenAt, endedAt, outcome } = attempt;
  return {
    target,
    model,
    kind: kind ?? null,
    batch_size: batch.size,
    enqueued: since(enqueuedAt),
    started: since(startedAt),
    first_token: firstTokenAt === undefined ? null : since(firstTokenAt),
    ended: endedAt === undefined ? null : since(endedAt),
    outcome: outcome ?? null,
  };
}

/** Of a millisecond. */
function tenths(time: Milliseconds): Milliseconds {
  return Math.round(time * 10) / 10;
}
