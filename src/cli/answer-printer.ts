/**
 * Prints an answer as it comes. On a terminal its control characters are shown, not obeyed, thoughts are dim, and a silent server is
 * waited for visibly. Elsewhere exactly the text of the answer is written.
 */
import { terminalTakesStyles } from '../config/environment.ts';
import { printableText } from '../core/log.ts';
import type { AnswerListener } from './chat-request.ts';
import { CLEAR_LINE } from './terminal.ts';

export interface Style {
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
  /** Whether lines can be written over. */
  readonly isRich: boolean;
}

/** For text that is safe to print. */
export function styleFor({ isTTY }: { readonly isTTY?: boolean }): Style {
  const isRich = isTTY === true && terminalTakesStyles();
  return {
    dim: (text) => (isRich ? `\u001b[2m${text}\u001b[22m` : text),
    bold: (text) => (isRich ? `\u001b[1m${text}\u001b[22m` : text),
    isRich,
  };
}

const NOTE_EVERY_MS = 1000;

interface PrinterOptions {
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
  readonly style: Style;
  readonly hidesThinking: boolean;
}

export class AnswerPrinter implements AnswerListener {
  readonly #options: PrinterOptions;
  #answer = '';
  #lastWritten = '';
  #phase: 'silent' | 'thinking' | 'answering' = 'silent';
  #note: NodeJS.Timeout | undefined;
  #noteShown = false;

  constructor(options: PrinterOptions) {
    this.#options = options;
  }

  /** The text so far, as the model wrote it. */
  get answer(): string {
    return this.#answer;
  }

  /** The question has been sent. */
  begin(): void {
    if (!this.#options.style.isRich) return;
    let seconds = 0;
    this.#note = setInterval(() => {
      seconds += 1;
      this.#noteShown = true;
      this.#options.write(CLEAR_LINE + this.#options.style.dim(`waiting ${seconds} s`));
    }, NOTE_EVERY_MS);
  }

  reasoning(text: string): void {
    const { isTerminal, hidesThinking, style } = this.#options;
    if (!isTerminal) return;
    if (this.#phase === 'silent') {
      this.#endNote();
      this.#phase = 'thinking';
      this.#write(style.dim(hidesThinking ? 'Thinking …' : 'Thinking:\n'));
    }
    if (!hidesThinking) this.#write(style.dim(visible(text)), text);
  }

  text(text: string): void {
    const { isTerminal, style } = this.#options;
    this.#answer += text;
    if (this.#phase === 'silent') this.#endNote();
    // Without styles a line has to tell where the thoughts end.
    if (this.#phase === 'thinking') this.#write(style.isRich ? '\n\n' : '\n\nAnswer:\n');
    this.#phase = 'answering';
    this.#write(isTerminal ? visible(text) : text, text);
  }

  /** The answer is over, or stopped: the cursor is at the beginning of a line. */
  end(): void {
    this.#endNote();
    if (this.#phase !== 'silent' && !this.#lastWritten.endsWith('\n')) this.#write('\n');
  }

  #write(text: string, plain = text): void {
    this.#lastWritten = plain;
    this.#options.write(text);
  }

  #endNote(): void {
    clearInterval(this.#note);
    if (this.#noteShown) this.#options.write(CLEAR_LINE);
    this.#noteShown = false;
  }
}

/** A model must not steer the terminal. Returns before line ends say nothing there. */
function visible(text: string): string {
  return printableText(text.replaceAll('\r\n', '\n'));
}
