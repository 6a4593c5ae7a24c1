/** One answer while it arrives: what each protocol notes of it, on times that the client gives. */
import type { ServerTimings } from './record.ts';

export class Answer {
  firstTokenAt: number | undefined = undefined;
  beganWithReasoning = false;
  /** Arrivals of text or thoughts. */
  events = 0;
  readonly #gapsMs: number[] = [];
  #lastTokenAt = 0;
  promptTokens: number | undefined = undefined;
  outputTokens: number | undefined = undefined;
  finishReason: string | undefined = undefined;
  /** The protocol's mark of success has come. */
  isDone = false;
  /** The code of an error within the stream. */
  error: string | undefined = undefined;
  server: ServerTimings | undefined = undefined;

  /** A piece of text, of thoughts or of a tool call, that is not empty. */
  token(now: number, isReasoning: boolean): void {
    if (this.firstTokenAt === undefined) {
      this.firstTokenAt = now;
      this.beganWithReasoning = isReasoning;
    } else {
      this.#gapsMs.push(now - this.#lastTokenAt);
    }
    this.#lastTokenAt = now;
    this.events += 1;
  }

  /** Counts may come in several parts, and again. */
  usage(promptTokens: unknown, outputTokens: unknown): void {
    if (isCount(promptTokens)) this.promptTokens = promptTokens;
    if (isCount(outputTokens)) this.outputTokens = outputTokens;
  }

  finish(reason: unknown): void {
    if (typeof reason === 'string') this.finishReason = reason;
  }

  /** Later parts complete earlier ones. */
  timings(timings: ServerTimings): void {
    this.server = { ...this.server, ...timings };
  }

  gaps(): Float32Array {
    return Float32Array.from(this.#gapsMs);
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
