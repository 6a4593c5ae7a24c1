/**
 * One worker as the control process sees it: starts its process, hands it sockets, exchanges messages with it, copies its output, and ends
 * it. Owns the child process. Invariant: `onEnd` is called exactly once, after everything that the worker has said was heard.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import type { HandedConnection, Ping } from './life-messages.ts';
import { Link } from './link.ts';
import type { ToControl, ToWorker } from './messages.ts';
import { forEachBlockOfLines } from './whole-lines.ts';

/** Where the child finds its ends of the link: behind the standard streams and the channel for sockets. */
export const LINK_DESCRIPTORS = { toWorker: 4, toControl: 5 } as const;

/** For what the worker has said last, after its process has ended. */
const LAST_MESSAGES_WITHIN_MS = 1000;

export interface WorkerEvents {
  readonly onMessage: (message: ToControl) => void;
  /** A clause that says how it ended. */
  readonly onEnd: (how: string) => void;
}

export interface RunningWorker<Accepted = Socket> {
  readonly pid: number | undefined;
  send(message: ToWorker): void;
  /** What was sent to it and has not left this process. */
  readonly unsentBytes: number;
  hand(note: HandedConnection, socket: Accepted): void;
  /** Comes to the worker behind the sockets that it was handed before. */
  ping(): void;
  /** Ends it at once. `because`: a clause for `onEnd`. */
  kill(because: string): void;
}

interface WorkerProcessOptions extends WorkerEvents {
  readonly clock: Clock;
  /** Of the program. */
  readonly path: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Whole lines of its standard output, and of its error output. */
  readonly onOutput: (lines: string) => void;
  readonly onErrorOutput: (lines: string) => void;
}

export class WorkerProcess implements RunningWorker {
  readonly #child: ChildProcess;
  readonly #link: Link<ToWorker, ToControl> | undefined;
  #killedBecause: string | undefined;

  constructor({ clock, path, environment, onMessage, onEnd, onOutput, onErrorOutput }: WorkerProcessOptions) {
    const child = fork(path, [], {
      // Its standard input tells the worker, even while it is blocked, that this process has ended.
      stdio: ['pipe', 'pipe', 'pipe', 'ipc', 'pipe', 'pipe'],
      env: environment,
      // A debugger of this process has the port that they name.
      execArgv: process.execArgv.filter((argument) => !argument.startsWith('--inspect')),
    });
    this.#child = child;
    child.stdin?.on('error', () => {});
    if (child.stdout) forEachBlockOfLines(child.stdout, onOutput);
    if (child.stderr) forEachBlockOfLines(child.stderr, onErrorOutput);
    // Undefined where the process could not be started.
    const streams: readonly unknown[] | undefined = child.stdio;
    const output = streams?.[LINK_DESCRIPTORS.toWorker] as Socket | null | undefined;
    const input = streams?.[LINK_DESCRIPTORS.toControl] as Socket | null | undefined;
    // Nothing comes there; with its end it is closed.
    output?.resume();
    let linkEnded = () => {};
    const allHeard = new Promise<void>((resolve) => {
      linkEnded = resolve;
    });
    this.#link =
      input && output ? new Link({ input, output, clock, onMessage, onEnd: linkEnded }) : undefined;
    if (this.#link === undefined) linkEnded();
    void this.#whenExited().then(async (how) => {
      // After a long turn the time may be over before anything was read: so it is read once more.
      const timer = clock.schedule(LAST_MESSAGES_WITHIN_MS, () => clock.atEndOfTurn(linkEnded));
      await allHeard;
      timer.cancel();
      void this.#link?.close();
      onEnd(this.#killedBecause ?? how);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get unsentBytes(): number {
    return this.#link?.unsentBytes ?? 0;
  }

  send(message: ToWorker): void {
    this.#link?.send(message);
  }

  hand(note: HandedConnection, socket: Socket): void {
    // This process keeps its end until the worker has taken its own: what a dead worker has not taken goes to another one.
    this.#sendBeside(note, socket);
  }

  ping(): void {
    this.#sendBeside({ type: 'ping' });
  }

  kill(because: string): void {
    this.#killedBecause ??= because;
    this.#child.kill('SIGKILL');
  }

  #sendBeside(message: HandedConnection | Ping, socket?: Socket): void {
    // A channel that has just closed is reported by the end that follows.
    if (this.#child.connected) this.#child.send(message, socket, { keepOpen: true }, () => {});
  }

  #whenExited(): Promise<string> {
    const child = this.#child;
    return new Promise((resolve) => {
      child.once('exit', (code, signal) =>
        resolve(signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`),
      );
      child.once('error', (error) => {
        // Without a process id it never started, and no exit will follow.
        if (child.pid === undefined) resolve(`it could not be started: ${error.message}`);
      });
    });
  }
}
