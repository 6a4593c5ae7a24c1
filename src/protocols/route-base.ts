/** What every route says of itself, whatever it does. */
import type { TSchema } from 'typebox';

export interface RouteBase {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** As the framework writes it: `:name` for a segment, a last `*` for the rest. */
  readonly path: string;
  readonly describes: RouteDescription;
  /** Native field → what this route calls it, where that differs: errors and X-Dropped-Parameters speak so. */
  readonly fieldNames?: FieldNames;
}

/** A name; or, where the parts of the field have other names too, what is made of the rest of its path: `[0].parameters`. */
export type FieldNames = Readonly<Record<string, string | ((rest: string) => string)>>;

export interface RouteDescription {
  readonly summary: string;
  readonly description: string;
  /** Of the request, where it has one. */
  readonly body?: TSchema;
  /** A body that is answered with 200 by the default model as it stands; `embedder` names a model that embeds. */
  readonly example?: Readonly<Record<string, unknown>>;
  /** Fields of the body of which exactly one is given. */
  readonly oneOf?: readonly string[];
  /** Of the 200 answer: content type → body, or one event of a stream. Empty where there is never one. */
  readonly answers: Readonly<Record<string, TSchema>>;
}
