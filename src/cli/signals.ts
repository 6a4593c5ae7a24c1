/** Which signals end the server, and how politely. SIGTERM and SIGINT drain it, a second one of them ends it at once. */
import { isatty } from 'node:tty';
import type { Log } from '../core/log.ts';

export interface Ending {
  /** Load balancers are given time to notice (`server.shutdown_delay_seconds`): not where somebody waits for the end. */
  readonly delays: boolean;
}

/** What the signals come from and lead to; the process itself, but for tests. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  /** One of the standard streams is a terminal that is still open. */
  hasTerminal(): boolean;
  schedule(delayMs: number, run: () => void): void;
  /** Ends the process without waiting for anything. */
  endAtOnce(): void;
}

/** The signal may come a moment before its terminal is gone. */
const TERMINAL_GONE_WITHIN_MS = 1000;

export function processSignals(endAtOnce: () => void): SignalSource {
  return {
    on: (signal, listener) => process.on(signal, listener),
    hasTerminal: () => [0, 1, 2].some((descriptor) => isatty(descriptor)),
    schedule: (delayMs, run) => void setTimeout(run, delayMs).unref(),
    endAtOnce,
  };
}

/** Resolves with the first signal that ends the server. */
export function untilSignalled(source: SignalSource, log: Log): Promise<Ending> {
  const startedOnTerminal = source.hasTerminal();
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (signal: NodeJS.Signals) => {
      signals += 1;
      if (signals > 1) return source.endAtOnce();
      log.info(`${signal}: finishing what is under way; a second signal ends at once`);
      resolve({ delays: signal === 'SIGTERM' });
    };
    source.on('SIGTERM', onSignal);
    source.on('SIGINT', onSignal);

    const endIfTerminalClosed = () => {
      if (!startedOnTerminal || source.hasTerminal()) return false;
      log.info('The terminal was closed: finishing what is under way');
      resolve({ delays: false });
      return true;
    };
    source.on('SIGHUP', () => {
      if (endIfTerminalClosed()) return;
      const ignore = () => log.info('SIGHUP is ignored: it has no meaning in this release');
      if (!startedOnTerminal) return ignore();
      source.schedule(TERMINAL_GONE_WITHIN_MS, () => {
        if (!endIfTerminalClosed()) ignore();
      });
    });
  });
}
