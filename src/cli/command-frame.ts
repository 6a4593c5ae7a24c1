/** What every command is built with: the flags that name a running server, the other commands, and the exit code. */
import type { Command } from 'commander';
import { remoteDefaults, remoteVariables } from '../config/environment.ts';
import { DEFAULT_SERVER, type RemoteServer, remoteServer } from './remote.ts';

export interface CommandFrame {
  /** The command takes --server and --key. */
  withServer(command: Command): Command;
  serverOf(command: Command): RemoteServer;
  /** All commands, for those that must know them. */
  wholeProgram(): Promise<Command>;
  exit(code: number): void;
}

export function commandFrame(
  exit: (code: number) => void,
  wholeProgram: () => Promise<Command>,
): CommandFrame {
  return { withServer, serverOf, wholeProgram, exit };
}

function withServer(command: Command): Command {
  return command
    .optionsGroup('Server:')
    .option('--server <url>', `its address (${remoteVariables.server}; default ${DEFAULT_SERVER})`)
    .option('--key <key>', `an API key, where it needs one (better: ${remoteVariables.key})`)
    .allowExcessArguments(false);
}

function serverOf(command: Command): RemoteServer {
  const text = (name: string) => command.getOptionValue(name) as string | undefined;
  return remoteServer({ server: text('server'), key: text('key') }, remoteDefaults());
}
