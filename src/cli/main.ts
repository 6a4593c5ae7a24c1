#!/usr/bin/env node
/** The executable `llm-serve`: commands and exit codes. 0 success, 1 runtime failure, 2 wrong usage or configuration. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { ConfigError } from '../config/config-error.ts';
import { printableText } from '../core/log.ts';
import { StoreAddressError } from '../core/store-error.ts';
import { commandFrame } from './command-frame.ts';
import { COMMAND_MODULES, modulesFor } from './commands.ts';
import { withFlagSynonym } from './flag-synonyms.ts';
import { HELP } from './help.ts';
import type { CommandDescription } from './reference.ts';
import { readVersion } from './version.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/** Runs the command line; resolves with the exit code, `serve` only once the server has ended. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    let exitCode = 0;
    const run = (code: number) => {
      exitCode = code;
    };
    // A key is not shown to those who list the processes of this machine.
    if (argv.some((word) => /^--key(=|$)/.test(word))) process.title = 'llm-serve';
    const modules = modulesFor(argv);
    const program = await buildProgram(run, modules);
    await program.parseAsync([...(await wordsOf(argv, program, modules))], { from: 'user' });
    return exitCode;
  } catch (error) {
    return explain(error);
  }
}

/** A command line that needs one module begins with a command of it, or with flags. */
async function wordsOf(
  argv: readonly string[],
  program: Command,
  modules: typeof COMMAND_MODULES,
): Promise<readonly string[]> {
  if (modules.length < 2) return argv;
  const { commandWords } = await import('./unknown-command.ts');
  return commandWords(program, argv);
}

export async function buildProgram(
  exit: (code: number) => void,
  modules: typeof COMMAND_MODULES = COMMAND_MODULES,
): Promise<Command> {
  const program = new Command('llm-serve')
    .description('Serves language models behind one API, and uses a server that runs.')
    .usage('[command] [options]')
    .version(readVersion(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .configureHelp(HELP)
    .addHelpText('after', '\nllm-serve help COMMAND describes a command, --version prints the version.')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(printableText(withFlagSynonym(text))) })
    .showSuggestionAfterError();
  const frame = commandFrame(exit, () => buildProgram(exit));
  const loaded = await Promise.all(modules.map(({ load }) => load()));
  for (const add of loaded) add(program, frame);
  return program;
}

/** For the page of the reference. */
export async function commandReference(): Promise<readonly CommandDescription[]> {
  const { describeCommands } = await import('./reference.ts');
  return describeCommands(await buildProgram(() => {}));
}

function explain(error: unknown): number {
  // Commander has printed its message, or the requested help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`llm-serve: ${printableText(message)}\n`);
  return error instanceof ConfigError || error instanceof StoreAddressError ? EXIT_USAGE : EXIT_FAILURE;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  let isCutOff = false;
  // The reader of the output may stop early, as `head` does. Else it is incomplete, as on a full disk: that is said once.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || isCutOff) return;
    isCutOff = true;
    process.exitCode = EXIT_FAILURE;
    process.stderr.write(`llm-serve: The output is incomplete, as it can’t be written: ${error.message}.\n`);
  });
  // The terminal may be closed while the server still finishes open requests.
  process.stderr.on('error', () => {});
  // No await: the files of the commands import from this one, and would wait for it while it waits for them.
  void main(process.argv.slice(2)).then((code) => {
    process.exitCode = isCutOff && code === 0 ? EXIT_FAILURE : code;
  });
}
