/** `llm-serve models list|show|pull|remove`: the model files of the embedded engine. Exit codes as in main.ts. */
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Command } from 'commander';
import { ConfigError } from '../config/config-error.ts';
import { defaultCacheDirectory } from '../config/environment.ts';
import { printableLine, printableText } from '../core/log.ts';
import { table } from '../core/text-columns.ts';
import { cachePaths, readStamp, stampMatches } from '../models/cache.ts';
import { ensureModel } from '../models/fetch.ts';
import {
  listModels as listFolder,
  locateModel,
  type ModelListing,
  removeModel,
} from '../models/inventory.ts';
import { describeGguf, type GgufDescription, readModelFile } from '../models/model-file.ts';
import { type ModelReference, parseReference } from '../models/names.ts';
import { systemClock } from '../system-clock.ts';
import { openLog } from '../telemetry/log.ts';
import type { CommandFrame } from './command-frame.ts';
import { downloadReporter } from './download-progress.ts';
import { COMMAND_GROUPS } from './help.ts';
import { type Flags, readConfig } from './read-config.ts';
import { flagsOf, withSettings } from './settings-flags.ts';
import { rejectUnknownWithin } from './unknown-command.ts';

const NAME = 'a catalogue name, hf:owner/repo/file.gguf, or an https address';

/** Ollama's names for them, at the top level too: they are not in the help, which has them below `models`. */
export function addModelCommands(program: Command, frame: CommandFrame): void {
  const models = program
    .command('models')
    .helpGroup(COMMAND_GROUPS.models)
    .helpCommand(false)
    .description('list, show, pull, rm (also without “models”).');
  rejectUnknownWithin(models);
  for (const [parent, hidden] of [
    [models, false],
    [program, true],
  ] as const)
    addFileCommands((name) => parent.command(name, { hidden }), frame);
}

function addFileCommands(command: (name: string) => Command, { exit }: CommandFrame): void {
  const withJson = (each: Command) => withSettings(each.option('--json', 'print JSON'));
  const asJson = (each: Command) => each.getOptionValue('json') === true;

  withJson(command('list').alias('ls').description('The catalogue, and what is fetched.')).action(
    async (_options, each: Command) => exit(await listModels(flagsOf(each), asJson(each))),
  );
  withJson(
    command('show')
      .argument('<name>', `${NAME}, or a path`)
      .description('What is in a model file, as its header says.'),
  ).action(async (name: string, _options, each: Command) =>
    exit(await showModel(name, flagsOf(each), asJson(each))),
  );
  withSettings(command('pull').argument('<name>', NAME).description('Fetch a model file.')).action(
    async (name: string, _options, each: Command) => exit(await pullModel(name, flagsOf(each))),
  );
  withSettings(
    command('remove')
      .alias('rm')
      .argument('<name>', `${NAME}, or a file in the folder for models`)
      .description('Delete a fetched model file, or what a download that was cut off left.'),
  ).action(async (name: string, _options, each: Command) =>
    exit(await removeCachedModel(name, flagsOf(each))),
  );
}

/** The catalogue, and what else is in the folder for models, as a table or as JSON. */
const STATE_TEXTS = { present: 'fetched', absent: 'not fetched', damaged: 'damaged' } as const;

async function listModels(flags: Flags, asJson: boolean): Promise<number> {
  const cacheDirectory = cacheDirectoryOf(flags);
  const listings = await listFolder(cacheDirectory);
  const usedBytes = listings.reduce((sum, listing) => sum + bytesOnDisk(listing), 0);
  if (asJson) {
    printJson({ directory: cacheDirectory, used_bytes: usedBytes, models: listings.map(listingJson) });
    return 0;
  }
  const rows = listings.map((listing) =>
    [
      listing.name,
      listing.sizeBytes === undefined ? '?' : sizeText(listing.sizeBytes),
      listing.license ?? '?',
      listing.abilities.join(', ') || '?',
      checksumText(listing),
      stateText(listing),
    ].map(printableLine),
  );
  for (const line of table([['NAME', 'SIZE', 'LICENCE', 'FOR', 'CHECKSUM', 'STATE'], ...rows]))
    process.stdout.write(`${line}\n`);
  printLine(`${sizeText(usedBytes)} in ${cacheDirectory}`);
  return 0;
}

function checksumText({ inCatalogue, sha256, sha256Published }: ModelListing): string {
  if (inCatalogue) return 'known';
  if (sha256 === undefined) return '?';
  return sha256Published ? 'published' : 'none published';
}

function stateText({ state, partialBytes, sizeBytes }: ModelListing): string {
  const text = STATE_TEXTS[state];
  if (state === 'present' || partialBytes <= 0) return text;
  const part =
    sizeBytes === undefined ? sizeText(partialBytes) : `${Math.floor((partialBytes / sizeBytes) * 100)} %`;
  return `${text}, ${part} there`;
}

function bytesOnDisk({ state, sizeBytes = 0, partialBytes }: ModelListing): number {
  return (state === 'absent' ? 0 : Math.max(sizeBytes, 0)) + Math.max(partialBytes, 0);
}

function listingJson(listing: ModelListing) {
  return {
    name: listing.name,
    in_catalogue: listing.inCatalogue,
    state: listing.state,
    path: listing.path,
    size_bytes: listing.sizeBytes ?? null,
    partial_bytes: listing.partialBytes,
    license: listing.license ?? null,
    abilities: listing.abilities,
    sha256: listing.sha256 ?? null,
    sha256_published: listing.sha256Published,
  };
}

