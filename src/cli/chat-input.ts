/** Puts lines together to what is sent: a backslash at the end, """ and pasted lines continue it. Pure. */

const FENCE = '"""';

export class ChatInput {
  #lines: string[] = [];
  #inFence = false;

  /** Lines are missing before it can be sent. */
  get isOpen(): boolean {
    return this.#inFence || this.#lines.length > 0;
  }

  /** The whole text, once it is complete. `pasted`: more follows, whatever the line ends with. */
  push(line: string, { pasted = false }: { readonly pasted?: boolean } = {}): string | undefined {
    if (!this.isOpen && line.trimStart().startsWith(FENCE)) {
      this.#inFence = true;
      return this.#pushFenced(line.trimStart().slice(FENCE.length));
    }
    if (this.#inFence) return this.#pushFenced(line);
    if (pasted) {
      this.#lines.push(line);
      return undefined;
    }
    if (line.endsWith('\\') && !line.endsWith('\\\\')) {
      this.#lines.push(line.slice(0, -1));
      return undefined;
    }
    this.#lines.push(line);
    return this.#take();
  }

  /** Forgets the lines so far; true where there were any. */
  discard(): boolean {
    const wasOpen = this.isOpen;
    this.#take();
    return wasOpen;
  }

  /** The input is over: what there is. */
  end(): string | undefined {
    return this.isOpen ? this.#take() : undefined;
  }

  #pushFenced(line: string): string | undefined {
    if (!line.trimEnd().endsWith(FENCE)) {
      // Nothing stands on the line of the opening fence, most often.
      if (line !== '' || this.#lines.length > 0) this.#lines.push(line);
      return undefined;
    }
    const last = line.trimEnd().slice(0, -FENCE.length);
    if (last !== '') this.#lines.push(last);
    return this.#take();
  }

  #take(): string {
    const text = this.#lines.join('\n');
    this.#lines = [];
    this.#inFence = false;
    return text;
  }
}
