/** The options that say what a key may do, and the fields that they become. Pure. */
import type { Command } from 'commander';
import { ConfigError } from '../config/config-error.ts';
import { LIMIT_KINDS, LIMIT_NAMES, type LimitName } from '../core/limit-names.ts';
import { PRIORITIES } from '../core/priority.ts';

/** As readNewKey takes them, but for the name. */
export type KeyFieldValues = Readonly<Record<string, unknown>>;

const flagOf = (name: LimitName) => `--${name.replaceAll('_', '-')}`;

export function withKeyOptions(command: Command): Command {
  command
    .optionsGroup('The key:')
    .option('--team <name>', 'usage and limits can go by it')
    .option('--label <name=value>', 'anything else to know it by; may be given more than once', collect)
    .option('--models <names>', 'ids of the models that it may use, separated by commas (default: all)')
    .option('--highest-priority <priority>', `${PRIORITIES.join(', ')}: a higher one is lowered to it`)
    .option('--expires <when>', 'after a time such as 90d or 12h, or at a date such as 2027-01-31')
    .option('--may-admin [true|false]', 'it may call the routes under /admin');
  command.optionsGroup('Its limits:');
  for (const name of LIMIT_NAMES) command.option(`${flagOf(name)} <number>`, LIMIT_KINDS[name].description);
  return command;
}

/** The words that take something away from a key that has it. */
const NONE: ReadonlySet<string> = new Set(['none', 'all', 'never']);

export const CHANGE_HELP = `
What is not named stays. To take something away: --team none, --models all, --expires never,
--tokens-per-day none, --label name= and --may-admin false.`;

/** Only what was given. */
export function keyFieldsOf(command: Command): KeyFieldValues {
  const text = (flag: string) => {
    const option = command.options.find(({ long }) => long === flag);
    return option && (command.getOptionValue(option.attributeName()) as string | undefined);
  };
  const labels = command.getOptionValue('label') as readonly string[] | undefined;
  const [team, models, priority, expires] = [
    text('--team'),
    text('--models'),
    text('--highest-priority'),
    text('--expires'),
  ];
  const mayAdmin = flagValue(command.getOptionValue('mayAdmin') as string | true | undefined);
  const limits = LIMIT_NAMES.flatMap((name) => {
    const amount = text(flagOf(name));
    return amount === undefined ? [] : [[name, amountOf(amount, flagOf(name))] as const];
  });
  return {
    ...(team !== undefined && { team: unlessNone(team) }),
    ...(labels !== undefined && { labels: Object.fromEntries(labels.map(labelOf)) }),
    ...(models !== undefined && { models: NONE.has(models) ? null : listOf(models) }),
    ...(priority !== undefined && { highest_priority: unlessNone(priority) }),
    ...(expires !== undefined && expiryOf(expires)),
    ...(mayAdmin !== undefined && { may_admin: mayAdmin }),
    ...(limits.length > 0 && { limits: Object.fromEntries(limits) }),
  };
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function flagValue(value: string | true | undefined): boolean | undefined {
  if (value === undefined || value === true) return value;
  if (value === 'true' || value === 'false') return value === 'true';
  throw new ConfigError(`--may-admin is ${JSON.stringify(value)}, but must be true or false.`);
}

function unlessNone(text: string): string | null {
  return NONE.has(text) ? null : text;
}

/** Without a value: null, which takes it away. */
function labelOf(text: string): readonly [string, string | null] {
  const at = text.indexOf('=');
  if (at < 1) throw new ConfigError(`--label is ${JSON.stringify(text)}, but must be name=value.`);
  return [text.slice(0, at), text.slice(at + 1) || null];
}

function listOf(text: string): readonly string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** `100_000` and `100000` are the same. What a number may be, the key's own rules say. */
function amountOf(text: string, flag: string): number | null {
  if (NONE.has(text)) return null;
  const digits = text.trim().replaceAll('_', '');
  if (/^\d+(\.\d+)?$/.test(digits)) return Number(digits);
  throw new ConfigError(
    `${flag} is ${JSON.stringify(text)}, but must be a number that is not negative, such as 60 or 100_000, or none.`,
  );
}

const SECONDS_OF: Readonly<Record<string, number>> = { s: 1, m: 60, min: 60, h: 3600, d: 86_400, w: 604_800 };
const DURATION = /^(\d+)\s*(s|m|min|h|d|w)$/;

/** `90d`; undefined: it is no length of time. */
function secondsOf(text: string): number | undefined {
  const [, count, unit] = DURATION.exec(text.trim()) ?? [];
  return count === undefined || unit === undefined ? undefined : Number(count) * (SECONDS_OF[unit] ?? 0);
}

function expiryOf(text: string): KeyFieldValues {
  if (NONE.has(text)) return { expires_at: null };
  const seconds = secondsOf(text);
  if (seconds !== undefined) return { expires_in: seconds };
  if (/^\d{4}-/.test(text)) return { expires_at: text };
  throw new ConfigError(
    `--expires is ${JSON.stringify(text)}, but must be a time such as 90d, 12h or 30m, or a date such as 2027-01-31.`,
  );
}

/** `--overlap`, in milliseconds. `0` is none. */
export function overlapOf(text: string | undefined): number {
  if (text === undefined || text.trim() === '0') return 0;
  const seconds = secondsOf(text);
  if (seconds !== undefined) return seconds * 1000;
  throw new ConfigError(
    `--overlap is ${JSON.stringify(text)}, but must be a time such as 24h, 30m or 7d, or 0.`,
  );
}
