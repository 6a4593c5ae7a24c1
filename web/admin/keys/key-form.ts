/** Pure: the form of a key, and the fields of the admin API that it stands for. Only what was set, or changed, is sent. */
import { LIMIT_KINDS, LIMIT_NAMES, type LimitName } from '../../../src/core/limit-names.ts';
import type { Priority } from '../../../src/core/priority.ts';
import type { KeyView } from '../api.ts';

export interface KeyForm {
  readonly name: string;
  readonly team: string;
  /** A line each: `name=value`. */
  readonly labels: string;
  /** None: all. */
  readonly models: readonly string[];
  readonly highestPriority: Priority | '';
  readonly mayAdmin: boolean;
  readonly expiry: Expiry;
  /** As `<input type="datetime-local">` has it, by this browser's clock; of `expiry: 'at'`. */
  readonly expiresAt: string;
  /** As typed; empty: no such limit. */
  readonly limits: Readonly<Record<LimitName, string>>;
}

/** Seconds from now, a time, or as it is. */
export type Expiry = 'never' | 'at' | 'same' | '86400' | '604800' | '2592000' | '7776000' | '31536000';

export const EXPIRIES: Readonly<Record<Exclude<Expiry, 'same'>, string>> = {
  never: 'never',
  86400: 'in a day',
  604800: 'in 7 days',
  2592000: 'in 30 days',
  7776000: 'in 90 days',
  31536000: 'in a year',
  at: 'at a time …',
};

/** A field of the form that is wrong: its words. By the names of the API: `limits.tokens_per_day`. */
export type Problems = Readonly<Record<string, string>>;

type Fields = Readonly<Record<string, unknown>>;

const NO_LIMITS = Object.fromEntries(LIMIT_NAMES.map((name) => [name, ''])) as Record<LimitName, string>;

export const EMPTY_FORM: KeyForm = {
  name: '',
  team: '',
  labels: '',
  models: [],
  highestPriority: '',
  mayAdmin: false,
  expiry: 'never',
  expiresAt: '',
  limits: NO_LIMITS,
};

export function formOf(key: KeyView): KeyForm {
  return {
    name: key.name,
    team: key.team ?? '',
    labels: labelLines(key.labels),
    models: key.models ?? [],
    highestPriority: key.highest_priority ?? '',
    mayAdmin: key.may_admin,
    expiry: key.expires_at === null ? 'never' : 'same',
    expiresAt: '',
    limits: Object.fromEntries(
      LIMIT_NAMES.map((name) => [name, key.limits[name]?.toString() ?? '']),
    ) as Record<LimitName, string>,
  };
}

/** What the form says, or what is wrong with it. `before`: the key that is changed; labels that are as they were are left out. */
export function readForm(
  form: KeyForm,
  before?: KeyView,
): { readonly fields: Fields } | { readonly problems: Problems } {
  const problems: Record<string, string> = {};
  const name = form.name.trim();
  if (name === '') problems.name = 'A key needs a name.';
  const labels = form.labels === labelLines(before?.labels ?? {}) ? undefined : readLabels(form.labels);
  if (labels === 'no labels') problems.labels = 'Write a label a line, as name=value.';
  else if (labels !== undefined && before !== undefined && !canBeWritten(before.labels))
    problems.labels =
      'This key has labels that lines can’t say: their names have a =, or their values line breaks or spaces at their ends. Change them with PATCH /admin/keys/{id}.';
  const limits: Record<string, number> = {};
  for (const limit of LIMIT_NAMES) {
    const text = form.limits[limit].trim();
    if (text === '') continue;
    const value = Number(text);
    const isMoney = LIMIT_KINDS[limit].counts === 'money';
    if (!Number.isFinite(value) || (isMoney ? value < 0 : value < 1 || !Number.isSafeInteger(value)))
      problems[`limits.${limit}`] = isMoney
        ? 'Write an amount of money.'
        : 'Write a whole number, 1 or more.';
    else limits[limit] = value;
  }
  const expiry = readExpiry(form);
  if (expiry === undefined) problems.expires_at = 'Write a date and a time.';
  if (Object.keys(problems).length > 0) return { problems };
  return {
    fields: {
      name,
      team: form.team.trim() || null,
      ...(labels !== undefined && { labels }),
      models: form.models.length === 0 ? null : form.models,
      highest_priority: form.highestPriority || null,
      may_admin: form.mayAdmin,
      limits,
      ...expiry,
    },
  };
}

/** For a new key: what is not set is left out. */
export function newKeyFields(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isNothing(value)));
}

/** Of a key that is there: what is different. A label or limit that is gone is null. */
export function changedFields(fields: Fields, before: KeyView): Fields {
  const known: Fields = { ...before };
  const changes = Object.entries(fields).flatMap(([name, value]): [string, unknown][] => {
    if (name === 'labels' || name === 'limits') {
      const patch = patchOf(before[name], value as Fields);
      return Object.keys(patch).length === 0 ? [] : [[name, patch]];
    }
    return JSON.stringify(value) === JSON.stringify(known[name]) ? [] : [[name, value]];
  });
  return Object.fromEntries(changes);
}

/** As a JSON merge patch. */
function patchOf(before: Fields, after: Fields): Fields {
  const gone = Object.keys(before).filter((name) => !(name in after));
  const changed = Object.entries(after).filter(([name, value]) => before[name] !== value);
  return Object.fromEntries([...gone.map((name) => [name, null] as const), ...changed]);
}

function isNothing(value: unknown): boolean {
  if (value === null || value === false) return true;
  return typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length === 0;
}

function labelLines(labels: KeyView['labels']): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');
}

/** Whether they are read as they are written. */
function canBeWritten(labels: KeyView['labels']): boolean {
  const read = readLabels(labelLines(labels));
  return read !== 'no labels' && Object.keys(patchOf(labels, read)).length === 0;
}

function readLabels(text: string): Readonly<Record<string, string>> | 'no labels' {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const labels: Record<string, string> = {};
  for (const line of lines) {
    const at = line.indexOf('=');
    const name = line.slice(0, at).trim();
    if (at === -1 || name === '') return 'no labels';
    labels[name] = line.slice(at + 1).trim();
  }
  return labels;
}

function readExpiry({ expiry, expiresAt }: KeyForm): Fields | undefined {
  if (expiry === 'same') return {};
  if (expiry === 'never') return { expires_at: null };
  if (expiry !== 'at') return { expires_in: Number(expiry) };
  const time = new Date(expiresAt);
  return Number.isNaN(time.getTime()) ? undefined : { expires_at: time.toISOString() };
}
