/** `llm-serve data check|backup|restore|migrate`: the database of keys, usage and the audit log as a whole. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { damageText } from '../access/key-administration.ts';
import { ConfigError } from '../config/config-error.ts';
import { printableText } from '../core/log.ts';
import { table } from '../core/text-columns.ts';
import { NEWEST_VERSION } from '../stores/sql/migrations.ts';
import { backUp, inspect, restore } from '../stores/sqlite/on-file.ts';
import type { FileFacts, RestoredFile } from '../stores/sqlite/sqlite-files.ts';
import { SQLITE_SCHEME } from '../stores/store-address.ts';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';
import { openConfiguredStore, storeAddressOf } from './opened-store.ts';
import { thisOperator } from './operator.ts';
import { readConfig } from './read-config.ts';
import { flagsOf, STORE_SECTIONS, withSections } from './settings-flags.ts';
import { rejectUnknownWithin } from './unknown-command.ts';

const EXIT_FAILURE = 1;

export function addDataCommands(program: Command, { exit }: CommandFrame): void {
  const data = program
    .command('data')
    .helpGroup(COMMAND_GROUPS.access)
    .helpCommand(false)
    .description('check, backup, restore, migrate: the database of keys, usage and the audit log.');
  rejectUnknownWithin(data);
  const add = (command: Command, run: (command: Command, path: string) => Promise<number>) =>
    withSections(command.optionsGroup('Options:').option('--json', 'print JSON'), STORE_SECTIONS).action(
      async () => exit(await run(command, fileOf(command))),
    );

  add(data.command('check').description('Read all of it: version, size, contents, damage.'), checkFile);
  add(
    data
      .command('backup')
      .argument('<file>', 'where the copy is written; it must not be there')
      .description(
        'Copy it as of this moment, while servers use it. The copy holds hashes of keys, no keys.',
      ),
    copyFile,
  );
  add(
    data
      .command('restore')
      .argument('<file>', 'a copy that backup made')
      .option('--force', 'also where the file is damaged; first stop all servers that use it')
      .description('Put a copy in its place, while no server uses it. What was there is kept beside it.'),
    restoreCopy,
  );
  withSections(
    data
      .command('migrate')
      .description(
        'Make the tables of access.store, or bring them up to date, as the start of a server does. Back them up first: an older llm-serve refuses them from then on.',
      ),
    STORE_SECTIONS,
  ).action(async (_, command: Command) => exit(await migrate(command)));
}

async function migrate(command: Command): Promise<number> {
  const store = await openConfiguredStore(flagsOf(command), 'write');
  await store.close();
  process.stdout.write(`The tables have version ${NEWEST_VERSION}.\n`);
  return 0;
}

function fileOf(command: Command): string {
  const address = storeAddressOf(readConfig(flagsOf(command)).config);
  if (address.startsWith(SQLITE_SCHEME)) return resolve(address.slice(SQLITE_SCHEME.length));
  throw new ConfigError(
    address.startsWith('postgres')
      ? 'access.store is a PostgreSQL database: back it up with pg_dump, and restore it with pg_restore or psql.'
      : 'access.store is "memory:", of which there is no file.',
  );
}

async function checkFile(command: Command, path: string): Promise<number> {
  const facts = await inspect(path);
  print(command, factsJson(facts), () => factLines(facts));
  return facts.damage.length === 0 && facts.damagedKeys.length === 0 ? 0 : EXIT_FAILURE;
}

async function copyFile(command: Command, path: string): Promise<number> {
  const [to = ''] = command.args;
  const facts = await backUp(path, resolve(to));
  print(command, factsJson(facts), () => [`${path} was copied to`, ...factLines(facts)]);
  return facts.damage.length === 0 ? 0 : EXIT_FAILURE;
}

async function restoreCopy(command: Command, path: string): Promise<number> {
  const [from = ''] = command.args;
  const force = command.getOptionValue('force') === true;
  const restored = await restore(resolve(from), path, { force, now: new Date(), by: thisOperator() });
  const json = { ...factsJson(restored.facts), before: restored.before ?? null };
  print(command, json, () => restoredLines(restored));
  return 0;
}

function restoredLines({ facts, before }: RestoredFile): readonly string[] {
  return [
    ...factLines(facts),
    ...(before === undefined ? [] : [`What was there before is in ${before}.`]),
    'Keys are as they were when the copy was made: one that was revoked since then opens the door again. llm-serve keys list shows them.',
  ];
}

function print(command: Command, json: unknown, lines: () => readonly string[]): void {
  const text =
    command.getOptionValue('json') === true ? JSON.stringify(json) : lines().map(printableText).join('\n');
  process.stdout.write(`${text}\n`);
}

function factsJson(facts: FileFacts) {
  return {
    file: facts.path,
    version: facts.version,
    bytes: facts.bytes,
    keys: facts.keys,
    usage_rows: facts.usageRows,
    audit_entries: facts.auditEntries,
    damage: facts.damage,
    damaged_keys: facts.damagedKeys.map(({ id, name, damage }) => ({ id, name, damage })),
  };
}

function factLines(facts: FileFacts): readonly string[] {
  return [
    ...table([
      ['file', facts.path],
      ['version of its tables', String(facts.version)],
      ['size', `${facts.bytes} bytes`],
      ['keys', String(facts.keys)],
      ['usage', `${facts.usageRows} rows`],
      ['audit log', `${facts.auditEntries} entries`],
      ['damage', facts.damage.length === 0 ? 'none' : facts.damage.join('; ')],
    ]),
    ...facts.damagedKeys.map(damageText),
    ...(facts.othersRead ? ['Other users may read the file: chmod 600 is enough for a server.'] : []),
  ];
}
