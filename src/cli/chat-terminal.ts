/**
 * Where the texts of a chat are entered: at a terminal with editing, history and Ctrl-C, or from a pipe. While an answer is printed,
 * keys are still read (Ctrl-C is one of them), but not shown.
 */
import { type CompleterResult, createInterface, type Interface, type Key } from 'node:readline';
import { Writable } from 'node:stream';
import type { ReadStream, WriteStream } from 'node:tty';
import type { ChatHistory } from './chat-files.ts';
import { ChatInput } from './chat-input.ts';
import { Interrupts } from './chat-session.ts';

export interface ChatEntry {
  /** Undefined: there is no more. */
  next(): Promise<string | undefined>;
  /** An answer is being printed until `resume`. Ctrl-C then calls `stop`. */
  answering(stop: () => void): { resume(): void };
  close(): void;
}

const PROMPT = '> ';
const CONTINUED_PROMPT = '. ';
const HISTORY_LINES = 1000;
/** A terminal that knows it marks pasted text, so that its lines are one text. */
const PASTE_MARKS_ON = '\u001b[?2004h';
const PASTE_MARKS_OFF = '\u001b[?2004l';

interface TerminalOptions {
  readonly input: ReadStream;
  readonly output: WriteStream;
  readonly history: ChatHistory;
  /** Prompts and marks in escape sequences. */
  readonly isRich: boolean;
  /** Completed after a slash. */
  readonly commands: readonly string[];
}

export class TerminalEntry implements ChatEntry {
  readonly #output: MutedOutput;
  readonly #terminal: WriteStream;
  readonly #isRich: boolean;
  readonly #lines: Interface;
  readonly #input = new ChatInput();
  readonly #interrupts = new Interrupts();
  readonly #entered: string[] = [];
  #isPasting = false;
  #isClosed = false;
  #stop: (() => void) | undefined;
  #waiting: ((text: string | undefined) => void) | undefined;

  constructor({ input, output, history, isRich, commands }: TerminalOptions) {
    this.#terminal = output;
    this.#isRich = isRich;
    this.#output = new MutedOutput(output);
    this.#lines = createInterface({
      input,
      output: this.#output,
      terminal: true,
      history: [...history.lines].reverse(),
      historySize: HISTORY_LINES,
      removeHistoryDuplicates: true,
      completer: (line: string): CompleterResult => [
        line.startsWith('/')
          ? commands.map((name) => `/${name}`).filter((name) => name.startsWith(line))
          : [],
        line,
      ],
    });
    if (isRich) output.write(PASTE_MARKS_ON);
    input.on('keypress', (_text, key: Key) => this.#onKey(key));
    this.#lines.on('line', (line) => {
      history.add(line);
      this.#onLine(line);
    });
    this.#lines.on('SIGINT', () => this.#onInterrupt());
    this.#lines.on('close', () => this.#onClose());
  }

  next(): Promise<string | undefined> {
    const text = this.#entered.shift();
    if (text !== undefined || this.#isClosed) return Promise.resolve(text);
    this.#prompt();
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  answering(stop: () => void): { resume(): void } {
    this.#stop = stop;
    this.#output.isMuted = true;
    return {
      resume: () => {
        this.#stop = undefined;
        this.#output.isMuted = false;
      },
    };
  }

  close(): void {
    if (!this.#isClosed) this.#lines.close();
  }

  #prompt(): void {
    this.#lines.setPrompt(this.#input.isOpen ? CONTINUED_PROMPT : PROMPT);
    this.#lines.prompt(true);
  }

  #onKey({ name, ctrl }: Key): void {
    if (name === 'paste-start') this.#isPasting = true;
    if (name === 'paste-end') this.#isPasting = false;
    if (!(ctrl === true && name === 'c')) this.#interrupts.reset();
  }

  #onLine(line: string): void {
    const text = this.#input.push(line, { pasted: this.#isPasting });
    if (text !== undefined) this.#give(text);
    else if (this.#stop === undefined) this.#prompt();
  }

  #give(text: string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#entered.push(text);
    else waiting(text);
  }

  #onInterrupt(): void {
    const typed = this.#lines.line !== '' || this.#input.isOpen;
    const answering = this.#stop !== undefined;
    switch (this.#interrupts.press({ answering, typed })) {
      case 'leave':
        this.#lines.close();
        return;
      case 'stop':
        this.#entered.length = 0;
        this.#stop?.();
        return;
      case 'clear':
        this.#input.discard();
        this.#clearLine();
        return;
      case 'warn':
        this.#terminal.write('\n(Ctrl-C again, or Ctrl-D, leaves)\n');
        this.#prompt();
    }
  }

  /** As a shell does: what was typed stays to be seen, and a new line begins. */
  #clearLine(): void {
    this.#terminal.write('^C\n');
    this.#lines.write(null, { ctrl: true, name: 'e' });
    this.#output.isMuted = true;
    this.#lines.write(null, { ctrl: true, name: 'u' });
    this.#output.isMuted = false;
    this.#prompt();
  }

  #onClose(): void {
    this.#isClosed = true;
    if (this.#isRich) this.#terminal.write(PASTE_MARKS_OFF);
    this.#stop?.();
    this.#waiting?.(undefined);
    this.#waiting = undefined;
  }
}

/** Line by line, without a prompt. */
export class PipeEntry implements ChatEntry {
  readonly #lines: Interface;
  readonly #iterator: AsyncIterator<string>;
  readonly #input = new ChatInput();

  constructor(input: NodeJS.ReadableStream) {
    this.#lines = createInterface({ input, terminal: false });
    this.#iterator = this.#lines[Symbol.asyncIterator]();
  }

  async next(): Promise<string | undefined> {
    for (;;) {
      const { done, value } = await this.#iterator.next();
      if (done === true) return this.#input.end();
      const text = this.#input.push(value);
      if (text !== undefined) return text;
    }
  }

  /** Ctrl-C ends the process, and the server notices that it is gone. */
  answering(): { resume(): void } {
    return { resume: () => {} };
  }

  close(): void {
    this.#lines.close();
  }
}

/** The terminal, except that what the line editor writes is dropped while it is muted. */
class MutedOutput extends Writable {
  readonly #terminal: WriteStream;
  isMuted = false;

  constructor(terminal: WriteStream) {
    super();
    this.#terminal = terminal;
    terminal.on('resize', () => this.emit('resize'));
  }

  get columns(): number {
    return this.#terminal.columns;
  }

  /** At once: what is written past the line editor stays in its place. */
  override write(chunk: string | Uint8Array): boolean {
    return this.isMuted || this.#terminal.write(chunk);
  }
}
