/** `llm-serve models list|show|pull|remove`: the model files of the embedded engine. */
import type { Command } from 'commander';
import type { Flags } from '../flags.ts';
import { refuseWord } from '../unexpected-word.ts';
import { listModels } from './list.ts';
import { pullModel } from './pull.ts';
import { removeCachedModel } from './remove.ts';
import { showModel } from './show.ts';

export interface CommandFrame {
  withSettings(command: Command): Command;
  flagsOf(command: Command): Flags;
  exit(code: number): void;
}

const NAME = 'a catalogue name, hf:owner/repo/file.gguf, or an https address';

export function addModelCommands(program: Command, { withSettings, flagsOf, exit }: CommandFrame): void {
  const models = program.command('models').description('Model files of the embedded engine.');
  models.on('command:*', ([word = '']: readonly string[]) =>
    refuseWord(
      word,
      models.commands.map((each) => each.name()),
      models.name(),
    ),
  );
  const withJson = (command: Command) => withSettings(command.option('--json', 'print JSON'));
  const asJson = (command: Command) => command.getOptionValue('json') === true;

  withJson(models.command('list').description('The catalogue, and what is fetched.')).action(
    async (_options, command: Command) => exit(await listModels(flagsOf(command), asJson(command))),
  );
  withJson(
    models
      .command('show')
      .argument('<name>', `${NAME}, or a path`)
      .description('What is in a model file, as its header says.'),
  ).action(async (name: string, _options, command: Command) =>
    exit(await showModel(name, flagsOf(command), asJson(command))),
  );
  withSettings(models.command('pull').argument('<name>', NAME).description('Fetch a model file.')).action(
    async (name: string, _options, command: Command) => exit(await pullModel(name, flagsOf(command))),
  );
  withSettings(
    models
      .command('remove')
      .argument('<name>', `${NAME}, or a file in the folder for models`)
      .description('Delete a fetched model file, or what a download that was cut off left.'),
  ).action(async (name: string, _options, command: Command) =>
    exit(await removeCachedModel(name, flagsOf(command))),
  );
}
