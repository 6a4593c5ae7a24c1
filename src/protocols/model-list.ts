/**
 * Lists of models. Two protocols may list them on the same path: then each has its format, and the request shows which one its
 * client knows.
 */
import type { TSchema } from 'typebox';
import type { ServedModel } from '../core/backend.ts';
import type { Query, QueryContext } from './protocol.ts';

export interface ModelListFormat {
  /** The request comes from a client that knows this format. */
  matches(query: Query): boolean;
  list(context: QueryContext): unknown;
  /** `name`: the id or alias of the request. */
  one(name: string, model: ServedModel, context: QueryContext): unknown;
  readonly schemas: { readonly list: TSchema; readonly one: TSchema };
}

/** One entry for each id and each alias. */
export function everyName<Entry>(
  context: QueryContext,
  describe: (name: string, model: ServedModel) => Entry,
): Entry[] {
  return context
    .models()
    .flatMap((model) => [model.id, ...model.aliases].map((name) => describe(name, model)));
}
