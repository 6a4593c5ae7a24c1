/** A backend's own keys as the configuration would fill them in. */
import { type Static, type TObject, type TProperties, Type } from 'typebox';
import { Default } from 'typebox/value';
import type { BackendDefinition } from '../../../src/backends/backend-definition.ts';

export function defaultsOf<Keys extends TProperties>(
  definition: BackendDefinition<Keys>,
): Static<TObject<Keys>> {
  return Default(Type.Object(definition.keys), {}) as Static<TObject<Keys>>;
}
