/**
 * Adds up the usage of requests that have ended, until it is written. One row for each hour, caller, model and target. Pure: the time is
 * an argument. Called once for every request, so it makes nothing but new rows.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { ConsumedTry } from '../core/consumption.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import type { Prices } from './prices.ts';
import { type TeamSums, TeamUsage } from './team-usage.ts';
import type { UsageRow } from './usage-row.ts';

/** What counts of a request. */
export type EndedRequest = Pick<
  RequestTrace,
  'caller' | 'model' | 'servedModel' | 'target' | 'consumed' | 'errorCode'
>;

const HOUR_MS = 3_600_000;

/** Refused by a limit, a budget, or a full queue. */
const REJECTIONS: ReadonlySet<ErrorCode> = new Set([
  'rate_limited',
  'budget_exceeded',
  'client_queue_full',
  'queue_full',
  'queue_timeout',
  'server_busy',
]);

/** Nobody knows whose they are. */
const REFUSED_AT_THE_DOOR: ReadonlySet<ErrorCode> = new Set([
  'missing_api_key',
  'invalid_api_key',
  'revoked_api_key',
  'too_many_attempts',
  'forbidden',
  'loop_detected',
]);

class Row implements UsageRow, TeamSums {
  readonly hour: Milliseconds;
  readonly caller: string;
  readonly team: string;
  readonly model: string;
  readonly target: string;
  requests: number;
  errors: number;
  rejections: number;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  costNano: number;
  slotMs: number;

  constructor(hour: Milliseconds, of: Pick<UsageRow, 'caller' | 'team' | 'model' | 'target'>) {
    this.hour = hour;
    this.caller = of.caller;
    this.team = of.team;
    this.model = of.model;
    this.target = of.target;
    this.requests = 0;
    this.errors = 0;
    this.rejections = 0;
    this.promptTokens = 0;
    this.cachedTokens = 0;
    this.completionTokens = 0;
    this.costNano = 0;
    this.slotMs = 0;
  }
}

type ByTarget = Map<string, Row>;
type ByModel = Map<string, ByTarget>;
type ByCaller = Map<string, ByModel>;

export class UsageAccumulator {
  #rows: Row[] = [];
  /** Of the current hour, by team, caller, model and target: those that requests are added to. */
  #index = new Map<string, ByCaller>();
  #hour: Milliseconds = 0;
  #dropped = 0;
  /** Since the start. */
  readonly teams = new TeamUsage();

  /** Rows that wait to be taken. */
  get waiting(): number {
    return this.#rows.length;
  }

  /** What found no room, since the start: each time that a request had to be left out of a row. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * The request counts where it was answered, or tried last; what it consumed counts where each try was. `now`: since the Unix epoch.
   * `room`: how many rows may wait.
   */
  add(
    ended: EndedRequest,
    { now, room, prices }: { readonly now: Milliseconds; readonly room: number; readonly prices: Prices },
  ): void {
    const { caller, model = '', servedModel = model, target = '', consumed, errorCode } = ended;
    if (errorCode !== undefined && REFUSED_AT_THE_DOOR.has(errorCode)) return;
    this.#turnTo(now - (now % HOUR_MS));
    const byModel = this.#ofCaller(caller?.team ?? '', caller?.id ?? '');
    const last = this.#row(byModel, servedModel, target, room, caller);
    const team = this.teams.of(caller?.team ?? '');
    addRequest(team, errorCode);
    if (last !== undefined) addRequest(last, errorCode);
    if (consumed === undefined) return;
    for (const each of consumed.tries) {
      const isLast = each.target === target && each.model === servedModel;
      const row = isLast ? last : this.#row(byModel, each.model, each.target, room, caller);
      const costNano = prices.costNano(each.model, each);
      addTry(team, each, costNano);
      if (row !== undefined) addTry(row, each, costNano);
    }
  }

  /** At most so many, the oldest first; they are the caller's from now on. */
  take(most: number): readonly UsageRow[] {
    const taken = this.#rows.splice(0, most);
    this.#index = new Map();
    for (const row of taken) row.slotMs = Math.round(row.slotMs);
    return taken;
  }

  /** Rows of another hour wait, and are not added to any more. */
  #turnTo(hour: Milliseconds): void {
    if (hour === this.#hour) return;
    this.#hour = hour;
    this.#index = new Map();
  }

  #ofCaller(team: string, id: string): ByModel {
    let byCaller = this.#index.get(team);
    if (byCaller === undefined) {
      byCaller = new Map();
      this.#index.set(team, byCaller);
    }
    let byModel = byCaller.get(id);
    if (byModel === undefined) {
      byModel = new Map();
      byCaller.set(id, byModel);
    }
    return byModel;
  }

  /** Undefined: no room is left for another one. */
  #row(
    byModel: ByModel,
    model: string,
    target: string,
    room: number,
    caller: EndedRequest['caller'],
  ): Row | undefined {
    let byTarget = byModel.get(model);
    const known = byTarget?.get(target);
    if (known !== undefined) return known;
    if (this.#rows.length >= room) {
      this.#dropped += 1;
      return undefined;
    }
    if (byTarget === undefined) {
      byTarget = new Map();
      byModel.set(model, byTarget);
    }
    const of = { caller: caller?.id ?? '', team: caller?.team ?? '', model, target };
    const row = new Row(this.#hour, of);
    byTarget.set(target, row);
    this.#rows.push(row);
    return row;
  }
}

function addRequest(sums: TeamSums, errorCode: ErrorCode | undefined): void {
  sums.requests += 1;
  if (errorCode === undefined || errorCode === 'client_gone') return;
  if (REJECTIONS.has(errorCode)) sums.rejections += 1;
  else sums.errors += 1;
}

function addTry(sums: TeamSums, consumed: ConsumedTry, costNano: number): void {
  sums.promptTokens += consumed.promptTokens;
  sums.cachedTokens += consumed.cachedTokens;
  sums.completionTokens += consumed.completionTokens;
  sums.slotMs += consumed.slotMs;
  sums.costNano += costNano;
}
