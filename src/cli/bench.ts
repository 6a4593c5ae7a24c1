/** `llm-serve bench URL`: measures a server under load. Exit codes as in main.ts; 130 after Ctrl-C. */
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { compareRuns, readRun } from '../bench/compare.ts';
import { readDataset } from '../bench/dataset.ts';
import { LENGTH_FORMS } from '../bench/lengths.ts';
import { stepText } from '../bench/plan.ts';
import { InterruptedError, UnreachableError } from '../bench/prepare.ts';
import { UsageError } from '../bench/read-option.ts';
import { htmlReport } from '../bench/report-html.ts';
import { runJson } from '../bench/report-json.ts';
import { headText, textReport } from '../bench/report-text.ts';
import { type BenchOptions, type BenchRun, type Progress, runBench } from '../bench/run.ts';
import { type BenchFlags, readSettings } from '../bench/settings.ts';
import { ConfigError } from '../config/config-error.ts';
import { remoteDefaults, remoteVariables } from '../config/environment.ts';
import { printableText } from '../core/log.ts';
import { systemClock } from '../system-clock.ts';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';
import { noServerText, untrustedText } from './no-server.ts';
import { readAddress, readKey } from './remote.ts';
import { CLEAR_LINE, EXIT_INTERRUPTED, fitting } from './terminal.ts';
import { readVersion } from './version.ts';

const EXIT_FAILURE = 1;

interface CliFlags extends BenchFlags {
  readonly server?: string;
  readonly key?: string;
  readonly json?: string;
  readonly raw?: boolean;
  readonly html?: string;
}

export function addBenchCommand(program: Command, { withServer, exit }: CommandFrame): void {
  const bench = program
    .command('bench')
    .helpGroup(COMMAND_GROUPS.use)
    .description('Measure a server under load: times to the first token, tokens per second, goodput.')
    .argument('[url...]', 'its address, as --server; of several, each serves its share of the load');
  withServer(bench)
    .option(
      '--protocol <name>',
      'auto (default), openai-chat, openai-completions, anthropic, ollama or native',
    )
    .option('--model <name>', 'default: the first that the server lists')
    .option('--header <name: value>', 'a header of every request; may be repeated', collect)
    .option('--body <json>', 'fields that every request gets, such as {"top_p":0.9}; null removes one')
    .option(
      '--think <level>',
      'whether the model thinks before it answers, and how much: true, false, low, medium or high',
    )
    .option('--insecure', 'take any certificate')
    .optionsGroup('Load:')
    .option(
      '--concurrency <users>',
      'users that each wait for their answer, or a list (default 1,2,4,8 for each server)',
    )
    .option('--rate <per second>', 'instead: requests that come at random at this rate, or a list')
    .option('--burstiness <shape>', 'of --rate: 1 (default) is Poisson, less comes in bursts, more evenly')
    .option(
      '--requests <count>',
      'of each load (default: 5 per user, or 30 seconds of arrivals; at least 10)',
    )
    .option('--duration <seconds>', 'of each load; requests under way are waited for')
    .option('--timeout <seconds>', 'a request that takes longer has failed (default 60)')
    .option(
      '--warmup <count>',
      'requests before the measurement, beside the two that show how tokens are counted (default: as many as users, 4 to 64)',
    )
    .optionsGroup('Requests:')
    .option('--prompt-tokens <length>', `${LENGTH_FORMS}; default 128`)
    .option('--output-tokens <length>', 'the same; default 64, or as a --dataset has them')
    .option(
      '--dataset <file>',
      'prompts from JSON lines: {prompt, output_tokens}, {messages} or ShareGPT conversations',
    )
    .option('--prefix-tokens <count>', 'a prefix that requests share, before their own prompt')
    .option('--prefix-share <part>', 'the part of the requests that have the prefix (default 1)')
    .option('--seed <number>', 'of prompts, lengths and arrivals (default 1)')
    .option('--no-ignore-eos', 'answers may end before their length')
    .optionsGroup('Report:')
    .option(
      '--slo <targets>',
      'what a good answer meets, in milliseconds: ttft=500,tpot=50 (default), e2e=5000',
    )
    .option('--json <file>', 'write the figures as JSON; - for standard output instead of the table')
    .option('--raw', 'with --json: every request too')
    .option('--html <file>', 'write a report with charts, one page that needs nothing else')
    .allowExcessArguments(false);
  bench
    .command('compare')
    .description('Compare two runs that --json has written.')
    .argument('<a.json>')
    .argument('<b.json>')
    .allowExcessArguments(false)
    .action((first: string, second: string) => exit(compareFiles(first, second)));
  bench.action(async (urls: readonly string[], flags: CliFlags) => exit(await runCommand(urls, flags)));
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  if (!value.includes(':')) throw new InvalidArgumentError('Write it as name: value.');
  return [...before, value];
}

