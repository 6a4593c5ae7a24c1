/**
 * Turns the deltas of tool calls into events. Owned by one generation. A call begins with its name; its index counts from 0 without
 * gaps; its id and its arguments are never empty.
 */
import { randomUUID } from 'node:crypto';
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import { asArray, asCount, asObject, asText } from '../../upstream/untyped.ts';

interface Call {
  readonly index: number;
  /** The server's. */
  readonly id: string | undefined;
  /** The text waits for it. */
  name: string | undefined;
  text: string;
}

interface Delta {
  readonly index: number | undefined;
  readonly id: string | undefined;
  readonly name: string | undefined;
  readonly text: string;
}

const NO_ARGUMENTS = '{}';

export class ToolCallReader {
  readonly #push: (event: GenerationEvent) => void;
  readonly #calls: Call[] = [];
  /** The latest call with each of the server's numbers. */
  readonly #numbered = new Map<number, Call>();

  constructor(push: (event: GenerationEvent) => void) {
    this.#push = push;
  }

  get called(): boolean {
    return this.#calls.length > 0;
  }

  read(deltas: unknown): void {
    for (const value of asArray(deltas)) {
      const { index, id, function: called } = asObject(value);
      const { name, arguments: text } = asObject(called);
      this.#delta({ index: asCount(index), id: asText(id), name: asText(name), text: textOf(text) });
    }
  }

  /** The last call has a name, but no arguments, or not all of their JSON. */
  get lastIsOpen(): boolean {
    const last = this.#calls.at(-1);
    return last?.name !== undefined && !isJson(last.text);
  }

  get lastIsEmpty(): boolean {
    return this.#calls.at(-1)?.text === '';
  }

  /**
   * The answer is over. A call without arguments gets empty ones, which only now is certain. Nothing is added to the call in which
   * the answer was cut.
   */
  end({ isCut }: { readonly isCut: boolean }): void {
    const whole = isCut ? this.#calls.slice(0, -1) : this.#calls;
    if (whole.some(({ name }) => name === undefined)) {
      throw new ServingError('backend_error', {
        message: 'The model’s backend sent a tool call without a name.',
        failure: 'garbage',
      });
    }
    for (const call of whole) if (call.text === '') this.#arguments(call, NO_ARGUMENTS);
  }

  #delta(delta: Delta): void {
    const meant = delta.index === undefined ? this.#unnumbered(delta) : this.#numbered.get(delta.index);
    const call = meant === undefined || isNewCall(meant, delta) ? this.#add(delta) : meant;
    if (call.name !== undefined || delta.name === undefined) {
      this.#arguments(call, delta.text);
      return;
    }
    const early = call.text;
    call.name = delta.name;
    call.text = '';
    const id = call.id ?? `call_${randomUUID().replaceAll('-', '')}`;
    this.#push({ type: 'tool-call', index: call.index, id, name: delta.name });
    this.#arguments(call, early);
    this.#arguments(call, delta.text);
  }

  /** By its id, if it has one. Servers that neither number calls nor give ids send each call whole. */
  #unnumbered({ id, name }: Delta): Call | undefined {
    const known = this.#calls.findLast((call) => call.id !== undefined && call.id === id && isOf(call, name));
    return known ?? (name === undefined ? this.#calls.at(-1) : undefined);
  }

  #add({ index, id }: Delta): Call {
    const call: Call = { index: this.#calls.length, id, name: undefined, text: '' };
    this.#calls.push(call);
    if (index !== undefined) this.#numbered.set(index, call);
    return call;
  }

  #arguments(call: Call, delta: string): void {
    if (delta === '') return;
    call.text += delta;
    if (call.name !== undefined) this.#push({ type: 'tool-arguments', index: call.index, delta });
  }
}

/**
 * If a server numbers every call 0, a new id with a name begins another call; without ids, a name that comes when the arguments are
 * complete.
 */
function isNewCall(call: Call, { id, name, text }: Delta): boolean {
  if (call.name === undefined || name === undefined) return false;
  if (id !== undefined) return id !== call.id;
  return (text !== '' || name !== call.name) && isCompleteObject(call.text);
}

function isOf(call: Call, name: string | undefined): boolean {
  return name === undefined || call.name === undefined || call.name === name;
}

function isCompleteObject(text: string): boolean {
  return text.trimEnd().endsWith('}') && isJson(text);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Some servers send an object. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : '';
}
