/**
 * `llm-serve status --watch`: what a server does, until Ctrl-C. On a screen it is written over, elsewhere each state follows the last one.
 * A server that goes away is asked again; one that refuses the question ends it.
 */
import type { LiveSnapshot } from '../core/live-snapshot.ts';
import { printableText } from '../core/log.ts';
import { isCancelled, RemoteError, type RemoteServer } from './remote.ts';
import { statusText } from './status-text.ts';
import { CLEAR_BELOW, CLEAR_SCREEN, CLEAR_TO_END_OF_LINE, CURSOR_HOME } from './terminal.ts';

const LIVE = '/live?interval_ms=500';
/** The server sends a heartbeat each 5 seconds. */
const SILENT_FOR_MS = 15_000;
/** Of a rejection that may pass: asked too soon, or too often. */
const PASSING = new Set([408, 429]);
const AGAIN = 'It is asked again every second.';

/** The terminal, or a pipe: process.stdout. */
export interface WatchOutput {
  write(text: string): unknown;
  readonly columns?: number;
  readonly rows?: number;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

export interface WatchOptions {
  readonly server: RemoteServer;
  readonly output: WatchOutput;
  /** Its lines can be written over. */
  readonly isScreen: boolean;
  readonly asJson: boolean;
  /** Gets a sentence where the output is no screen. */
  readonly complain: (text: string) => void;
  /** Ctrl-C, or nobody reads the output any more. */
  readonly signal: AbortSignal;
  /** Calls that every few seconds, until what it returns is called. */
  readonly repeating: (repeat: () => void) => () => void;
  /** Until the server is asked again; rejects when the signal aborts. */
  readonly pause: (signal: AbortSignal) => Promise<void>;
}

/** Resolves once it is left. Rejects where the first question fails, or a later one is refused. */
export async function watchStatus(options: WatchOptions): Promise<void> {
  const { server, signal, pause } = options;
  const view = new WatchView(options);
  let hasBegun = false;
  try {
    for (;;) {
      let trouble = `${server.address} does not answer.`;
      let answers = false;
      try {
        for await (const { data } of await server.events(LIVE, { signal, silentForMs: SILENT_FOR_MS })) {
          answers = true;
          hasBegun = true;
          view.show(data);
        }
      } catch (error) {
        if (!hasBegun || isCancelled(error) || !(error instanceof RemoteError) || isFinal(error)) throw error;
        if (error.kind === 'refused' || error.kind === 'foreign') trouble = error.message;
      }
      // A reload ends the stream too: only the next question shows whether the server is gone.
      if (!answers) view.tellTrouble(`${trouble} ${AGAIN}`);
      await pause(signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    view.close();
  }
}

/** The same question would be refused again. */
function isFinal({ kind, status = 0 }: RemoteError): boolean {
  return kind === 'refused' && status < 500 && !PASSING.has(status);
}

class WatchView {
  readonly #options: WatchOptions;
  readonly #redraw = () => this.#draw();
  readonly #stopRepeating: () => void;
  #text: (() => string) | undefined;
  #trouble: string | undefined;
  #wasWritten = false;
  /** Since it was last asked whether to repeat the state. */
  #isNew = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    // An idle server sends no state, and only a write finds out that nobody reads any more.
    this.#stopRepeating = options.isScreen ? () => {} : options.repeating(() => this.#repeat());
    if (!options.isScreen) return;
    options.output.write(CLEAR_SCREEN);
    options.output.on('resize', this.#redraw);
  }

  show(data: string): void {
    const { asJson, output, server } = this.#options;
    this.#trouble = undefined;
    const snapshot = JSON.parse(data) as LiveSnapshot;
    this.#text = () =>
      asJson ? data : statusText(snapshot, { ...shownOn(output, server.address), watches: true });
    this.#draw();
  }

  /** Once, until the server answers again. */
  tellTrouble(text: string): void {
    if (text === this.#trouble) return;
    this.#trouble = text;
    this.#text = () => text;
    if (this.#options.isScreen) this.#draw();
    else this.#options.complain(text);
  }

  close(): void {
    this.#stopRepeating();
    this.#options.output.off('resize', this.#redraw);
  }

  #repeat(): void {
    if (!this.#isNew && this.#trouble === undefined) this.#draw();
    this.#isNew = false;
  }

  #draw(): void {
    if (this.#text === undefined) return;
    const { output, isScreen, asJson } = this.#options;
    const lines = printableText(this.#text()).split('\n');
    if (isScreen) {
      // A line more would scroll, and the next state would begin in the wrong one.
      const shown = lines.slice(0, (output.rows ?? Number.POSITIVE_INFINITY) - 1);
      const cleared = shown.map((line) => `${line}${CLEAR_TO_END_OF_LINE}\n`).join('');
      output.write(`${CURSOR_HOME}${cleared}${CLEAR_BELOW}`);
      return;
    }
    const gap = this.#wasWritten && !asJson ? '\n' : '';
    this.#wasWritten = true;
    this.#isNew = true;
    output.write(`${gap}${lines.join('\n')}\n`);
  }
}

/** A pipe has lines of any length. */
export function shownOn(output: Pick<WatchOutput, 'columns' | 'rows'>, address: string) {
  return { address, width: output.columns ?? Number.POSITIVE_INFINITY, height: output.rows };
}
