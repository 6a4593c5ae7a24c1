/** `llm-serve status`, or `ps`: the models, targets and requests of a running server, once or until Ctrl-C. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from 'commander';
import { terminalMovesCursor } from '../config/environment.ts';
import type { LiveSnapshot } from '../core/live-snapshot.ts';
import { printableText } from '../core/log.ts';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';
import type { RemoteServer } from './remote.ts';
import { statusText } from './status-text.ts';
import { shownOn, watchStatus } from './status-watch.ts';

const LIVE = '/live';
const RETRY_AFTER_MS = 1000;
/** Of a state that stays the same, where it is written to a pipe. */
const REPEAT_AFTER_MS = 5_000;

interface StatusFlags {
  readonly watch?: boolean;
  readonly json?: boolean;
}

export function addStatusCommand(program: Command, { withOwnServer, serverOf, exit }: CommandFrame): void {
  const command = program
    .command('status')
    .alias('ps')
    .helpGroup(COMMAND_GROUPS.use)
    .description('Show the models, targets and requests of a running server.')
    .option('-w, --watch', 'go on until Ctrl-C')
    .option('--json', 'as JSON, one line each with --watch');
  withOwnServer(command).action(async (flags: StatusFlags) => {
    const server = await serverOf(command);
    await (flags.watch === true ? watch(server, flags) : show(server, flags));
    exit(0);
  });
}

async function show(server: RemoteServer, { json = false }: StatusFlags): Promise<void> {
  const snapshot = (await server.json(LIVE)) as LiveSnapshot;
  const text = json
    ? JSON.stringify(snapshot, undefined, 2)
    : statusText(snapshot, { ...shownOn(process.stdout, server.address), watches: false });
  process.stdout.write(printableText(`${text}\n`));
}

async function watch(server: RemoteServer, { json = false }: StatusFlags): Promise<void> {
  const { stdout, stderr } = process;
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  process.once('SIGINT', leave);
  // Its reader has seen enough, as `head` has.
  stdout.once('error', leave);
  try {
    await watchStatus({
      server,
      output: stdout,
      isScreen: stdout.isTTY === true && !json && terminalMovesCursor(),
      asJson: json,
      complain: (text) => void stderr.write(`llm-serve: ${printableText(text)}\n`),
      signal: leaving.signal,
      repeating: (repeat) => {
        const timer = setInterval(repeat, REPEAT_AFTER_MS);
        return () => clearInterval(timer);
      },
      pause: (signal) => wait(RETRY_AFTER_MS, undefined, { signal }),
    });
  } finally {
    process.off('SIGINT', leave);
    stdout.off('error', leave);
  }
}
