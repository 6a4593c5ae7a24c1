/** How help looks: commands and options in groups, lines that fit a terminal, and the flags of the configuration at `serve` alone. */
import { type Command, Help, type HelpConfiguration, type Option } from 'commander';

/** Headings of the commands in the help, in this order. */
export const COMMAND_GROUPS = {
  serve: 'Serve:',
  use: 'Use a running server:',
  access: 'Keys and usage:',
  models: 'Model files of the embedded engine:',
  other: 'More:',
} as const;

/** A longer term has a line of its own: the descriptions keep most of the width. */
const MAX_TERM_WIDTH = 26;
const MAX_WIDTH = 100;
const DESCRIPTION_INDENT = 6;

/** For the program; its commands inherit it. */
export const HELP: HelpConfiguration = {
  padWidth: (command, helper) =>
    Math.min(MAX_TERM_WIDTH, Help.prototype.padWidth.call(helper, command, helper)),
  formatItem: (term, termWidth, description, helper) => {
    if (description === '' || helper.displayWidth(term) <= termWidth)
      return Help.prototype.formatItem.call(helper, term, termWidth, description, helper);
    const indent = ' '.repeat(DESCRIPTION_INDENT);
    const width = (helper.helpWidth ?? MAX_WIDTH) - DESCRIPTION_INDENT;
    return `  ${term}\n${indent}${helper.boxWrap(description, width).replaceAll('\n', `\n${indent}`)}`;
  },
  formatHelp: (command, helper) => {
    const own: Help = Object.create(helper) as Help;
    own.helpWidth = Math.min(MAX_WIDTH, helper.helpWidth ?? MAX_WIDTH);
    // Not listed, but known: a flag that is misspelt still gets its suggestion.
    own.visibleOptions = (of) => helper.visibleOptions(of).filter(isListed);
    // The program’s own are in its last line.
    if (command.parent === null) own.visibleOptions = () => [];
    return Help.prototype.formatHelp.call(own, inGroupOrder(command), own);
  },
  subcommandTerm: (command) => {
    const names = [command.name(), ...command.aliases()].join(', ');
    const words = command.registeredArguments.map((each) => {
      const name = each.variadic ? `${each.name()}...` : each.name();
      return each.required ? `<${name}>` : `[${name}]`;
    });
    return [names, ...words].join(' ');
  },
};

const UNLISTED = new WeakSet<Option>();

export function isListed(option: Option): boolean {
  return !UNLISTED.has(option);
}

/** The options that a command has so far are not shown in its help. */
export function unlist(options: readonly Option[]): void {
  for (const option of options) UNLISTED.add(option);
}

/** Commands are registered by many; the help has them in the order of their groups. */
function inGroupOrder(command: Command): Command {
  const headings: readonly string[] = Object.values(COMMAND_GROUPS);
  const place = (each: Command) =>
    (headings.indexOf(each.helpGroup()) + headings.length + 1) % (headings.length + 1);
  const commands = [...command.commands].sort((one, other) => place(one) - place(other));
  return Object.create(command, { commands: { value: commands } }) as Command;
}
