/** Rules about tools in every protocol: of those that a client offers, and of their calls and results in a conversation. */
import { Type } from 'typebox';
import { showValue } from '../schema/violation.ts';
import { refuseDeepNesting } from './body-reader.ts';
import { invalid } from './field-errors.ts';

export const toolName = Type.String({
  pattern: '^[a-zA-Z0-9_.-]{1,64}$',
  title: 'a name of 1 to 64 letters, digits, underscores, dots or hyphens',
});

/** What a function tool has in the native API and on /v1, beside its name and description. */
export const functionFields = {
  parameters: Type.Optional(
    Type.Object(
      {},
      {
        additionalProperties: true,
        title: 'an object (the JSON Schema of the arguments)',
        description: 'The JSON Schema of its arguments, which are an object. Without it, it takes none.',
      },
    ),
  ),
  strict: Type.Optional(
    Type.Boolean({
      description:
        'true: the arguments follow the schema also where the model decides by itself to call. Those of a forced call always do. ' +
        'A backend that cannot promise it answers without it, and X-Dropped-Parameters names it.',
    }),
  ),
};

/** Adds the name of a tool to those of the request. `path`: of the object that has the name. */
export function requireUniqueName(name: string, path: string, taken: Set<string>): void {
  if (taken.has(name))
    throw invalid(
      `${path}.name`,
      `${path}.name is ${JSON.stringify(name)}, as that of another tool. Each needs its own.`,
    );
  taken.add(name);
}

/** `schema`: of the arguments. `type`: whether it must name its type. */
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

/** For errors: where a tool's result stands in its body. */
interface ToolResultFields {
  /** Of the whole result. */
  readonly path: string;
  readonly idPath: string;
  /** The error where no call stands before the result. */
  readonly misplaced: { readonly path: string; readonly message: string };
}

/**
 * Matches the results of tools with the calls of a conversation. Owned by one parse. Invariant: a result belongs to a call of the
 * assistant's message before it (only other results may stand between), and each call has one result at most.
 */
export class ToolCallMatcher {
  /** Id of a call → whether it has its result. */
  #calls = new Map<string, boolean>();

  /** At any other message: calls before it can no longer be answered. */
  reset(): void {
    this.#calls = new Map();
  }

  /** At an assistant's message with these calls. */
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

  /** At a result: returns the id of its call, by default of the first one without a result. */
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

  /** At a message with role `tool`, whose call is named by `tool_call_id`. */
  matchMessage(given: string | undefined, path: string): string {
    return this.match(given, {
      path,
      idPath: `${path}.tool_call_id`,
      misplaced: {
        path: `${path}.role`,
        message: `${path}.role is "tool", but only an assistant’s message with tool_calls, or another answer to one, may stand before it.`,
      },
    });
  }

  get unanswered(): readonly string[] {
    return [...this.#calls].flatMap(([id, answered]) => (answered ? [] : [id]));
  }
}

const SHOWN_IDS = 8;

/** For messages: the first few ids, and how many more there are. */
export function listIds(ids: readonly string[]): string {
  const shown = ids.slice(0, SHOWN_IDS).map((id) => JSON.stringify(id));
  const more = ids.length - shown.length;
  return more === 0 ? shown.join(', ') : `${shown.join(', ')} and ${more} more`;
}
