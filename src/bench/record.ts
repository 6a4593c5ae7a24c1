/** What was seen of one request. Times are milliseconds since the step's begin, on the clock of this process. */
export type Outcome = 'completed' | 'rejected' | 'failed' | 'cancelled';

/** The server's own figures of a request's time, in milliseconds. */
export interface ServerTimings {
  readonly queueMs?: number | undefined;
  readonly upstreamMs?: number | undefined;
  readonly gatewayMs?: number | undefined;
  /** Evaluating the prompt, as engines report it. */
  readonly promptMs?: number | undefined;
}

export interface RequestRecord {
  readonly index: number;
  /** Latencies count from here. Open loop: when it was due. Closed loop: when it was sent. */
  readonly startedAt: number;
  readonly sentAt: number;
  readonly firstTokenAt: number | undefined;
  readonly endedAt: number;
  readonly outcome: Outcome;
  /** Why it did not complete: http_503, ECONNREFUSED, timeout, cut, empty, or the code of an error within the stream. */
  readonly error: string | undefined;
  readonly finishReason: string | undefined;
  readonly asked: { readonly promptTokens: number | undefined; readonly outputTokens: number };
  /** As the server counted; undefined where it does not count. */
  readonly promptTokens: number | undefined;
  readonly outputTokens: number;
  readonly tokensFrom: 'usage' | 'events';
  /** The first token was one of the model's thoughts. */
  readonly beganWithReasoning: boolean;
  /** Between one arrival of text and the next. */
  readonly gapsMs: Float32Array;
  readonly server: ServerTimings | undefined;
}

export const ttftOf = ({ startedAt, firstTokenAt }: RequestRecord) =>
  firstTokenAt === undefined ? undefined : firstTokenAt - startedAt;

export const latencyOf = ({ startedAt, endedAt }: RequestRecord) => endedAt - startedAt;

/** (end to end − first token) ÷ (tokens − 1); an answer of one token has none. */
export function tpotOf({ firstTokenAt, endedAt, outputTokens }: RequestRecord): number | undefined {
  if (firstTokenAt === undefined || outputTokens < 2) return undefined;
  return (endedAt - firstTokenAt) / (outputTokens - 1);
}
