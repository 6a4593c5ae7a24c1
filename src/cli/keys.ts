/** `llm-serve keys create|list|show|change|revoke|rotate|import`: the keys of access.store. A running server takes changes within a second. */
import { text as textOf } from 'node:stream/consumers';
import type { Command } from 'commander';
import { AuditTrail } from '../access/audit-trail.ts';
import { AuditedKeys, type KeyActor } from '../access/audited-keys.ts';
import { KeyAdministration, type MadeKey } from '../access/key-administration.ts';
import type { KeyRecord } from '../access/key-record.ts';
import { keyView } from '../access/key-view.ts';
import { ConfigError } from '../config/config-error.ts';
import { ServingError } from '../core/errors.ts';
import { type Log, printableText, silentLog } from '../core/log.ts';
import { StoreError } from '../core/store-error.ts';
import type { StoreAccess } from '../stores/store.ts';
import { systemClock } from '../system-clock.ts';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';
import { readImportedKeys } from './key-import.ts';
import { CHANGE_HELP, keyFieldsOf, overlapOf, withKeyOptions } from './key-options.ts';
import { keyLines, keyTable, timeText } from './key-text.ts';
import { openConfiguredStore } from './opened-store.ts';
import { thisOperator } from './operator.ts';
import { flagsOf, STORE_SECTIONS, withSections } from './settings-flags.ts';
import { rejectUnknownWithin } from './unknown-command.ts';
import { unknownModelsText } from './unknown-models.ts';

const KEY_ARGUMENT = 'its name or its id';

export function addKeyCommands(program: Command, { exit }: CommandFrame): void {
  const keys = program
    .command('keys')
    .helpGroup(COMMAND_GROUPS.access)
    .helpCommand(false)
    .description('create, list, show, change, revoke, rotate, import: who may call.');
  rejectUnknownWithin(keys);
  const add = (
    command: Command,
    run: (session: KeySession) => Promise<void>,
    access: StoreAccess = 'write',
  ) =>
    withSections(command.optionsGroup('Options:').option('--json', 'print JSON'), STORE_SECTIONS).action(
      async () => {
        await withSession(command, access, run);
        exit(0);
      },
    );

  add(
    withKeyOptions(
      keys
        .command('create')
        .description('Make a key. It is printed once: only its hash is stored.')
        .requiredOption('--name <name>', 'how people know it'),
    ),
    createKey,
  );
  add(keys.command('list').alias('ls').description('All keys, revoked ones too.'), listKeys, 'read');
  add(
    keys.command('show').argument('<key>', KEY_ARGUMENT).description('What a key may do.'),
    showKey,
    'read',
  );
  add(
    withKeyOptions(
      keys
        .command('change')
        .argument('<key>', KEY_ARGUMENT)
        .description('Change what a key may do.')
        .option('--name <name>', 'another name')
        .addHelpText('after', CHANGE_HELP),
    ),
    changeKey,
  );
  add(
    keys.command('revoke').argument('<key>', KEY_ARGUMENT).description('Refuse a key from now on, for good.'),
    revokeKey,
  );
  add(
    keys
      .command('rotate')
      .argument('<key>', KEY_ARGUMENT)
      .description('Give a key another secret; its name, limits and usage stay.')
      .option('--overlap <time>', 'the secret before is accepted for so long, such as 24h (default: 0)'),
    rotateKey,
  );
  add(
    withKeyOptions(
      keys
        .command('import')
        .description('Take over keys from standard input: one a line, NAME KEY, or JSON.')
        .addHelpText('after', IMPORT_HELP),
    ),
    importKeys,
  );
}

const IMPORT_HELP = `
Each line is KEY, NAME KEY, or JSON such as {"name":"alice","key":"…","team":"red"}. In place of the key
there may be its SHA-256: sha256:HEX. The options hold for all of them.`;

/** What the commands work on. */
interface KeySession {
  readonly keys: KeyAdministration;
  readonly command: Command;
  readonly asJson: boolean;
  readonly now: number;
  /** Changes, with their entries in the audit log. */
  readonly audited: AuditedKeys;
  /** Who makes them. */
  readonly by: KeyActor;
}

async function withSession(
  command: Command,
  access: StoreAccess,
  run: (session: KeySession) => Promise<void>,
): Promise<void> {
  const store = await openConfiguredStore(flagsOf(command), access);
  try {
    const now = systemClock.wallNow();
    const keys = new KeyAdministration({ store: store.keys, now: () => systemClock.wallNow() });
    const asJson = command.getOptionValue('json') === true;
    const audit = new AuditTrail({ store: store.audit, log: commandLog, now: () => systemClock.wallNow() });
    const audited = new AuditedKeys({ keys, audit, now: () => systemClock.wallNow() });
    await run({ keys, audited, by: thisOperator(), command, asJson, now });
  } catch (error) {
    throw explained(error);
  } finally {
    await store.close();
  }
}

/** As the other commands put it: wrong usage is a ConfigError, and a store that fails is explained by its own words. */
function explained(error: unknown): unknown {
  if (!(error instanceof ServingError)) return error;
  if (error.code === 'invalid_request') return new ConfigError(error.message);
  return error.cause instanceof StoreError ? error.cause : error;
}

