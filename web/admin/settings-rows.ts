/** Pure: a configuration as rows, a setting each. */
import type { ConfigurationView } from './api.ts';

export interface SettingRow {
  /** `scheduler.max_queue`, `models[0].targets[1].url`. */
  readonly path: string;
  readonly value: string;
  /** The server does not tell its value. */
  readonly isSecret: boolean;
  /** `flag`, `environment`, `file` or `default`. */
  readonly source: string;
  /** A reload leaves it as it is. */
  readonly needsRestart: boolean;
}

/** Where values come from, and what a reload leaves, is known by the keys of settings, which may have parts. */
export function settingRows({
  configuration,
  sources,
  needs_restart,
}: ConfigurationView): readonly SettingRow[] {
  const restarts = new Set(needs_restart);
  return rowsOf(configuration, '').map((row) => {
    const keys = keysOf(row.path);
    return {
      ...row,
      source: keys.map((key) => sources[key]).find((source) => source !== undefined) ?? 'default',
      needsRestart: keys.some((key) => restarts.has(key)),
    };
  });
}

/** Of `models[0].targets[1].url`: itself, `models[0].targets[1]`, …, `models`. */
function keysOf(path: string): readonly string[] {
  const ends = [...path.matchAll(/[.[]/g)].map(({ index }) => path.slice(0, index));
  return [path, ...ends.reverse()];
}

/** What the server writes in place of a secret. */
const SECRET = '(secret)';

type PlainRow = Pick<SettingRow, 'path' | 'value' | 'isSecret'>;

function rowsOf(value: unknown, path: string): readonly PlainRow[] {
  if (Array.isArray(value)) {
    if (value.length > 0 && value.some(isNested))
      return value.flatMap((each, at) => rowsOf(each, `${path}[${at}]`));
  } else if (isNested(value)) {
    const entries = Object.entries(value);
    if (entries.length > 0)
      return entries.flatMap(([name, each]) => rowsOf(each, path === '' ? name : `${path}.${name}`));
  }
  return [{ path, value: textOf(value), isSecret: isSecret(value) }];
}

function isSecret(value: unknown): boolean {
  return value === SECRET || (Array.isArray(value) && value.length > 0 && value.every(isSecret));
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? `[${value.map(textOf).join(', ')}]` : JSON.stringify(value);
}

function isNested(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
