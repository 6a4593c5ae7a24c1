#!/usr/bin/env node
/** The executable `llm-serve`: commands and exit codes. 0 success, 1 runtime failure, 2 wrong usage or configuration. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { ConfigError } from '../config/config.ts';
import { printableText } from '../core/log.ts';
import { addBenchCommand } from './bench.ts';
import { addChatCommand } from './chat.ts';
import { commandFrame } from './command-frame.ts';
import { addCompletionCommand } from './completion.ts';
import { COMMAND_GROUPS, HELP } from './help.ts';
import { addModelCommands } from './models.ts';
import { checkConfig } from './read-config.ts';
import { type CommandDescription, describeCommands } from './reference.ts';
import { reload } from './reload.ts';
import { addRunCommand } from './run.ts';
import { readVersion, serve } from './serve.ts';
import { addStatusCommand } from './status.ts';
import { commandWords, rejectWordBehindFlags } from './unknown-command.ts';
import { addWhatIfCommand } from './whatif.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/** Runs the command line; resolves with the exit code, `serve` only once the server has ended. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    let exitCode = 0;
    const run = (code: number) => {
      exitCode = code;
    };
    // Whoever lists the processes of this machine sees no key.
    if (argv.some((word) => /^--key(=|$)/.test(word))) process.title = 'llm-serve';
    const program = buildProgram(run);
    await program.parseAsync([...commandWords(program, argv)], { from: 'user' });
    return exitCode;
  } catch (error) {
    return explain(error);
  }
}

export function buildProgram(exit: (code: number) => void): Command {
  const program = new Command('llm-serve')
    .description('Serves language models behind one API, and uses a server that runs.')
    .usage('[command] [options]')
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .configureHelp(HELP)
    .addHelpText('after', '\nllm-serve help COMMAND describes a command, --version prints the version.')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(printableText(text)) })
    .showSuggestionAfterError();
  const frame = commandFrame(exit);
  const { withSettings, flagsOf } = frame;
  withSettings(
    program
      .command('serve', { isDefault: true })
      .helpGroup(COMMAND_GROUPS.serve)
      .description('Serve the configured models (the default command).')
      .option('--watch', 'reload the configuration file when it changes')
      .option('--record <file>', 'record arrivals, lengths and times of requests, without their text'),
    { listed: true },
  )
    // The default command gets any word that is not a command.
    .allowExcessArguments(true)
    .action(async (_options, command: Command) => {
      const [word] = command.args;
      if (word !== undefined) rejectWordBehindFlags(word, program);
      const watches = command.getOptionValue('watch') === true;
      const record = command.getOptionValue('record') as string | undefined;
      exit(await serve(flagsOf(command), { watches, record }));
    });
  withSettings(
    program
      .command('check-config')
      .helpGroup(COMMAND_GROUPS.serve)
      .description('Check the configuration and print it, secrets hidden.'),
  ).action(async (_options, command: Command) => exit(checkConfig(flagsOf(command))));
  withSettings(
    program
      .command('reload')
      .helpGroup(COMMAND_GROUPS.serve)
      .description('Have the running server read its configuration again.'),
  ).action(async (_options, command: Command) => exit(await reload(flagsOf(command))));
  addChatCommand(program, frame);
  addRunCommand(program, frame);
  addStatusCommand(program, frame);
  addBenchCommand(program, frame);
  addWhatIfCommand(program, frame);
  addModelCommands(program, frame);
  addCompletionCommand(program, frame);
  return program;
}

/** For the page of the reference. */
export function commandReference(): readonly CommandDescription[] {
  return describeCommands(buildProgram(() => {}));
}

function explain(error: unknown): number {
  // Commander has printed its message, or the requested help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`llm-serve: ${printableText(message)}\n`);
  return error instanceof ConfigError ? EXIT_USAGE : EXIT_FAILURE;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  // The reader of the output may stop early, as `head` does.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  // The terminal may be closed while the server still finishes open requests.
  process.stderr.on('error', () => {});
  process.exitCode = await main(process.argv.slice(2));
}
