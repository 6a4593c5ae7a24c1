#!/usr/bin/env node
/** The executable `llm-serve`: commands and exit codes. 0 success, 1 runtime failure, 2 wrong usage or configuration. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { ConfigError } from '../config/config.ts';
import { printableText } from '../core/log.ts';
import { addChatCommand } from './chat.ts';
import { commandFrame } from './command-frame.ts';
import { addModelCommands } from './models.ts';
import { checkConfig } from './read-config.ts';
import { reload } from './reload.ts';
import { addRunCommand } from './run.ts';
import { readVersion, serve } from './serve.ts';
import { rejectUnknownCommand } from './unknown-command.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/** Runs the command line; resolves with the exit code, `serve` only once the server has ended. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    let exitCode = 0;
    const run = (code: number) => {
      exitCode = code;
    };
    await buildProgram(run).parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    return explain(error);
  }
}

function buildProgram(exit: (code: number) => void): Command {
  const program = new Command('llm-serve')
    .description('The infrastructure layer in front of a language model.')
    .version(readVersion())
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(printableText(text)) })
    .showSuggestionAfterError();
  const frame = commandFrame(exit);
  const { withSettings, flagsOf } = frame;
  const withoutWords = (command: Command) => {
    const [word] = command.args;
    if (word !== undefined)
      rejectUnknownCommand(
        word,
        program.commands.map((each) => each.name()),
      );
    return flagsOf(command);
  };

  withSettings(
    program
      .command('serve', { isDefault: true })
      .description('Serve the configured models (the default command).')
      .option('--watch', 'reload the configuration file when it changes'),
  )
    // The default command gets any word that is not a command.
    .allowExcessArguments(true)
    .action(async (_options, command: Command) => {
      const watches = command.getOptionValue('watch') === true;
      exit(await serve(withoutWords(command), { watches }));
    });
  withSettings(
    program.command('check-config').description('Check the configuration and print it, secrets hidden.'),
  ).action(async (_options, command: Command) => exit(checkConfig(flagsOf(command))));
  withSettings(
    program
      .command('reload')
      .description('Have the running server read its configuration again; prints what has changed.'),
  ).action(async (_options, command: Command) => exit(await reload(flagsOf(command))));
  addChatCommand(program, frame);
  addRunCommand(program, frame);
  addModelCommands(program, frame);
  return program;
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
