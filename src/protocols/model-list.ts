/** How a protocol lists models on a path that it shares with another one, and by what its clients are known. */

import type { TSchema } from 'typebox';
import type { ServedModel } from '../core/backend.ts';
import type { Query, QueryContext } from './protocol.ts';

export interface ModelListFormat {
  /** The request comes from a client of that protocol. */
  matches(query: Query): boolean;
  list(house: QueryContext): unknown;
  /** `name`: what it was asked as. */
  one(name: string, model: ServedModel, house: QueryContext): unknown;
  readonly schemas: { readonly list: TSchema; readonly one: TSchema };
}

/** Each model under its id and its aliases. */
export function everyName<Entry>(
  house: QueryContext,
  describe: (name: string, model: ServedModel) => Entry,
): Entry[] {
  return house.models().flatMap((model) => [model.id, ...model.aliases].map((name) => describe(name, model)));
}
