/** The commands as docs/reference/command-line.md lists them. Pure. */
import type { Command } from 'commander';
import { SETTINGS } from '../config/settings.ts';
import { isListed } from './help.ts';

export interface CommandDescription {
  /** `chat`, `models list` */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly group: string;
  readonly description: string;
  /** Of its arguments and options that its help lists: how it is written → what it is. */
  readonly entries: readonly (readonly [written: string, meaning: string])[];
  /** It takes all flags of the configuration, which are not among the entries. */
  readonly takesSettings: boolean;
}

export function describeCommands(program: Command): readonly CommandDescription[] {
  const helper = program.createHelp();
  // Commander adds a `help` to commands that have others below them.
  const below = (command: Command) =>
    helper.visibleCommands(command).filter((each) => each.name() !== 'help');
  const describe = (command: Command, path: readonly string[], group: string): CommandDescription[] => {
    const name = [...path, command.name()];
    const inner = below(command).flatMap((each) => describe(each, name, group));
    // Some do nothing but hold others.
    const isOne = inner.length === 0 || command.registeredArguments.length > 0;
    return isOne ? [describeOne(command, name, group), ...inner] : inner;
  };
  return below(program).flatMap((command) => describe(command, [], command.helpGroup()));
}

function describeOne(command: Command, path: readonly string[], group: string): CommandDescription {
  const words = command.registeredArguments.map((argument) => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name();
    return [argument.required ? `<${name}>` : `[${name}]`, argument.description] as const;
  });
  const flags = new Set(command.options.map(({ long }) => long));
  const takesSettings = SETTINGS.every(({ flag }) => flags.has(flag));
  const options = command.options
    .filter((option) => !option.hidden && isListed(option) && !(takesSettings && isSetting(option.long)))
    .map((option) => [option.flags, option.description] as const);
  return {
    name: path.join(' '),
    aliases: command.aliases(),
    group: group.replace(/:$/, ''),
    description: command.description(),
    entries: [...words, ...options],
    takesSettings,
  };
}

/** `--scheduler.mode`: the reference of the configuration has it. */
function isSetting(long: string | undefined): boolean {
  return long?.includes('.') === true;
}
