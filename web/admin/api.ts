/** What the page asks the routes under /admin, and what they answer. Every call carries the admin key where the tab has one. */
import type { LeasedSlots } from '../../src/core/leased-slots.ts';
import type { Limits } from '../../src/core/limit-names.ts';
import type { WaitingReason } from '../../src/core/live-snapshot.ts';
import type { Priority } from '../../src/core/priority.ts';
import { type ApiRequest, callApi } from '../api/request.ts';

/** Times are ISO 8601; null: none. */
export interface KeyView {
  readonly id: string;
  readonly name: string;
  /** The beginning of its secret. */
  readonly shown: string;
  readonly team: string | null;
  readonly labels: Readonly<Record<string, string>>;
  /** Null: all. */
  readonly models: readonly string[] | null;
  readonly highest_priority: Priority | null;
  readonly limits: Limits;
  readonly may_admin: boolean;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
  /** Until then the secret before a rotation holds too. */
  readonly overlap_until: string | null;
}

/** A key whose secret was just made: the only answer that has it. */
export interface MadeKey extends KeyView {
  readonly key: string;
}

export interface LimitState {
  /** Whom it is about: `key:alice`, `team:red`, `all`, … */
  readonly scope: string;
  readonly name: string;
  readonly limit: number;
  readonly remaining: number;
  /** When something is admitted again, or the day or month ends; null: something is now. */
  readonly resets_at: string | null;
}

export interface KeyDetails extends KeyView {
  readonly limit_states: readonly LimitState[];
}

export type UsageDimension = 'key' | 'team' | 'model' | 'target' | 'day' | 'hour';

/** Sums, beside what they are by. */
export interface UsageMeasures {
  readonly requests: number;
  readonly errors: number;
  readonly rejections: number;
  readonly prompt_tokens: number;
  readonly cached_tokens: number;
  readonly completion_tokens: number;
  readonly cost: number;
  readonly slot_seconds: number;
}

/** `key`: its name, beside its id. Null: none. */
export type UsageRow = UsageMeasures & {
  readonly [dimension in UsageDimension | 'key_id']?: string | null;
};

export interface UsageAnswer {
  readonly currency: string;
  readonly rows: readonly UsageRow[];
}

export interface TargetView {
  readonly name: string;
  readonly model: string;
  readonly backend: string;
  readonly status: string;
  readonly health: string;
  readonly running: number;
  readonly slots: number;
  readonly used: number;
  /** Absent: its slots are not leased. */
  readonly lease?: LeasedSlots;
}

/** One choice of a request: its choices share the id, by which all are cancelled. */
export interface QueueEntry {
  readonly id: string;
  readonly request_id: string;
  /** The name of its key, or else the address; null: neither is known. */
  readonly key: string | null;
  readonly team: string | null;
  readonly address: string | null;
  readonly model: string;
  readonly priority: Priority;
  /** 1: the first. */
  readonly attempt: number;
  readonly prompt_tokens: number;
  readonly waited_ms: number;
}

export interface WaitingEntry extends QueueEntry {
  readonly position: number;
  readonly reason: WaitingReason;
  readonly expires_in_ms: number;
  readonly eta_ms: number | null;
}

export interface RunningEntry extends QueueEntry {
  readonly target: string;
  readonly slot: number;
  readonly running_ms: number;
  readonly completion_tokens: number;
}

export interface QueueView {
  readonly waiting: readonly WaitingEntry[];
  readonly running: readonly RunningEntry[];
  /** With those that are not listed. */
  readonly totals: { readonly waiting: number; readonly running: number };
}

export interface ConfigurationView {
  /** As a configuration file would have it, defaults included. */
  readonly configuration: unknown;
  /** By a setting's key, where its value comes from; absent: its default. */
  readonly sources: Readonly<Record<string, string>>;
  /** Settings that a reload leaves as they are. */
  readonly needs_restart: readonly string[];
}

export interface ReloadOutcome {
  readonly changed: readonly string[];
  readonly unchanged_needs_restart: readonly string[];
}

