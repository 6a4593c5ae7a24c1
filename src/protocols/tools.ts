/** What every protocol asks of the tools that a client offers. */

import { showValue } from '../schema/violation.ts';
import { refuseDeepNesting } from './body-reader.ts';
import { invalid } from './field-errors.ts';

/** Adds the name to those of the request. `path` is that of the object that has it. */
export function requireUniqueName(name: string, path: string, taken: Set<string>): void {
  if (taken.has(name))
    throw invalid(
      `${path}.name`,
      `${path}.name is ${JSON.stringify(name)}, as that of another tool. Each needs its own.`,
    );
  taken.add(name);
}

/** `type`: whether the schema must name its type. */
export function checkParameters(
  schema: object,
  path: string,
  { type: asked }: { readonly type: 'required' | 'optional' } = { type: 'optional' },
): void {
  const { type } = schema as { readonly type?: unknown };
  if (type !== 'object' && (type !== undefined || asked === 'required'))
    throw invalid(
      `${path}.type`,
      `${path}.type is ${showValue(type)}, but must be "object": arguments have names.`,
    );
  refuseDeepNesting(schema, path);
}

/**
 * Which tool calls a conversation has made and which of them are answered. Owned by one parse. Invariant: an answer belongs
 * to a call of the assistant's message before it and its like, and each call has one answer at most.
 */

/** What the fields of an answer are called in its body. */
interface ToolResultFields {
  /** Of the whole answer. */
  readonly path: string;
  readonly idPath: string;
  /** Said when there is no call before it; begins with a field. */
  readonly misplaced: { readonly path: string; readonly message: string };
}

export class ToolCallMatcher {
  /** Id of a call → whether it was answered. */
  #calls = new Map<string, boolean>();

  /** A message that is neither: calls before it can no longer be answered. */
  reset(): void {
    this.#calls = new Map();
  }

  /** The ids of an assistant's message, `idPath` of each for errors. */
  begin(calls: readonly { readonly id: string; readonly idPath: string }[]): void {
    this.reset();
    for (const { id, idPath } of calls) {
      if (this.#calls.has(id))
        throw invalid(
          idPath,
          `${idPath} is ${JSON.stringify(id)}, as that of another call of this message. Each needs its own.`,
        );
      this.#calls.set(id, false);
    }
  }

  /** Without an id: the first call that has no answer yet. */
  match(given: string | undefined, { path, idPath, misplaced }: ToolResultFields): string {
    if (this.#calls.size === 0) throw invalid(misplaced.path, misplaced.message);
    const id = given ?? this.unanswered[0];
    if (id === undefined)
      throw invalid(path, `${path} answers no call: those of the assistant’s message all have their answer.`);
    const answered = this.#calls.get(id);
    if (answered === undefined)
      throw invalid(
        idPath,
        `${idPath} is ${JSON.stringify(id)}, but the calls before it are ${listIds([...this.#calls.keys()])}.`,
      );
    if (answered)
      throw invalid(idPath, `${idPath} is ${JSON.stringify(id)}, but that call has its answer already.`);
    this.#calls.set(id, true);
    return id;
  }

  get unanswered(): readonly string[] {
    return [...this.#calls].flatMap(([id, answered]) => (answered ? [] : [id]));
  }
}

const SHOWN_IDS = 8;

/** Ids for a message: the first few, and how many more there are. */
export function listIds(ids: readonly string[]): string {
  const shown = ids.slice(0, SHOWN_IDS).map((id) => JSON.stringify(id));
  const more = ids.length - shown.length;
  return more === 0 ? shown.join(', ') : `${shown.join(', ')} and ${more} more`;
}
