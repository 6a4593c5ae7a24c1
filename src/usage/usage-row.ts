/** What was used within one hour, by one caller, of one model at one target. Sums. A request counts where it was answered, or tried last. */
export interface UsageRow {
  /** The beginning of the UTC hour, in milliseconds since the Unix epoch. */
  readonly hour: number;
  /** A caller's id; empty: without a key. */
  readonly caller: string;
  /** Empty: none. */
  readonly team: string;
  /** The one that answered, or was asked: of a fallback, not the one that the client named. Empty: refused before it was known. */
  readonly model: string;
  /** Empty: none was asked. */
  readonly target: string;
  /** All of them, those that failed or were refused included. */
  readonly requests: number;
  /** Failed, but not refused by a limit. A client that left is none. */
  readonly errors: number;
  /** Refused by a limit, a budget, or a full queue. */
  readonly rejections: number;
  /** Tokens, money and slots: of all tries, each where it was. */
  readonly promptTokens: number;
  /** The part of `promptTokens` that was cached. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** In billionths of the currency's unit. */
  readonly costNano: number;
  /** Time that slots were held. */
  readonly slotMs: number;
}

/** What a report adds rows up by. */
export type UsageDimension = 'key' | 'team' | 'model' | 'target' | 'day' | 'hour';

export interface UsageQuery {
  /** In their order; empty: one sum. */
  readonly by: readonly UsageDimension[];
  /** Since the Unix epoch: from, and before. */
  readonly from: number;
  readonly to: number;
  /** Only of this caller, team. */
  readonly caller?: string | undefined;
  readonly team?: string | undefined;
}

/** The measures of rows, added up. `by`: one value for each dimension of the query; a key is given by its id, a day as 2026-01-31. */
export interface UsageSum
  extends Pick<
    UsageRow,
    | 'requests'
    | 'errors'
    | 'rejections'
    | 'promptTokens'
    | 'cachedTokens'
    | 'completionTokens'
    | 'costNano'
    | 'slotMs'
  > {
  readonly by: readonly string[];
}