/** What the log of a server says besides is no concern of who types a command. */
const commandLog: Log = {
  ...silentLog,
  warn: (message) => void process.stderr.write(`llm-serve: ${printableText(message)}\n`),
};

async function createKey({ keys, audited, by, command, asJson, now }: KeySession): Promise<void> {
  const isFirst = (await keys.page({ limit: 1, withRevoked: true }))?.records.length === 0;
  const made = await audited.create(by, { name: command.getOptionValue('name'), ...keyFieldsOf(command) });
  await printMade(made, { asJson, now });
  explainModels(command, made.record);
  if (asJson) return;
  explain(`This is the only time that the key is shown: only its hash is stored.`);
  explain(`Its id is ${made.record.id}. A running server takes it within a second.`);
  if (isFirst)
    explain('It is the first key: from now on, a server with this store answers nobody without a key.');
}

async function rotateKey({ audited, by, command, asJson, now }: KeySession): Promise<void> {
  const overlapMs = overlapOf(command.getOptionValue('overlap') as string | undefined);
  const made = await audited.rotate(by, command.args[0] ?? '', { overlapMs });
  await printMade(made, { asJson, now });
  if (asJson) return;
  explain(`This is the only time that the key is shown: only its hash is stored.`);
  explain(
    overlapMs === 0
      ? 'The one before is refused from now on.'
      : `The one before is accepted until ${timeText(systemClock.wallNow() + overlapMs)}.`,
  );
}

/**
 * The key alone goes to standard output, so that a script can take it; what there is to say goes beside it. Rejects where it can't be
 * written: nobody has the secret then.
 */
async function printMade(
  { record, key }: MadeKey,
  { asJson, now }: { readonly asJson: boolean; readonly now: number },
): Promise<void> {
  const { id, ...view } = keyView(record, now);
  const text = asJson ? jsonLine({ id, key, ...view }) : `${key}\n`;
  const failure = await new Promise<Error | null | undefined>((resolve) => {
    process.stdout.write(text, resolve);
  });
  if (failure)
    throw new Error(
      `The key could not be printed (${failure.message}), so nobody knows its secret. It is in the store, with the id ${id}. Revoke it: llm-serve keys revoke ${id}; or give it another secret: llm-serve keys rotate ${id}`,
    );
}

async function listKeys({ keys, asJson, now }: KeySession): Promise<void> {
  const records = await keys.list();
  if (asJson) printJson(records.map((record) => keyView(record, now)));
  else if (records.length === 0) explain('There is no key yet. Make one: llm-serve keys create --name NAME');
  else printLines(keyTable(records, now));
}

async function showKey({ keys, command, asJson, now }: KeySession): Promise<void> {
  const record = await keys.find(command.args[0] ?? '');
  if (asJson) printJson(keyView(record, now));
  else printLines(keyLines(record, now));
}

async function changeKey({ audited, by, command, asJson, now }: KeySession): Promise<void> {
  const name = command.getOptionValue('name') as string | undefined;
  const fields = { ...(name !== undefined && { name }), ...keyFieldsOf(command) };
  if (Object.keys(fields).length === 0)
    throw new ConfigError(
      'Nothing is named that is to change. llm-serve keys change --help lists the options.',
    );
  const record = await audited.change(by, command.args[0] ?? '', fields);
  if ('models' in fields) explainModels(command, record);
  if (asJson) printJson(keyView(record, now));
  else printLines(keyLines(record, now));
}

async function revokeKey({ audited, by, command, asJson, now }: KeySession): Promise<void> {
  const record = await audited.revoke(by, command.args[0] ?? '');
  if (asJson) printJson(keyView(record, now));
  else
    printLines([
      `${record.name} (${record.id}) is revoked. A running server refuses it within a second; requests under way go on.`,
    ]);
}

async function importKeys({ keys, audited, by, command, asJson, now }: KeySession): Promise<void> {
  if (process.stdin.isTTY) explain('Keys are read from standard input, up to its end (Ctrl-D).');
  const known = await keys.list();
  const taken = new Set(known.filter(({ revokedAt }) => revokedAt === undefined).map(({ name }) => name));
  const held = new Set(known.flatMap(({ secrets }) => secrets.map(({ hash }) => hash)));
  const entries = readImportedKeys(await textOf(process.stdin), {
    fields: keyFieldsOf(command),
    taken,
    held,
    now,
  });
  const added = await audited.import(by, entries);
  if (asJson) printJson(added.map((record) => keyView(record, now)));
  else {
    if (added.length > 0) printLines(keyTable(added, now));
    explain(
      `${added.length} added; ${entries.length - added.length} that are in the store already stay as they are.`,
    );
  }
}

function explainModels(command: Command, { models }: KeyRecord): void {
  const text = unknownModelsText(command, models);
  if (text !== undefined) explain(text);
}

function explain(sentence: string): void {
  process.stderr.write(`${printableText(sentence)}\n`);
}

function printLines(lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${printableText(line)}\n`);
}

function printJson(value: unknown): void {
  process.stdout.write(jsonLine(value));
}

/** On one line, as scripts take it. JSON permits control characters, and their escapes, in strings only. */
function jsonLine(value: unknown): string {
  return `${printableText(JSON.stringify(value))}\n`;
}
