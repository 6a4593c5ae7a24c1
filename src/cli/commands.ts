/**
 * Which module has which command. Modules are loaded when their commands are needed: a command that uses a running server starts
 * without a server's code.
 */
import type { Command } from 'commander';
import type { CommandFrame } from './command-frame.ts';

type AddCommands = (program: Command, frame: CommandFrame) => void;

interface CommandModule {
  /** Of its commands, aliases included. */
  readonly names: readonly string[];
  load(): Promise<AddCommands>;
}

/** The default command is the first. */
const SERVE: CommandModule = {
  names: ['serve', 'check-config', 'reload'],
  load: async () => (await import('./serve-commands.ts')).addServeCommands,
};

/** In the order of the help, within its groups. */
export const COMMAND_MODULES: readonly CommandModule[] = [
  SERVE,
  { names: ['chat'], load: async () => (await import('./chat.ts')).addChatCommand },
  { names: ['run'], load: async () => (await import('./run.ts')).addRunCommand },
  { names: ['status', 'ps'], load: async () => (await import('./status.ts')).addStatusCommand },
  { names: ['keys'], load: async () => (await import('./keys.ts')).addKeyCommands },
  { names: ['usage'], load: async () => (await import('./usage.ts')).addUsageCommand },
  { names: ['data'], load: async () => (await import('./data.ts')).addDataCommands },
  { names: ['audit'], load: async () => (await import('./audit.ts')).addAuditCommand },
  { names: ['bench'], load: async () => (await import('./bench.ts')).addBenchCommand },
  { names: ['whatif'], load: async () => (await import('./whatif.ts')).addWhatIfCommand },
  {
    names: ['models', 'list', 'ls', 'show', 'pull', 'remove', 'rm'],
    load: async () => (await import('./models.ts')).addModelCommands,
  },
  { names: ['completion'], load: async () => (await import('./completion.ts')).addCompletionCommand },
];

/** The modules that a command line needs: that of its command, or all for help, and where its first word is no command. */
export function modulesFor(argv: readonly string[]): readonly CommandModule[] {
  const [first, ...rest] = argv;
  if (rest.length === 0 && (first === '--version' || first === '-v')) return [];
  if (first === undefined || first.startsWith('-'))
    return argv.includes('--help') || argv.includes('-h') ? COMMAND_MODULES : [SERVE];
  const found = COMMAND_MODULES.find(({ names }) => names.includes(first));
  return found === undefined ? COMMAND_MODULES : [found];
}