/** A model file's header, and what is known of the file. */
async function showModel(name: string, flags: Flags, asJson: boolean): Promise<number> {
  const reference = readName(name);
  const { path, header } = await readModelFile(await locateModel(reference, cacheDirectoryOf(flags)));
  const description = describeGguf(header);
  const stamp = await readStamp(cachePaths({ fileName: basename(path) }, dirname(path)).stamp);
  const checked = stamp !== undefined && stampMatches(stamp, await stat(path));
  const entry = reference.kind === 'catalogue' ? reference.entry : undefined;
  const facts = {
    path,
    size_bytes: header.sizeBytes,
    gguf_version: header.version,
    sha256: entry?.sha256 ?? stamp?.sha256 ?? null,
    sha256_published: entry !== undefined || (stamp?.published ?? false),
    sha256_checked: checked,
    license: entry?.license ?? description.license ?? null,
    ...descriptionJson(description),
  };
  if (asJson) printJson(facts);
  else for (const [label, text] of rows(facts)) printLine(`${label.padEnd(16)} ${text}`);
  return 0;
}

type Facts = ReturnType<typeof descriptionJson> & {
  readonly path: string;
  readonly size_bytes: number;
  readonly gguf_version: number;
  readonly sha256: string | null;
  readonly sha256_published: boolean;
  /** The file has not changed since that checksum was taken. */
  readonly sha256_checked: boolean;
  readonly license: string | null;
};

function descriptionJson(description: GgufDescription) {
  return {
    architecture: description.architecture ?? null,
    title: description.title ?? null,
    parameters: description.parameters,
    file_type: description.fileType ?? null,
    context_length: description.contextLength ?? null,
    embedding_length: description.embeddingLength ?? null,
    pooling: description.pooling ?? null,
    chat_template: description.hasChatTemplate,
    chat_template_tools: description.templateKnowsTools,
    tokenizer: description.tokenizer ?? null,
    vocabulary_size: description.vocabularySize ?? null,
    abilities: description.abilities,
  };
}

function rows(facts: Facts): [string, string | number][] {
  const template = facts.chat_template_tools ? 'yes, knows tools' : 'yes, knows no tools';
  const origin = facts.sha256_published ? '' : ', as it was when it came; none was published';
  const checksum = origin + (facts.sha256_checked ? '' : '; not compared since the file changed');
  return [
    ['title', facts.title ?? 'not said'],
    ['architecture', facts.architecture ?? 'not said'],
    ['parameters', parametersText(facts.parameters)],
    ['quantization', facts.file_type ?? 'not said'],
    ['trained context', facts.context_length ?? 'not said'],
    ['embedding length', facts.embedding_length ?? 'not said'],
    ['embeddings', facts.pooling === null ? 'no pooling: made to generate' : `pooling ${facts.pooling}`],
    ['chat template', facts.chat_template ? template : 'no'],
    [
      'tokenizer',
      facts.tokenizer === null ? 'not said' : `${facts.tokenizer}, ${facts.vocabulary_size ?? '?'} tokens`,
    ],
    ['licence', facts.license ?? 'not said'],
    ['size', `${sizeText(facts.size_bytes)} (${facts.size_bytes} bytes), GGUF version ${facts.gguf_version}`],
    ['sha256', facts.sha256 === null ? 'not taken yet' : `${facts.sha256}${checksum}`],
    ['path', facts.path],
  ];
}

function parametersText(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} billion`;
  return `${(count / 1e6).toFixed(1)} million`;
}

/** Downloads a model file, or waits for another process that does. */
async function pullModel(name: string, flags: Flags): Promise<number> {
  if (readName(name).kind === 'path')
    throw new ConfigError(
      `${name} is a path, and a file that is there need not be fetched. Give a catalogue name, hf:owner/repo/file.gguf or an https address.`,
    );
  const { config } = readConfig(flags);
  const log = openLog({
    ...config.logging,
    isTerminal: process.stdout.isTTY === true,
    clock: systemClock,
  });
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () =>
      interrupted.abort(new Error('interrupted; the same command goes on where this one stopped')),
    );
  try {
    const path = await ensureModel(name, {
      cacheDirectory: config.cache.directory ?? defaultCacheDirectory(),
      hubUrl: config.cache.hub_url,
      signal: interrupted.signal,
      log,
      onProgress: downloadReporter({ log, terminal: process.stderr }),
    });
    await log.close();
    printLine(path);
    return 0;
  } finally {
    await log.close();
  }
}

/** Deletes a file from the folder for models, and nothing outside of it. */
async function removeCachedModel(name: string, flags: Flags): Promise<number> {
  readName(name);
  const { path, removed } = await removeModel(name, cacheDirectoryOf(flags));
  const text = {
    file: `removed ${path}`,
    partial: `removed what was there of ${path}`,
    nothing: `${name} was not fetched`,
  };
  printLine(text[removed]);
  return 0;
}

function cacheDirectoryOf(flags: Flags): string {
  return readConfig(flags).config.cache.directory ?? defaultCacheDirectory();
}

/** An invalid name is wrong usage. */
function readName(name: string): ModelReference {
  try {
    return parseReference(name);
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
}

/** Names in the output come from files and servers: control characters are escaped. */
function printLine(line: string): void {
  process.stdout.write(`${printableLine(line)}\n`);
}

function printJson(value: unknown): void {
  // JSON permits these characters, and their escapes, in strings only.
  process.stdout.write(`${printableText(JSON.stringify(value, null, 2))}\n`);
}

function sizeText(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
