/**
 * Bodies that a schema of /openapi.json allows: those of a new route are made without a line here. Fields that name what the
 * server has (its model) get a value of its own, or no body would ever be answered.
 */
import fc from 'fast-check';

/** The keywords that our schemas use. */
export interface BodySchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, BodySchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | BodySchema;
  readonly maxProperties?: number;
  readonly items?: BodySchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly anyOf?: readonly BodySchema[];
  /** At the top of a body: of which fields just one is there. */
  readonly oneOf?: readonly { readonly required: readonly string[] }[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly not?: { readonly enum: readonly unknown[] };
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
}

/** Field → its values, made of those that the schema allows. Undefined: it is not there. */
export type KnownFields = Readonly<Record<string, (own: fc.Arbitrary<unknown>) => fc.Arbitrary<unknown>>>;

const MORE_ENTRIES = 2;
/** Of the fields that need not be there, about so many are: every further one is one more to be refused for. */
const OPTIONAL_FIELDS = 3;

const anything = fc.jsonValue({ maxDepth: 2 });
const word = fc.oneof(
  fc.constantFrom('one', 'two three', 'a', 'call_1', '{}', '{"a":1}', 'text', 'function', '\u{1F600}', 'ü'),
  fc.string({ unit: 'binary', maxLength: 8 }),
);

export function valuesOf(schema: BodySchema, known: KnownFields = {}): fc.Arbitrary<unknown> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((branch) => valuesOf(branch, known)));
  switch (schema.type) {
    case 'string':
      return strings(schema);
    case 'integer':
      return numbers(schema, (range) => fc.integer(range));
    case 'number':
      return numbers(schema, (range) => fc.double({ ...range, noNaN: true }));
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return arrays(schema, known);
    case 'object':
      return schema.oneOf === undefined
        ? objects(schema, known)
        : fc.oneof(...alternatives(schema, schema.oneOf, known));
    case undefined:
      return anything;
    default:
      throw new Error(`no values are known for the type ${schema.type}`);
  }
}

function strings({ pattern, not, minLength = 0 }: BodySchema): fc.Arbitrary<unknown> {
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  const words = word.map((text) => text.padEnd(minLength, 'a'));
  return not === undefined ? words : words.filter((text) => !not.enum.includes(text));
}

/** Small ones first: what is asked for is generated. */
function numbers(
  { minimum, exclusiveMinimum, maximum = 1000 }: BodySchema,
  within: (range: { min: number; max: number }) => fc.Arbitrary<number>,
): fc.Arbitrary<unknown> {
  const min = minimum ?? (exclusiveMinimum === undefined ? 0 : Math.min(exclusiveMinimum + 0.5, maximum));
  return within({ min, max: Math.max(min, Math.min(maximum, min + 1000)) });
}

function arrays({ items = {}, minItems = 0, maxItems }: BodySchema, known: KnownFields) {
  return fc.array(valuesOf(items, known), {
    minLength: minItems,
    maxLength: Math.min(minItems + MORE_ENTRIES, maxItems ?? Number.POSITIVE_INFINITY),
  });
}

function alternatives(
  { properties = {}, required = [], ...schema }: BodySchema,
  oneOf: NonNullable<BodySchema['oneOf']>,
  known: KnownFields,
) {
  const names = oneOf.flatMap((each) => each.required);
  return oneOf.map((each) => {
    const others = names.filter((name) => !each.required.includes(name));
    const fields = Object.entries(properties).filter(([name]) => !others.includes(name));
    return objects(
      { ...schema, properties: Object.fromEntries(fields), required: [...required, ...each.required] },
      known,
    );
  });
}

function objects(schema: BodySchema, known: KnownFields): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties, maxProperties = MORE_ENTRIES } = schema;
  const absentToPresent = (Object.keys(properties).length - required.length) / OPTIONAL_FIELDS;
  const fields = Object.entries(properties).map(([name, property]) => {
    const values = valuesOf(property, known);
    const own = required.includes(name) ? values : sometimes(values, absentToPresent);
    return Object.hasOwn(known, name) ? (known[name]?.(own) ?? own) : own;
  });
  const others =
    typeof additionalProperties === 'object' || Object.keys(properties).length === 0
      ? fc.dictionary(
          fc.stringMatching(/^[a-z]{1,4}$/),
          valuesOf(typeof additionalProperties === 'object' ? additionalProperties : {}, known),
          {
            maxKeys: Math.min(maxProperties, MORE_ENTRIES),
          },
        )
      : fc.constant({});
  return fc.tuple(fc.tuple(...fields), others).map(([values, more]) => ({
    ...more,
    ...Object.fromEntries(
      Object.keys(properties)
        .map((name, index) => [name, values[index]] as const)
        .filter(([, value]) => value !== undefined),
    ),
  }));
}

function sometimes(values: fc.Arbitrary<unknown>, absentToPresent: number): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: Math.max(1, Math.ceil(absentToPresent)), arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: values },
  );
}
