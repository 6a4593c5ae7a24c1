/** What every command is built with: the flags that name a running server, the other commands, and the exit code. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import {
  CONFIG_FILE,
  readEnvironment,
  remoteDefaults,
  remoteVariables,
  VARIABLE_PREFIX,
} from '../config/environment.ts';
import { DEFAULT_SERVER, type RemoteServer, remoteServer } from './remote.ts';

export interface CommandFrame {
  /** The command takes --server and --key. */
  withServer(command: Command): Command;
  /** The command takes these, and what the server that is meant was started with: --config, --host and --port. */
  withOwnServer(command: Command): Command;
  /** Of a command that has these flags. */
  serverOf(command: Command): Promise<RemoteServer>;
  /** All commands, for those that must know them. */
  wholeProgram(): Promise<Command>;
  exit(code: number): void;
}

/** By flag: the setting, and where else it may be. */
const ADDRESS_FLAGS = [
  { name: 'host', setting: 'server.host', variable: `${VARIABLE_PREFIX}SERVER__HOST` },
  { name: 'port', setting: 'server.port', variable: `${VARIABLE_PREFIX}SERVER__PORT` },
] as const;

export function commandFrame(
  exit: (code: number) => void,
  wholeProgram: () => Promise<Command>,
): CommandFrame {
  return {
    withServer: (command) => withServer(command, `default ${DEFAULT_SERVER}`),
    withOwnServer,
    serverOf,
    wholeProgram,
    exit,
  };
}

function withServer(command: Command, otherwise: string): Command {
  return command
    .optionsGroup('Server:')
    .option('--server <url>', `its address (${remoteVariables.server}; ${otherwise})`)
    .option('--key <key>', `an API key, where it needs one (better: ${remoteVariables.key})`)
    .allowExcessArguments(false);
}

function withOwnServer(command: Command): Command {
  return withServer(command, `default: as it is configured, or ${DEFAULT_SERVER}`)
    .option(
      '--config <file>',
      `instead: the file that it was started with (default: ${CONFIG_FILE} in this folder)`,
    )
    .option('--host <string>', 'instead: where it listens')
    .option('--port <integer>', 'instead: its port');
}

async function serverOf(command: Command): Promise<RemoteServer> {
  const text = (name: string) => command.getOptionValue(name) as string | undefined;
  const key = text('key');
  const defaults = remoteDefaults();
  const config = text('config');
  const values = Object.fromEntries(ADDRESS_FLAGS.map(({ name, setting }) => [setting, text(name)]));
  const isNamedHere = config !== undefined || Object.values(values).some((value) => value !== undefined);
  if (text('server') !== undefined || (defaults.server !== undefined && !isNamedHere))
    return remoteServer({ server: text('server'), key }, defaults);
  const environment = readEnvironment();
  const isConfigured =
    isNamedHere || existsSync(CONFIG_FILE) || ADDRESS_FLAGS.some(({ variable }) => environment[variable]);
  if (!isConfigured) return remoteServer({ server: undefined, key }, defaults);
  // Reading a configuration takes longer than the rest.
  const { configuredServer } = await import('./configured-server.ts');
  return remoteServer({ server: configuredServer({ config, values }), key }, defaults);
}
