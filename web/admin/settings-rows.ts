/** Pure: a configuration as rows, a setting each. */

export interface SettingRow {
  /** `scheduler.max_queue`, `models[0].targets[1].url`. */
  readonly path: string;
  readonly value: string;
  /** The server does not tell its value. */
  readonly isSecret: boolean;
}

/** What the server writes in place of a secret. */
const SECRET = '(secret)';

export function settingRows(value: unknown, path = ''): readonly SettingRow[] {
  if (Array.isArray(value)) {
    if (value.length > 0 && value.some(isNested))
      return value.flatMap((each, at) => settingRows(each, `${path}[${at}]`));
  } else if (isNested(value)) {
    const entries = Object.entries(value);
    if (entries.length > 0)
      return entries.flatMap(([name, each]) => settingRows(each, path === '' ? name : `${path}.${name}`));
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
