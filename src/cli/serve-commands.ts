/** The commands that take the configuration of a server: `serve`, `check-config` and `reload`. */
import type { Command } from 'commander';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';
import { reload } from './reload.ts';
import { flagsOf, withSettings } from './settings-flags.ts';
import { rejectWordBehindFlags } from './unknown-command.ts';

export function addServeCommands(program: Command, { wholeProgram, exit }: CommandFrame): void {
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
      if (word !== undefined) rejectWordBehindFlags(word, await wholeProgram());
      const watches = command.getOptionValue('watch') === true;
      const record = command.getOptionValue('record') as string | undefined;
      // The server itself is loaded for this command alone.
      const { serve } = await import('./serve.ts');
      exit(await serve(flagsOf(command), { watches, record }));
    });
  withSettings(
    program
      .command('check-config')
      .helpGroup(COMMAND_GROUPS.serve)
      .description('Check the configuration and print it, secrets hidden.'),
  ).action(async (_options, command: Command) => {
    const { checkConfig } = await import('./check-config.ts');
    exit(await checkConfig(flagsOf(command)));
  });
  withSettings(
    program
      .command('reload')
      .helpGroup(COMMAND_GROUPS.serve)
      .description('Have the running server read its configuration again.'),
  ).action(async (_options, command: Command) => exit(await reload(flagsOf(command))));
}