export interface AuditEntry {
  readonly at: string;
  readonly actor: string;
  readonly address: string;
  readonly action: string;
  readonly subject: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export type CallOptions = Pick<ApiRequest, 'signal' | 'quiet'>;

/** The server answers each of these from memory or one query; a reload reads files and asks targets. */
const SILENCE_MS = 15_000;
const RELOAD_MS = 60_000;

async function call<Answer>(path: string, request: ApiRequest = {}): Promise<Answer> {
  const response = await callApi(`admin/${path}`, {
    silenceMs: SILENCE_MS,
    ...request,
    key: 'admin',
    asks: 'admin',
  });
  return (await response.json()) as Answer;
}

const post = <Answer>(path: string, body: unknown) => call<Answer>(path, { method: 'POST', body });

const oneKey = (id: string, rest = '') => `keys/${encodeURIComponent(id)}${rest}`;
/** Names of targets contain slashes, which stay. */
const oneTarget = (name: string) => `targets/${name.split('/').map(encodeURIComponent).join('/')}`;

export async function listKeys(options: CallOptions): Promise<readonly KeyView[]> {
  return (await call<{ readonly keys: readonly KeyView[] }>('keys', options)).keys;
}

export function readKey(id: string, options: CallOptions): Promise<KeyDetails> {
  return call(oneKey(id), options);
}

export function createKey(fields: Readonly<Record<string, unknown>>): Promise<MadeKey> {
  return post('keys', fields);
}

export function changeKey(id: string, fields: Readonly<Record<string, unknown>>): Promise<KeyView> {
  return call(oneKey(id), { method: 'PATCH', body: fields });
}

export function revokeKey(id: string): Promise<KeyView> {
  return call(oneKey(id, '/revoke'), { method: 'POST' });
}

export function rotateKey(id: string, overlapSeconds: number): Promise<MadeKey> {
  return post(oneKey(id, '/rotate'), { overlap_seconds: overlapSeconds });
}

export interface ListedLimits {
  readonly states: readonly LimitState[];
  /** There are keys beyond MOST_LIMIT_PAGES. */
  readonly isCut: boolean;
}

interface LimitsPage {
  readonly limits: readonly LimitState[];
  readonly next: string | null;
}

/** Of 1,000 keys each. What more keys have left would be more than a page can show and ask for every few seconds. */
export const MOST_LIMIT_PAGES = 10;

export async function listLimits(options: CallOptions): Promise<ListedLimits> {
  let page = await call<LimitsPage>('limits', options);
  const states = [...page.limits];
  for (let read = 1; page.next !== null; read += 1) {
    if (read === MOST_LIMIT_PAGES) return { states, isCut: true };
    page = await call<LimitsPage>(`limits?after=${encodeURIComponent(page.next)}`, options);
    states.push(...page.limits);
  }
  return { states, isCut: false };
}

export interface UsageQuestion {
  readonly by: readonly UsageDimension[];
  readonly from: Date;
  readonly to: Date;
}

export function readUsage({ by, from, to }: UsageQuestion, options: CallOptions): Promise<UsageAnswer> {
  const query = new URLSearchParams({
    by: by.join(),
    from: from.toISOString(),
    to: to.toISOString(),
  });
  return call(`usage?${query}`, options);
}

export async function listTargets(options: CallOptions): Promise<readonly TargetView[]> {
  return (await call<{ readonly targets: readonly TargetView[] }>('targets', options)).targets;
}

export function setTarget(name: string, action: 'drain' | 'enable'): Promise<TargetView> {
  return call(`${oneTarget(name)}/${action}`, { method: 'POST' });
}

export function readQueue(limit: number, options: CallOptions): Promise<QueueView> {
  return call(`queue?limit=${limit}`, options);
}

export function cancelRequest(id: string): Promise<unknown> {
  return call(`queue/${encodeURIComponent(id)}/cancel`, { method: 'POST' });
}

export function readConfiguration(options: CallOptions): Promise<ConfigurationView> {
  return call('configuration', options);
}

export function reload(): Promise<ReloadOutcome> {
  return call('reload', { method: 'POST', silenceMs: RELOAD_MS });
}

export async function listAudit(
  { limit, before }: { readonly limit: number; readonly before?: string },
  options: CallOptions,
): Promise<readonly AuditEntry[]> {
  const query = new URLSearchParams({ limit: String(limit), ...(before !== undefined && { before }) });
  return (await call<{ readonly entries: readonly AuditEntry[] }>(`audit?${query}`, options)).entries;
}
