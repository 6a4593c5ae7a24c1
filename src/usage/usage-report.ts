/**
 * Reports of usage, the same for the command line and for answers: what is asked for in words, rows with the names that people know, and
 * their sum. Pure but for the reader that it is given.
 */

import type { Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { isCalendarDay } from '../core/iso-time.ts';
import { NANO_PER_UNIT } from '../core/usage-measures.ts';
import type { UsageDimension, UsageQuery, UsageSum } from './usage-row.ts';

interface KeyName {
  readonly id: string;
  readonly name: string;
}

/** What reports are made of. Both promises reject with an error whose message is for operators. */
export interface UsageReader {
  /** Of the money. */
  currency(): string;
  /** Of keys with that id or that name, those that have been revoked, too. */
  keysNamed(idOrName: string): Promise<readonly KeyName[]>;
  /** Of keys with those ids, those that have been revoked, too. Ids of no key are left out. */
  namesOf(ids: readonly string[]): Promise<readonly KeyName[]>;
  /** Of all requests that have ended, if the store could be written. */
  report(query: UsageQuery): Promise<readonly UsageSum[]>;
}

export const USAGE_DIMENSIONS = [
  'key',
  'team',
  'model',
  'target',
  'day',
  'hour',
] as const satisfies readonly UsageDimension[];

/** As it was written; undefined: not at all. */
export interface UsageWords {
  readonly by?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface UsageRequest extends Pick<UsageQuery, 'by' | 'from' | 'to'> {
  /** A key's name or id: only of it. */
  readonly key?: string | undefined;
  /** A caller's id: only of it. */
  readonly caller?: string | undefined;
  readonly team?: string | undefined;
}

interface Wording {
  readonly usualBy: readonly UsageDimension[];
  /** What may be asked for. */
  readonly dimensions: readonly UsageDimension[];
  /** As the asker knows them. */
  readonly names: Readonly<Record<keyof UsageWords, string>>;
}

/** A row as it is shown: its dimensions, by their names, and what was used. */
export interface ShownUsage extends Readonly<Partial<Record<UsageDimension, string | null>>> {
  /** Beside `key`. */
  readonly key_id?: string | null;
  readonly requests: number;
  readonly errors: number;
  readonly rejections: number;
  readonly prompt_tokens: number;
  readonly cached_tokens: number;
  readonly completion_tokens: number;
  /** In units of the currency. */
  readonly cost: number;
  readonly slot_seconds: number;
}

export interface UsageReport {
  readonly currency: string;
  /** ISO, whole hours: from, and before. */
  readonly from: string;
  readonly to: string;
  readonly rows: readonly ShownUsage[];
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const USUAL_DAYS = 30;
/** By the hour, that many rows of each key, model and target. */
const MAX_DAYS_BY_HOUR = 92;
/** What configured keys have before their names, as ids. */
const CONFIGURED = 'config:';

/** Whole hours: the first one is rounded down, the last one up. Throws `invalid_request`. */
export function readUsageRequest(
  words: UsageWords,
  { usualBy, dimensions, names }: Wording,
  now: Milliseconds,
): Pick<UsageRequest, 'by' | 'from' | 'to'> {
  const by = words.by === undefined ? usualBy : dimensionsOf(words.by, dimensions, names.by);
  const usualFrom = now - (now % DAY_MS) - USUAL_DAYS * DAY_MS;
  const from = floorHour(words.from === undefined ? usualFrom : timeOf(words.from, names.from, now));
  const to = ceilHour(words.to === undefined ? now + 1 : timeOf(words.to, names.to, now));
  if (from >= to)
    throw wrong(names.from, `${names.from} must be before ${names.to}: there is no time between them.`);
  if (by.includes('hour') && to - from > MAX_DAYS_BY_HOUR * DAY_MS)
    throw wrong(
      names.from,
      `By the hour, at most ${MAX_DAYS_BY_HOUR} days can be shown. Set ${names.from} and ${names.to}, or ask by day.`,
    );
  return { by, from, to };
}

function dimensionsOf(text: string, allowed: readonly UsageDimension[], name: string): UsageDimension[] {
  const found: UsageDimension[] = [];
  for (const word of text.split(',').map((each) => each.trim())) {
    const dimension = allowed.find((each) => each === word);
    if (dimension === undefined)
      throw wrong(
        name,
        `${name} has ${shown(word)}, but may have ${allowed.join(', ')}, several with commas between them.`,
      );
    if (!found.includes(dimension)) found.push(dimension);
  }
  return found;
}

const AGO = /^(\d{1,5})(h|d)$/;
const MONTH = /^\d{4}-\d{2}$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const DATE_TIME = /^\d{4}-\d{2}-\d{2}[T ]\d{2}(:\d{2}(:\d{2}(\.\d{1,3})?)?)?(Z|[+-]\d{2}:?\d{2})?$/;

/** Without an offset, times are UTC: usage is by UTC hours. */
function timeOf(text: string, name: string, now: Milliseconds): Milliseconds {
  const [, count, unit] = AGO.exec(text) ?? [];
  if (count !== undefined) return now - Number(count) * (unit === 'd' ? DAY_MS : HOUR_MS);
  const time = Date.parse(isoOf(text));
  if (Number.isNaN(time) || time < 0)
    throw wrong(
      name,
      `${name} is ${shown(text)}, but must be a UTC month, day or time such as 2026-01, 2026-01-31 or 2026-01-31T12:00Z, or a span until now such as 24h or 7d.`,
    );
  return time;
}

function isoOf(text: string): string {
  if (MONTH.test(text)) return `${text}-01T00:00:00Z`;
  if (DATE.test(text)) return isCalendarDay(text) ? `${text}T00:00:00Z` : '';
  const [, minutes, , , offset] = DATE_TIME.exec(text) ?? [];
  if (!DATE_TIME.test(text) || !isCalendarDay(text.slice(0, 10))) return '';
  const local = offset === undefined ? text : text.slice(0, -offset.length);
  return `${local.replace(' ', 'T')}${minutes === undefined ? ':00' : ''}${offset ?? 'Z'}`;
}

const floorHour = (time: Milliseconds) => Math.floor(time / HOUR_MS) * HOUR_MS;
const ceilHour = (time: Milliseconds) => Math.ceil(time / HOUR_MS) * HOUR_MS;

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

function wrong(param: string, message: string): ServingError {
  return new ServingError('invalid_request', { message, param });
}

/** Rejects as the reader does. */
export async function usageReport(reader: UsageReader, request: UsageRequest): Promise<UsageReport> {
  const { by, from, to, key, caller, team } = request;
  const query = { by, from, to, team };
  const sums =
    key === undefined
      ? await reader.report({ ...query, caller })
      : addedUp(await reportsOf(reader, query, callersOf(key, await reader.keysNamed(key))));
  const names = await namesIn(sums, by, reader);
  const rows = sums.map((sum) => shownUsage(sum, by, names));
  return {
    currency: reader.currency(),
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    rows: rows.sort((one, other) => compare(by, one, other)),
  };
}

/** A revoked key may have had the name of one that is there now: both are meant. A key of the configuration leaves no record. */
function callersOf(key: string, stored: readonly KeyName[]): string[] {
  return [...stored.map(({ id }) => id), key.startsWith(CONFIGURED) ? key : `${CONFIGURED}${key}`];
}

function reportsOf(
  reader: UsageReader,
  query: UsageQuery,
  callers: readonly string[],
): Promise<(readonly UsageSum[])[]> {
  return Promise.all(callers.map((caller) => reader.report({ ...query, caller })));
}

/** Names of the keys that these rows are of, by id. */
async function namesIn(
  sums: readonly UsageSum[],
  by: readonly UsageDimension[],
  reader: UsageReader,
): Promise<ReadonlyMap<string, string>> {
  const at = by.indexOf('key');
  if (at === -1) return new Map();
  const ids = new Set(sums.map((sum) => sum.by[at] ?? ''));
  const ofStore = [...ids].filter((id) => id !== '' && !id.startsWith(CONFIGURED));
  if (ofStore.length === 0) return new Map();
  return new Map((await reader.namesOf(ofStore)).map(({ id, name }) => [id, name]));
}

function addedUp(reports: readonly (readonly UsageSum[])[]): readonly UsageSum[] {
  const sums = new Map<string, UsageSum>();
  for (const sum of reports.flat()) {
    const place = JSON.stringify(sum.by);
    const known = sums.get(place);
    sums.set(place, known === undefined ? sum : { ...added(known, sum), by: sum.by });
  }
  return [...sums.values()];
}

function added(one: UsageSum, other: UsageSum): Omit<UsageSum, 'by'> {
  return {
    requests: one.requests + other.requests,
    errors: one.errors + other.errors,
    rejections: one.rejections + other.rejections,
    promptTokens: one.promptTokens + other.promptTokens,
    cachedTokens: one.cachedTokens + other.cachedTokens,
    completionTokens: one.completionTokens + other.completionTokens,
    costNano: one.costNano + other.costNano,
    slotMs: one.slotMs + other.slotMs,
  };
}

function shownUsage(
  sum: UsageSum,
  by: readonly UsageDimension[],
  names: ReadonlyMap<string, string>,
): ShownUsage {
  const dimensions = by.flatMap((dimension, index): [string, string | null][] => {
    const value = sum.by[index] ?? '';
    if (dimension === 'key') {
      const name =
        names.get(value) ?? (value.startsWith(CONFIGURED) ? value.slice(CONFIGURED.length) : value);
      return [
        ['key', name || null],
        ['key_id', value || null],
      ];
    }
    if (dimension === 'hour') return [[dimension, `${value}:00:00Z`]];
    return [[dimension, value || null]];
  });
  return {
    ...(Object.fromEntries(dimensions) as Partial<Record<UsageDimension, string | null>>),
    requests: sum.requests,
    errors: sum.errors,
    rejections: sum.rejections,
    prompt_tokens: sum.promptTokens,
    cached_tokens: sum.cachedTokens,
    completion_tokens: sum.completionTokens,
    cost: sum.costNano / NANO_PER_UNIT,
    slot_seconds: Math.round(sum.slotMs) / 1000,
  };
}

/** By the dimensions in their order; what has no value comes last. */
function compare(by: readonly UsageDimension[], one: ShownUsage, other: ShownUsage): number {
  for (const dimension of by) {
    const [left, right] = [one[dimension] ?? null, other[dimension] ?? null];
    if (left === right) continue;
    if (left === null || right === null) return left === null ? 1 : -1;
    return left < right ? -1 : 1;
  }
  return 0;
}

/** Of all rows together. */
export function sumOfUsage(rows: readonly ShownUsage[]): ShownUsage {
  let costNano = 0;
  let slotMs = 0;
  const sum = {
    requests: 0,
    errors: 0,
    rejections: 0,
    prompt_tokens: 0,
    cached_tokens: 0,
    completion_tokens: 0,
  };
  for (const row of rows) {
    for (const measure of Object.keys(sum) as (keyof typeof sum)[]) sum[measure] += row[measure];
    // Whole numbers again: sums of decimals would not be exact.
    costNano += Math.round(row.cost * NANO_PER_UNIT);
    slotMs += Math.round(row.slot_seconds * 1000);
  }
  return { ...sum, cost: costNano / NANO_PER_UNIT, slot_seconds: slotMs / 1000 };
}
