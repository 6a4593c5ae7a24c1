/** What the first words of a command line mean, and the error where they name no command, with a suggestion. Pure. */
import type { Command } from 'commander';
import { ConfigError } from '../config/config-error.ts';
import { MODELS } from '../models/catalog.ts';
import { nearest } from './nearest-name.ts';

/** Commands of other programs, and what they are called here. */
const COMMAND_SYNONYMS: Readonly<Record<string, string>> = {
  start: 'serve',
  server: 'serve',
  up: 'serve',
  config: 'check-config',
  check: 'check-config',
  download: 'pull',
  get: 'pull',
  delete: 'rm',
  info: 'show',
  ask: 'run',
  prompt: 'run',
  repl: 'chat',
  top: 'status',
  benchmark: 'bench',
  generate: 'run',
  complete: 'run',
  version: '--version',
};
/** The same within `llm-serve keys`, whose words mean other things outside of it: `rm` removes a model. */
const KEY_COMMAND_SYNONYMS: Readonly<Record<string, string>> = {
  add: 'keys create',
  new: 'keys create',
  ls: 'keys list',
  info: 'keys show',
  get: 'keys show',
  set: 'keys change',
  edit: 'keys change',
  update: 'keys change',
  rm: 'keys revoke',
  remove: 'keys revoke',
  delete: 'keys revoke',
};
/** Also names of other programs: `qwen3:4b`, `Qwen/Qwen3-4B`. */
const LOOKS_LIKE_MODEL = /[:/]|\.gguf$/i;

/**
 * The words to be parsed: `help COMMAND` becomes `COMMAND --help`. A first word that is no command is rejected here, before its flags
 * are: they are those of another command.
 */
export function commandWords(program: Command, argv: readonly string[]): readonly string[] {
  const [first, ...rest] = argv;
  if (first === undefined || first.startsWith('-')) return argv;
  if (first !== 'help') {
    requireCommand(program, first);
    return argv;
  }
  let command = program;
  for (const word of rest) command = requireCommand(command, word);
  return [...rest, '--help'];
}

/** The default command was given a word that is no flag. */
export function rejectWordBehindFlags(word: string, program: Command): never {
  if (find(program, word) === undefined) return rejectUnknownCommand(word, namesOf(program));
  throw new ConfigError(`The command comes first: llm-serve ${word}, then its flags.`);
}

function requireCommand(parent: Command, word: string): Command {
  const group = parent.parent === null ? undefined : parent.name();
  return find(parent, word) ?? rejectUnknownCommand(word, namesOf(parent), group);
}

function find(parent: Command, word: string): Command | undefined {
  return parent.commands.find((each) => each.name() === word || each.aliases().includes(word));
}

/** Those that the help shows. */
function namesOf(parent: Command): readonly string[] {
  return parent
    .createHelp()
    .visibleCommands(parent)
    .map((each) => each.name());
}

/** A word behind the group's name that is none of its commands is an error. */
export function rejectUnknownWithin(group: Command): void {
  group.on('command:*', ([word = '']: readonly string[]) =>
    rejectUnknownCommand(
      word,
      group.commands.map((each) => each.name()),
      group.name(),
    ),
  );
}

/** `commands`: the known names, in the command `group` if there is one. */
export function rejectUnknownCommand(word: string, commands: readonly string[], group?: string): never {
  const within = (name: string) => behind(group, name);
  const suggestion = suggestionFor(word, commands, group);
  throw new ConfigError(
    `There is no command ${JSON.stringify(within(word))}. ${suggestion === undefined ? '' : `Did you mean llm-serve ${suggestion}? `}` +
      `Commands: ${commands.map(within).join(', ')}. llm-serve ${within('--help')} describes them.`,
  );
}

function behind(group: string | undefined, name: string): string {
  return group === undefined ? name : `${group} ${name}`;
}

function suggestionFor(
  word: string,
  commands: readonly string[],
  group: string | undefined,
): string | undefined {
  const known = word.toLowerCase();
  if (group !== 'keys') {
    if (LOOKS_LIKE_MODEL.test(word)) return `--model ${word}`;
    const model = MODELS.find(({ name }) => name === word || name.startsWith(`${word}-`));
    if (model !== undefined) return `--model ${model.name}`;
  }
  const synonyms = group === 'keys' ? KEY_COMMAND_SYNONYMS : COMMAND_SYNONYMS;
  if (Object.hasOwn(synonyms, known)) return synonyms[known];
  const meant = nearest(known, commands);
  return meant === undefined ? undefined : behind(group, meant);
}