async function runCommand(urls: readonly string[], flags: CliFlags): Promise<number> {
  const defaults = remoteDefaults();
  const addresses = readTargets(urls, flags.server, defaults.server);
  const key = readKey(flags.key ?? defaults.key);
  const settings = asUsage(() => readSettings(flags, addresses.length));
  const dataset = flags.dataset === undefined ? undefined : loadDataset(flags.dataset);
  if (flags.raw === true && flags.json === undefined)
    throw new ConfigError('--raw needs --json: it adds every request to the figures.');
  requireWritable('--html', flags.html);
  requireWritable('--json', flags.json === '-' ? undefined : flags.json);
  const startedAt = new Date(systemClock.wallNow()).toISOString();
  const quiet = flags.json === '-';
  const say = (text: string) => (quiet ? process.stderr : process.stdout).write(printableText(text));
  const progress = progressOn(process.stderr, say);
  const run = await runInterruptibly({
    ...{ addresses, settings, dataset, key, clock: systemClock },
    onServer: (server, model) => say(`${headText({ addresses, server, model, settings })}\n\n`),
    onProgress: progress.show,
    onStep: progress.clear,
  }).finally(progress.clear);
  if (run === undefined) {
    process.stderr.write('llm-serve: Interrupted before anything was measured.\n');
    return EXIT_INTERRUPTED;
  }
  if (!quiet) say(textReport(run));
  writeReports(run, flags, startedAt, say);
  if (run.end === 'interrupted') return EXIT_INTERRUPTED;
  const isMeasured = run.steps.some(({ measures }) => measures.completed > 0);
  return isMeasured && run.end === 'complete' ? 0 : EXIT_FAILURE;
}

/** The arguments, else the flag, else the environment. */
function readTargets(
  urls: readonly string[],
  flag: string | undefined,
  variable: string | undefined,
): readonly string[] {
  if (urls.length > 0 && flag !== undefined)
    throw new ConfigError('Name the server once: as the argument, or with --server.');
  if (urls.length > 0) return readEach(urls);
  return [flag === undefined ? readAddress(variable, remoteVariables.server) : readAddress(flag, '--server')];
}

function readEach(urls: readonly string[]): readonly string[] {
  const addresses = urls.map((url) => readAddress(url, 'The address'));
  const twice = addresses.find((address, at) => addresses.indexOf(address) !== at);
  if (twice !== undefined) throw new ConfigError(`${twice} is named twice: each server has one share.`);
  return addresses;
}

/** Ends with the first Ctrl-C; the second one ends the process, as ever. Undefined: nothing was measured before it. */
async function runInterruptibly(options: Omit<BenchOptions, 'signal'>): Promise<BenchRun | undefined> {
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once('SIGINT', interrupt);
  try {
    return await runBench({ ...options, signal: interruption.signal });
  } catch (error) {
    if (error instanceof InterruptedError) return undefined;
    throw error instanceof UnreachableError ? explained(error) : error;
  } finally {
    process.removeListener('SIGINT', interrupt);
  }
}

function explained({ address, code, message }: UnreachableError): Error {
  const untrusted = untrustedText(address, code);
  if (untrusted !== undefined) return new Error(`${untrusted} --insecure takes any certificate.`);
  return new Error(noServerText(address, code) ?? message);
}

/** Before the run: nobody wants to learn after ten minutes that the folder does not exist. */
function requireWritable(option: string, file: string | undefined): void {
  if (file === undefined) return;
  try {
    accessSync(dirname(file), constants.W_OK);
  } catch (error) {
    throw new ConfigError(`${option}: ${file} cannot be written: ${(error as Error).message}`);
  }
}

function writeReports(
  run: BenchRun,
  { json, html, raw = false }: CliFlags,
  startedAt: string,
  say: (text: string) => void,
): void {
  const origin = { version: readVersion(), node: process.versions.node, startedAt };
  const write = (file: string, text: string) => {
    writeFileSync(file, text);
    say(`Written: ${file}\n`);
  };
  if (html !== undefined) write(html, htmlReport(run, origin));
  if (json === undefined) return;
  const text = `${JSON.stringify(runJson(run, origin, { raw }), null, 2)}\n`;
  if (json === '-') process.stdout.write(text);
  else write(json, text);
}

function compareFiles(first: string, second: string): number {
  const [one, other] = [first, second].map((file) => asUsage(() => readRun(readText(file), file)));
  if (one === undefined || other === undefined) return EXIT_FAILURE;
  process.stdout.write(printableText(compareRuns(one, other)));
  return 0;
}

function loadDataset(file: string) {
  return { name: basename(file), entries: asUsage(() => readDataset(readText(file), file)) };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

/** Exit code 2, as for a wrong configuration. */
function asUsage<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    throw error instanceof UsageError ? new ConfigError(error.message) : error;
  }
}

const BAR_WIDTH = 30;

/** A bar on a terminal; elsewhere a line when a load begins. */
function progressOn(terminal: NodeJS.WriteStream, say: (text: string) => void) {
  let lastLoad: unknown;
  let isShown = false;
  const clear = () => {
    if (isShown) terminal.write(CLEAR_LINE);
    isShown = false;
  };
  const show = (progress: Progress) => {
    if (!terminal.isTTY) {
      if (progress.step !== lastLoad) say(`Measuring ${stepText(progress.step)} …\n`);
      lastLoad = progress.step;
      return;
    }
    terminal.write(`${CLEAR_LINE}${fitting(barText(progress), terminal)}`);
    isShown = true;
  };
  return { show, clear };
}

function barText({ step, ended, of, tokens, elapsedMs, durationMs }: Progress): string {
  const share = Math.min(1, Number.isFinite(of) ? ended / of : elapsedMs / durationMs);
  const filled = Math.round(share * BAR_WIDTH);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  const amount = Number.isFinite(of)
    ? `${ended} of ${of} requests`
    : `${ended} requests, ${Math.ceil(Math.max(0, durationMs - elapsedMs) / 1000)} s left`;
  const rate = elapsedMs === 0 ? 0 : Math.round((tokens * 1000) / elapsedMs);
  return `${stepText(step).padEnd(9)} ${bar} ${amount}, ${rate} tokens/s`;
}
