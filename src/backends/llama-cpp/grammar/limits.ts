/**
 * How large a grammar may be, and how much work it may make. Every figure is far above what people write and below
 * where the engine was measured to become slow; docs/structured-output.md has the measurements.
 */

/** Of any grammar, a client's own or one made from a schema. */
export const GRAMMAR_LIMITS = {
  /** Characters of the text. */
  characters: 262_144,
  /** With those that the engine makes for groups and repetitions. */
  rules: 50_000,
  /** Characters, ranges and references, after repetitions have been written out. */
  elements: 200_000,
  /** Groups within groups: the engine reads them recursively. */
  nesting: 32,
  /** The engine refuses a repetition from 2000 on; it counts the rules of a repeated group times the repetitions. */
  repetitions: 1999,
  /** Steps of the engine's own search for left recursion, which takes shared rules again and again. */
  leftVisits: 50_000,
  /** Depth of that search, which is recursive. */
  leftDepth: 5_000,
  /**
   * Paths that the engine may have to follow at once: for each it tries the whole vocabulary. Within a token, paths that
   * have become equal count one by one.
   */
  stacks: 256,
  /** Paths that further characters add to those, after six characters of a token together: 256 after each. */
  branches: 1536,
} as const;

/** Of a JSON Schema. */
export const SCHEMA_LIMITS = {
  /** Schemas within schemas, with `$ref` followed; recursion counts once. */
  referenceDepth: 128,
  /** `$ref` and `allOf` in a row, before a keyword that says something. */
  depth: 32,
  /** Schemas that one value must meet at the same time, by `$ref`, `allOf` and the branches of choices. */
  merged: 64,
  /** The same, of all rules together: what choices multiply is written out. */
  mergedInAll: 3_000,
  /** Properties of one object. */
  properties: 500,
  /** Characters of a property's name. */
  nameCharacters: 256,
  /** Optional properties of one object in a row. */
  optionalProperties: 200,
  /** Schemas in prefixItems. */
  prefixItems: 100,
  /** Different schemas that are turned into rules. */
  rules: 1_000,
  /** Values of one enum. */
  enumValues: 1_000,
  /** Characters of one enum or const, as JSON. */
  enumCharacters: 65_536,
  /** Branches of one anyOf or oneOf. */
  branches: 64,
  /** Pairs of schemas compared to see whether the branches of oneOf exclude one another. */
  comparisons: 20_000,
  /** Characters of one pattern. */
  patternCharacters: 512,
  /** Groups within groups of one pattern. */
  patternNesting: 16,
  /** minLength, maxLength, minItems, maxItems and the counts of a pattern. */
  repetitions: GRAMMAR_LIMITS.repetitions - 1,
  /** Tools of one request. */
  tools: 128,
} as const;
