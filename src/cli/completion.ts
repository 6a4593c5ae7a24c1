/** `llm-serve completion bash|zsh|fish`: a script that completes commands and flags, made from the commands themselves. */
import { Argument, type Command } from 'commander';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS, isListed } from './help.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function addCompletionCommand(program: Command, { wholeProgram, exit }: CommandFrame): void {
  program
    .command('completion')
    .helpGroup(COMMAND_GROUPS.other)
    .addArgument(new Argument('<shell>', 'for which shell').choices(SHELLS))
    .description('Print a script that completes commands and flags.')
    .addHelpText(
      'after',
      [
        '',
        'bash:  source <(llm-serve completion bash)',
        'zsh:   source <(llm-serve completion zsh)',
        'fish:  llm-serve completion fish | source',
        '',
        'In the file that your shell reads at its start, it completes always.',
      ].join('\n'),
    )
    .action(async (shell: Shell) => {
      process.stdout.write(completionScript(shell, await wholeProgram()));
      exit(0);
    });
}

/** By their names in the help. */
const FILE_ARGUMENT = /^file$|\.json$/;

/** What may follow the words of a command: `models list` → `--json` …. */
interface Place {
  /** The names of the command; empty: the program. */
  readonly path: readonly string[];
  /** Commands, and choices of an argument. */
  readonly words: readonly Entry[];
  /** Only where a hyphen has been typed. */
  readonly flags: readonly Flag[];
  /** An argument may be a file. */
  readonly takesFiles: boolean;
}

interface Entry {
  readonly word: string;
  readonly meaning: string;
}

interface Flag extends Entry {
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

export function completionScript(shell: Shell, program: Command): string {
  // The longest first: the first that fits counts.
  const places = placesOf(program, []).sort((one, other) => other.path.length - one.path.length);
  return `${SCRIPTS[shell](places).join('\n')}\n`;
}

const SCRIPTS: Readonly<Record<Shell, (places: readonly Place[]) => readonly string[]>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

function placesOf(command: Command, path: readonly string[]): Place[] {
  const isProgram = path.length === 0;
  const below = command.commands.flatMap((each) =>
    [each.name(), ...each.aliases()].map((name) => ({ name, each })),
  );
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices);
  const words = [
    ...below.map(({ name, each }) => ({ word: name, meaning: each.description() })),
    ...choices.map((word) => ({ word, meaning: '' })),
    ...(isProgram ? [{ word: 'help', meaning: 'Describe a command.' }] : []),
  ];
  const flags = isProgram ? [...flagsOf(command), ...defaultFlags(command)] : flagsOf(command);
  const help = { word: '--help', meaning: 'print help', takesValue: false, choices: [] };
  return [
    {
      ...{ path, words, flags: [...flags, help] },
      takesFiles: command.registeredArguments.some((argument) => FILE_ARGUMENT.test(argument.name())),
    },
    ...below.flatMap(({ name, each }) => placesOf(each, [...path, name])),
  ];
}

/** Without a command, the flags are those of `serve`. */
function defaultFlags(program: Command): readonly Flag[] {
  return program.commands.filter((each) => each.name() === 'serve').flatMap(flagsOf);
}

/** Those that the help of the command lists. */
function flagsOf(command: Command): readonly Flag[] {
  return command.options
    .filter((option) => option.long && !option.hidden && isListed(option))
    .map(({ long, description, required, argChoices = [] }) => ({
      ...{ word: long ?? '', meaning: description, takesValue: required, choices: argChoices },
    }));
}

const wordsOf = (entries: readonly Entry[]) => entries.map(({ word }) => word).join(' ');

function bashScript(places: readonly Place[]): readonly string[] {
  const begin = (path: readonly string[]) => (path.length === 0 ? '' : `"${path.join(' ')} "`);
  const choices = places.flatMap(({ path, flags }) =>
    flags
      .filter((flag) => flag.choices.length > 0)
      .map((flag) => `    ${begin(path)}*:${flag.word}) words="${flag.choices.join(' ')}" ;;`),
  );
  return [
    '_llm_serve() {',
    '  local words="" flags="" typed="" word',
    '  local current="${COMP_WORDS[COMP_CWORD]}"',
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    '    case "$word" in -*) ;; *) typed="$typed$word " ;; esac',
    '  done',
    '  case "$typed" in',
    ...places.map(
      ({ path, words, flags }) =>
        `    ${begin(path)}*) words="${wordsOf(words)}" flags="${wordsOf(flags)}" ;;`,
    ),
    '  esac',
    '  case "$current" in -*) words="$flags" ;; esac',
    '  case "$typed:${COMP_WORDS[COMP_CWORD-1]}" in',
    ...choices,
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '}',
    // Files, where nothing of it fits.
    'complete -o default -F _llm_serve llm-serve',
  ];
}

/** `path` and `words` are the shell's own there. */
function zshScript(places: readonly Place[]): readonly string[] {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const described = ({ word, meaning }: Entry) => quoted(`${word.replaceAll(':', '\\:')}:${meaning}`);
  const begin = (path: readonly string[]) => (path.length === 0 ? '' : `"${path.join(' ')} "`);
  const choices = places.flatMap(({ path, flags }) =>
    flags
      .filter((flag) => flag.choices.length > 0)
      .map((flag) => `    ${begin(path)}*:${flag.word}) compadd -- ${flag.choices.join(' ')}; return ;;`),
  );
  return [
    '#compdef llm-serve',
    '_llm_serve() {',
    '  local typed="" word',
    '  local -a found flags',
    '  for word in "${(@)words[2,CURRENT-1]}"; do',
    '    [[ $word == -* ]] || typed="$typed$word "',
    '  done',
    '  case "$typed:$words[CURRENT-1]" in',
    ...choices,
    '  esac',
    '  case "$typed" in',
    ...places.map(
      ({ path, words, flags }) =>
        `    ${begin(path)}*) found=(${words.map(described).join(' ')}) flags=(${flags.map(described).join(' ')}) ;;`,
    ),
    '  esac',
    '  if [[ $PREFIX == -* ]]; then _describe flag flags; return; fi',
    '  (( $#found )) && _describe command found && return',
    '  _files',
    '}',
    '(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }',
    // As a file of its own in $fpath it is run to complete; else it is only read.
    'if [[ $funcstack[1] == _llm_serve ]]; then _llm_serve "$@"; else compdef _llm_serve llm-serve; fi',
  ];
}

function fishScript(places: readonly Place[]): readonly string[] {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = places.flatMap(({ path, words, flags, takesFiles }) => {
    const here = `complete -c llm-serve -n ${quoted(`__llm_serve_at ${path.join(' ')}`.trim())}`;
    return [
      ...words.map(({ word, meaning }) => `${here} -a ${quoted(word)} -d ${quoted(meaning)}`),
      ...flags.map(({ word, meaning, takesValue, choices }) => {
        const value = choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : takesValue ? ' -r -F' : '';
        return `${here} -l ${word.slice('--'.length)}${value} -d ${quoted(meaning)}`;
      }),
      ...(takesFiles ? [`${here} -F`] : []),
    ];
  });
  return [
    'function __llm_serve_at',
    "    set -l typed (string match -v -- '-*' (commandline -opc)[2..-1])",
    '    set -l known',
    '    switch "$typed "',
    ...places
      .filter(({ path }) => path.length > 0)
      .flatMap(({ path }) => [
        `        case '${path.join(' ')} *'`,
        `            set known ${path.join(' ')}`,
      ]),
    '    end',
    '    test "$known" = "$argv"',
    'end',
    'complete -c llm-serve -f',
    ...lines,
  ];
}
