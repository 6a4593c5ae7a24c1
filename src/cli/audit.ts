/** `llm-serve audit`: what administrators did, from the store of the configuration. */
import type { Command } from 'commander';
import type { AuditEntry } from '../access/audit-log.ts';
import { ConfigError } from '../config/config-error.ts';
import { parseIsoTime } from '../core/iso-time.ts';
import { printableLine, printableText } from '../core/log.ts';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';
import { openConfiguredStore } from './opened-store.ts';
import { flagsOf, STORE_SECTIONS, withSections } from './settings-flags.ts';

const USUAL_LIMIT = 50;
const MAX_LIMIT = 100_000;

export function addAuditCommand(program: Command, { exit }: CommandFrame): void {
  const command = program
    .command('audit')
    .helpGroup(COMMAND_GROUPS.access)
    .description('What administrators did: keys, targets, reloads, cancelled requests.')
    .optionsGroup('Options:')
    .option('--limit <number>', `the newest so many (default: ${USUAL_LIMIT})`)
    .option('--before <time>', 'only what was done before, such as 2027-01-31 or 2027-01-31T12:00:00Z')
    .option('--json', 'print JSON, the newest first');
  withSections(command, STORE_SECTIONS).action(async () => {
    await printAudit(command);
    exit(0);
  });
}

async function printAudit(command: Command): Promise<void> {
  const limit = limitOf(command.getOptionValue('limit') as string | undefined);
  const before = timeOf(command.getOptionValue('before') as string | undefined);
  const store = await openConfiguredStore(flagsOf(command), 'read');
  const entries = await store.audit.list({ limit, before }).finally(() => store.close());
  if (command.getOptionValue('json') === true) {
    const shown = entries.map((entry) => ({ ...entry, at: new Date(entry.at).toISOString() }));
    process.stdout.write(`${printableText(JSON.stringify(shown, null, 2))}\n`);
    return;
  }
  // As a log is read: the newest at the end.
  for (const line of entries.map(auditLine).reverse()) process.stdout.write(`${line}\n`);
  if (entries.length === 0) process.stdout.write('Nothing is in the audit log.\n');
  else if (entries.length === limit)
    process.stderr.write(
      `These are the newest ${limit}. Older ones: --before ${shownTime(entries.at(-1))}\n`,
    );
}

/** `2027-01-31T12:00:00.000Z admin_keys[0] at 10.1.2.3: key.create key_3f… {"name":"alice"}` */
export function auditLine(entry: AuditEntry): string {
  const { actor, address, action, subject, details, damage } = entry;
  const who = address === '' ? actor : `${actor} at ${address}`;
  const facts = Object.keys(details).length === 0 ? '' : ` ${JSON.stringify(details)}`;
  const unread = damage === undefined ? '' : ` (${damage} can’t be read)`;
  return printableLine(
    `${shownTime(entry)} ${who}: ${action}${subject === '' ? '' : ` ${subject}`}${facts}${unread}`,
  );
}

function shownTime(entry: AuditEntry | undefined): string {
  return new Date(entry?.at ?? 0).toISOString();
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return USUAL_LIMIT;
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new ConfigError(
    `--limit is ${JSON.stringify(text)}, but must be a whole number from 1 to ${MAX_LIMIT}.`,
  );
}

function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = parseIsoTime(text);
  if (time !== undefined) return time;
  throw new ConfigError(
    `--before is ${JSON.stringify(text)}, but must be a date or a time such as 2027-01-31T12:00:00Z.`,
  );
}
