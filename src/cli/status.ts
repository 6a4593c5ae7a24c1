/** `llm-serve status`, or `ps`: the models, targets and requests of a running server, once or until Ctrl-C. */
import type { Command } from 'commander';
import type { LiveSnapshot } from '../core/live-snapshot.ts';
import { printableText } from '../core/log.ts';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';
import { isCancelled, RemoteError, type RemoteServer } from './remote.ts';
import { statusText } from './status-text.ts';
import {
  CLEAR_BELOW,
  CLEAR_SCREEN,
  CLEAR_TO_END_OF_LINE,
  CURSOR_HOME,
  EXIT_INTERRUPTED,
} from './terminal.ts';

const LIVE = '/live';
const WATCH_INTERVAL_MS = 500;
const RETRY_AFTER_MS = 1000;

interface StatusFlags {
  readonly watch?: boolean;
  readonly json?: boolean;
}

export function addStatusCommand(program: Command, { withServer, serverOf, exit }: CommandFrame): void {
  const command = program
    .command('status')
    .alias('ps')
    .helpGroup(COMMAND_GROUPS.use)
    .description('Show the models, targets and requests of a running server.')
    .option('-w, --watch', 'go on until Ctrl-C')
    .option('--json', 'as JSON, one line each with --watch');
  withServer(command).action(async (flags: StatusFlags) => {
    const server = serverOf(command);
    exit(flags.watch === true ? await watch(server, flags) : await show(server, flags));
  });
}

async function show(server: RemoteServer, { json = false }: StatusFlags): Promise<number> {
  const snapshot = (await server.json(LIVE)) as LiveSnapshot;
  const text = json ? JSON.stringify(snapshot, undefined, 2) : statusText(snapshot, shownWith(server));
  process.stdout.write(printableText(`${text}\n`));
  return 0;
}

async function watch(server: RemoteServer, { json = false }: StatusFlags): Promise<number> {
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  process.once('SIGINT', leave);
  const isScreen = process.stdout.isTTY === true && !json;
  if (isScreen) process.stdout.write(CLEAR_SCREEN);
  let hasBegun = false;
  try {
    for (;;) {
      try {
        const events = await server.events(`${LIVE}?interval_ms=${WATCH_INTERVAL_MS}`, {
          signal: leaving.signal,
        });
        for await (const { data } of events) {
          hasBegun = true;
          const snapshot = JSON.parse(data) as LiveSnapshot;
          draw(json ? data : statusText(snapshot, shownWith(server)), isScreen);
        }
      } catch (error) {
        // The first question decides whether there is a server; later it may be restarted.
        if (!hasBegun || isCancelled(error) || !(error instanceof RemoteError)) throw error;
      }
      if (!json) draw(`${server.address} does not answer at the moment; asked again every second.`, isScreen);
      await pause(leaving.signal);
    }
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
    return EXIT_INTERRUPTED;
  } finally {
    process.off('SIGINT', leave);
  }
}

/** On a screen the lines are written over: nothing flickers. */
function draw(text: string, isScreen: boolean): void {
  const lines = printableText(text).split('\n');
  process.stdout.write(
    isScreen
      ? `${CURSOR_HOME}${lines.map((line) => `${line}${CLEAR_TO_END_OF_LINE}\n`).join('')}${CLEAR_BELOW}`
      : `${lines.join('\n')}\n`,
  );
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, RETRY_AFTER_MS);
    const onAbort = () => {
      clearTimeout(timer);
      reject(new Error('left'));
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function shownWith({ address }: RemoteServer) {
  return { address, width: process.stdout.columns ?? 100, height: process.stdout.rows };
}
