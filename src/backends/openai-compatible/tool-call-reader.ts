/**
 * Turns the deltas of tool calls into events. Owned by one generation. A call begins when its name is here, its index counts
 * from 0 without gaps, its id is never empty, and its arguments are a text that is never empty.
 */
import { randomUUID } from 'node:crypto';
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import { asArray, asCount, asObject, asText } from '../../upstream/lenient.ts';

interface Call {
  readonly index: number;
  readonly id: string | undefined;
  begun: boolean;
  /** Pieces that came before the name. */
  early: string;
  hasArguments: boolean;
}

const NO_ARGUMENTS = '{}';

export class ToolCallReader {
  readonly #push: (event: GenerationEvent) => void;
  /** By the server's own index. */
  readonly #calls = new Map<number, Call>();
  #latest: Call | undefined;
  #count = 0;

  constructor(push: (event: GenerationEvent) => void) {
    this.#push = push;
  }

  get called(): boolean {
    return this.#count > 0;
  }

  read(deltas: unknown): void {
    for (const value of asArray(deltas)) {
      const delta = asObject(value);
      const { name, arguments: pieces } = asObject(delta.function);
      const index = asCount(delta.index) ?? this.#unnumbered(name);
      const call = this.#callOf(index, asText(delta.id), asText(name));
      this.#arguments(call, typeof pieces === 'string' ? pieces : objectText(pieces));
    }
  }

  /** The answer is complete. */
  end(): void {
    for (const { begun } of this.#calls.values()) {
      if (begun) continue;
      throw new ServingError('backend_error', {
        message: 'The model’s backend began the call of a tool without its name.',
      });
    }
    this.#complete();
  }

  /** Servers that number no call give each as a whole. */
  #unnumbered(name: unknown): number {
    return asText(name) === undefined ? Math.max(0, this.#count - 1) : this.#count;
  }

  /** Servers that number every call 0 are told apart by a new id with a name. */
  #callOf(index: number, id: string | undefined, name: string | undefined): Call {
    let call = this.#calls.get(index);
    const isAnother = call?.begun && name !== undefined && id !== undefined && id !== call.id;
    if (call === undefined || isAnother) {
      this.#complete();
      call = { index: this.#count, id, begun: false, early: '', hasArguments: false };
      this.#count += 1;
      this.#calls.set(index, call);
      this.#latest = call;
    }
    if (name !== undefined && !call.begun) this.#begin(call, name);
    return call;
  }

  #begin(call: Call, name: string): void {
    call.begun = true;
    const id = call.id ?? `call_${randomUUID().replaceAll('-', '')}`;
    this.#push({ type: 'tool-call', index: call.index, id, name });
    const { early } = call;
    call.early = '';
    this.#arguments(call, early);
  }

  #arguments(call: Call, delta: string): void {
    if (delta === '') return;
    if (!call.begun) {
      call.early += delta;
      return;
    }
    call.hasArguments = true;
    this.#push({ type: 'tool-arguments', index: call.index, delta });
  }

  /** What takes no arguments may be called with an empty text. */
  #complete(): void {
    const call = this.#latest;
    if (call?.begun && !call.hasArguments) this.#arguments(call, NO_ARGUMENTS);
  }
}

/** Some servers give the object itself. */
function objectText(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : '';
}
