/**
 * Which tool calls a conversation has made and which of them are answered. Owned by one parse. Invariant: an answer belongs
 * to a call of the assistant's message before it and its like, and each call has one answer at most.
 */
import { invalid } from './invalid.ts';

/** What the fields of an answer are called in its body. */
export interface AnswerFields {
  /** Of the whole answer. */
  readonly path: string;
  readonly idPath: string;
  /** Said when there is no call before it; begins with a field. */
  readonly misplaced: { readonly path: string; readonly message: string };
}

export class CallLedger {
  /** Id of a call → whether it was answered. */
  #calls = new Map<string, boolean>();

  /** A message that is neither: calls before it can no longer be answered. */
  forget(): void {
    this.#calls = new Map();
  }

  /** The ids of an assistant's message, `idPath` of each for errors. */
  made(calls: readonly { readonly id: string; readonly idPath: string }[]): void {
    this.forget();
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
  answered(given: string | undefined, { path, idPath, misplaced }: AnswerFields): string {
    if (this.#calls.size === 0) throw invalid(misplaced.path, misplaced.message);
    const id = given ?? this.unanswered[0];
    if (id === undefined)
      throw invalid(path, `${path} answers no call: those of the assistant’s message all have their answer.`);
    const answered = this.#calls.get(id);
    if (answered === undefined)
      throw invalid(
        idPath,
        `${idPath} is ${JSON.stringify(id)}, but the calls before it are ${listed([...this.#calls.keys()])}.`,
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
export function listed(ids: readonly string[]): string {
  const shown = ids.slice(0, SHOWN_IDS).map((id) => JSON.stringify(id));
  const more = ids.length - shown.length;
  return more === 0 ? shown.join(', ') : `${shown.join(', ')} and ${more} more`;
}
