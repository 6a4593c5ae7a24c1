/** One example: a schema, texts that it allows, and texts that it does not. */
export interface SchemaCase {
  readonly what: string;
  readonly schema: unknown;
  readonly valid: readonly string[];
  readonly invalid: readonly string[];
}
