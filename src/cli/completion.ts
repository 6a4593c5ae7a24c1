/** `llm-serve completion bash|zsh|fish`: a script that completes commands and flags, made from the commands themselves. Pure but for the output. */
import { Argument, type Command } from 'commander';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

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
    .action(async (shell: (typeof SHELLS)[number]) => {
      process.stdout.write(completionScript(shell, await wholeProgram()));
      exit(0);
    });
}

/** Words that may follow, by the words of the command before them: `models list` → `--json …`. */
interface Completion {
  readonly path: readonly string[];
  readonly words: readonly string[];
}

export function completionScript(shell: (typeof SHELLS)[number], program: Command): string {
  const completions = completionsOf(program, []);
  if (shell === 'fish') return fishScript(completions);
  const script = bashScript(completions);
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${script}` : script;
}

function completionsOf(command: Command, path: readonly string[]): readonly Completion[] {
  const flags = command.options.flatMap(({ long, hidden }) => (long && !hidden ? [long] : []));
  const names = command.commands.flatMap((each) => [each.name(), ...each.aliases()]);
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices);
  const below = command.commands.flatMap((each) =>
    [each.name(), ...each.aliases()].flatMap((name) => completionsOf(each, [...path, name])),
  );
  // `help` and `--help` are commander’s own.
  const help = path.length === 0 ? ['help'] : [];
  return [{ path, words: [...names, ...help, ...choices, ...flags, '--help'] }, ...below];
}

function bashScript(completions: readonly Completion[]): string {
  const pattern = (path: readonly string[]) => (path.length === 0 ? '*' : `"${path.join(' ')} "*`);
  // The longest first: the first that fits counts.
  const cases = [...completions]
    .sort((one, other) => other.path.length - one.path.length)
    .map(({ path, words }) => `    ${pattern(path)}) words="${words.join(' ')}" ;;`);
  return [
    '_llm_serve() {',
    '  local words path word',
    '  path=""',
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    '    case "$word" in -*) ;; *) path="$path$word " ;; esac',
    '  done',
    '  case "$path" in',
    ...cases,
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))',
    '}',
    'complete -o default -F _llm_serve llm-serve',
    '',
  ].join('\n');
}

function fishScript(completions: readonly Completion[]): string {
  const lines = completions.flatMap(({ path, words }) => {
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const condition = path.length === 0 ? '__fish_use_subcommand' : seen;
    return words.map((word) =>
      word.startsWith('--')
        ? `complete -c llm-serve -n '${condition}' -l '${word.slice(2)}'`
        : `complete -c llm-serve -n '${condition}' -f -a '${word}'`,
    );
  });
  return `${lines.join('\n')}\n`;
}
