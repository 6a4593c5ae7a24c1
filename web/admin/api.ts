/**
 * What the page asks the routes under /admin, and what they answer, by the types of their own schemas. Every call carries the admin key
 * where the tab has one.
 */
import type { Static } from 'typebox';
import type { KeyView } from '../../src/access/key-view.ts';
import type * as answers from '../../src/http/routes/admin/answer-schemas.ts';
import type { UsageAnswer } from '../../src/http/routes/usage-report-schema.ts';
import type { UsageDimension } from '../../src/usage/usage-row.ts';
import { type ApiRequest, callApi } from '../api/request.ts';

export type { KeyView, UsageAnswer, UsageDimension };

type KeysPage = Static<typeof answers.KeysAnswer>;
type KeyDetails = Static<typeof answers.KeyAnswer>;
/** A key whose secret was just made: the only answer that has it. */
export type MadeKey = Static<typeof answers.MadeKeyAnswer>;
export type LimitState = Static<typeof answers.LimitState>;
type LimitsPage = Static<typeof answers.LimitsAnswer>;
type Targets = Static<typeof answers.TargetsAnswer>;
export type TargetView = Targets['targets'][number];
type ChangedTarget = Static<typeof answers.TargetAnswer>;
export type QueueView = Static<typeof answers.QueueAnswer>;
export type WaitingEntry = QueueView['waiting'][number];
export type RunningEntry = QueueView['running'][number];
/** One choice of a request: its choices share the id, by which all are cancelled. */
export type QueueEntry = Pick<RunningEntry, keyof RunningEntry & keyof WaitingEntry>;
export type ConfigurationView = Static<typeof answers.ConfigurationAnswer>;
export type ReloadOutcome = Static<typeof answers.ReloadAnswer>;
type AuditPage = Static<typeof answers.AuditAnswer>;
export type AuditEntry = AuditPage['entries'][number];
export type UsageRow = UsageAnswer['rows'][number];
/** Sums, beside what they are by. */
export type UsageMeasures = Omit<UsageRow, UsageDimension | 'key_id'>;

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

export interface KeysQuestion {
  readonly limit: number;
  readonly after?: string | undefined;
  readonly filter: string;
  readonly withRevoked: boolean;
}

export function listKeys(
  { limit, after, filter, withRevoked }: KeysQuestion,
  options: CallOptions,
): Promise<KeysPage> {
  const query = new URLSearchParams({
    limit: String(limit),
    ...(after !== undefined && { after }),
    ...(filter !== '' && { filter }),
    ...(!withRevoked && { revoked: 'false' }),
  });
  return call(`keys?${query}`, options);
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
  return (await call<Targets>('targets', options)).targets;
}

export function setTarget(name: string, action: 'drain' | 'enable'): Promise<ChangedTarget> {
  return call(`${oneTarget(name)}/${action}`, { method: 'POST' });
}

export function readQueue(limit: number, options: CallOptions): Promise<QueueView> {
  return call(`queue?limit=${limit}`, options);
}

export function cancelRequest(id: string): Promise<Static<typeof answers.CancelAnswer>> {
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
  return (await call<AuditPage>(`audit?${query}`, options)).entries;
}
