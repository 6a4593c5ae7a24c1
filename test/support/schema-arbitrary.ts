/**
 * Random schemas of the supported subset, each with values that are valid by it: made side by side, so that no
 * validator has to find them. Names of properties begin with a letter: others JavaScript would put into its own order.
 */
import fc from 'fast-check';

export interface SchemaWithValues {
  readonly schema: object | boolean;
  readonly value: fc.Arbitrary<unknown>;
}

type Node = fc.Arbitrary<SchemaWithValues>;

/** What `$ref` of any schema here may point at; `list` is recursive. */
const DEFINITIONS = {
  list: {
    type: 'object',
    properties: {
      value: { type: 'integer', minimum: -9 },
      next: { anyOf: [{ $ref: '#/$defs/list' }, { type: 'null' }] },
    },
    required: ['value', 'next'],
  },
  tree: { type: 'array', items: { $ref: '#/$defs/tree' } },
};

const { list, tree } = fc.letrec((tie) => ({
  list: fc.record({
    value: fc.integer({ min: -9, max: 99 }),
    next: fc.option(tie('list'), { maxDepth: 3, depthIdentifier: 'list' }),
  }),
  tree: fc.oneof({ maxDepth: 3 }, fc.constant([]), fc.array(tie('tree'), { maxLength: 3 })),
}));

const PATTERNS = [
  '^[a-z]{2,5}$',
  '^(ab|cd)+x?$',
  '^\\d{1,3}(\\.\\d{2})?$',
  '^[^"\\\\]\\w*$',
  '^["\\\\\\n]{0,3}$',
];
const text = fc.string({ unit: 'binary', maxLength: 8 });
const name = fc.stringMatching(/^[a-c][a-c"\\ é]{0,3}$/);
/** Further properties have names without escapes. */
const furtherName = fc.stringMatching(/^[a-c][a-c é]{0,3}$/);
const withValue = (schema: object | boolean, value: fc.Arbitrary<unknown>): SchemaWithValues => ({
  schema,
  value,
});

const anyValue = fc.jsonValue({ maxDepth: 2, stringUnit: 'binary' }).filter(isWritable);

const leaves: Node = fc.oneof(
  fc.constantFrom(
    withValue({ type: 'null' }, fc.constant(null)),
    withValue({ type: 'boolean' }, fc.boolean()),
    withValue({ type: 'string' }, text),
    withValue({ type: 'integer' }, fc.integer()),
    withValue({ type: 'number' }, fc.double({ min: -1e9, max: 1e9, noNaN: true }).map(shortened)),
    withValue({ type: ['integer', 'string'] }, fc.oneof(fc.integer(), text)),
    withValue(true, anyValue),
    withValue({ description: 'anything' }, anyValue),
    withValue({ $ref: '#/$defs/list' }, list),
    withValue({ $ref: '#/$defs/tree', minItems: 1 }, fc.array(tree, { minLength: 1, maxLength: 3 })),
    withValue({ type: 'string', format: 'uuid' }, fc.uuid()),
    withValue({ type: 'string', format: 'ipv4' }, fc.ipV4()),
    withValue(
      { type: 'string', format: 'date' },
      dates().map((date) => date.slice(0, 10)),
    ),
    withValue({ type: 'string', format: 'date-time' }, dates()),
    withValue(
      { type: 'string', format: 'time' },
      dates().map((date) => date.slice(11)),
    ),
  ),
  fc
    .uniqueArray(anyValue, { minLength: 1, maxLength: 5 })
    .map((values) => withValue({ enum: values }, fc.constantFrom(...values))),
  anyValue.map((value) => withValue({ const: value }, fc.constant(value))),
  fc
    .constantFrom(...PATTERNS)
    .map((pattern) => withValue({ type: 'string', pattern }, fc.stringMatching(new RegExp(pattern, 'u')))),
  bounds(50).map(([least, most]) =>
    withValue(
      { type: 'string', minLength: least, maxLength: most },
      fc.string({ unit: 'binary', minLength: least, maxLength: most }),
    ),
  ),
  fc
    .tuple(fc.integer(), fc.nat())
    .map(([least, width]) =>
      withValue(
        { type: 'integer', minimum: least, maximum: least + width },
        fc.integer({ min: least, max: least + width }),
      ),
    ),
  fc
    .tuple(fc.integer({ min: -1e6, max: 1e6 }), fc.integer({ min: 1, max: 1e6 }), fc.boolean())
    .map(([least, width, open]) =>
      withValue(
        {
          type: 'number',
          [open ? 'exclusiveMinimum' : 'minimum']: least,
          [open ? 'exclusiveMaximum' : 'maximum']: least + width,
        },
        fc
          .integer({ min: 1, max: width * 1000 - 1 })
          .map((thousandths) => Number((least + thousandths / 1000).toFixed(3))),
      ),
    ),
);

function arrays(node: Node): Node {
  const plain = fc
    .tuple(node, bounds(4))
    .map(([items, [least, most]]) =>
      withValue(
        { type: 'array', items: items.schema, minItems: least, maxItems: most },
        fc.array(items.value, { minLength: least, maxLength: most }),
      ),
    );
  const tuples = fc
    .tuple(fc.array(node, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([first, whole]) => {
      const all = fc.tuple(...first.map(({ value }) => value));
      return withValue(
        {
          type: 'array',
          prefixItems: first.map(({ schema }) => schema),
          ...(whole && { minItems: first.length }),
        },
        whole ? all : fc.tuple(all, fc.nat(first.length)).map(([items, length]) => items.slice(0, length)),
      );
    });
  return fc.oneof(plain, tuples);
}

interface Field extends SchemaWithValues {
  readonly name: string;
  readonly required: boolean;
}

function objects(node: Node): Node {
  const field = fc
    .tuple(name, fc.boolean(), node)
    .map(([key, required, of]): Field => ({ name: key, required, ...of }));
  const fields = fc.uniqueArray(field, { selector: ({ name: key }) => key, maxLength: 5 });
  const further = fc.oneof(fc.constant(undefined), fc.constant(false as const), node);
  return fc.tuple(fields, further, fc.boolean()).map(([all, rest, counted]) => {
    const required = all.filter((each) => each.required).map((each) => each.name);
    const schema = {
      type: 'object',
      properties: Object.fromEntries(all.map((each) => [each.name, each.schema])),
      required,
      ...(rest !== undefined && { additionalProperties: rest === false ? false : rest.schema }),
      ...(counted && { maxProperties: required.length + 1 }),
    };
    return withValue(
      schema,
      objectValues(all, { rest: rest || undefined, most: counted ? required.length + 1 : 99 }),
    );
  });
}

function objectValues(
  fields: readonly Field[],
  { rest, most }: { rest: SchemaWithValues | undefined; most: number },
): fc.Arbitrary<unknown> {
  const declared = fc.tuple(
    ...fields.map(({ required, value }) => (required ? value : fc.option(value, { nil: undefined }))),
  );
  const others =
    rest === undefined
      ? fc.constant({})
      : fc.dictionary(furtherName, rest.value, { maxKeys: 3, noNullPrototype: true });
  return fc.tuple(declared, others).map(([values, more]) => {
    const names = new Set(fields.map((field) => field.name));
    const entries = [
      ...fields.map((field, index) => [field.name, values[index], field.required] as const),
      ...Object.entries(more).flatMap(([key, value]) =>
        names.has(key) ? [] : [[key, value, false] as const],
      ),
    ].filter(([, value]) => value !== undefined);
    let left = most - entries.filter(([, , required]) => required).length;
    return Object.fromEntries(
      entries.filter(([, , required]) => required || left-- > 0).map(([key, value]) => [key, value]),
    );
  });
}

function combined(node: Node): Node {
  const anyOf = fc
    .array(node, { minLength: 1, maxLength: 3 })
    .map((branches) =>
      withValue(
        { anyOf: branches.map(({ schema }) => schema) },
        fc.oneof(...branches.map(({ value }) => value)),
      ),
    );
  const allOf = fc.tuple(node, node).map(([first, second]) =>
    withValue(
      {
        allOf: [
          { type: 'object', properties: { left: first.schema }, required: ['left'] },
          { type: 'object', properties: { right: second.schema }, required: ['right'] },
        ],
      },
      fc.record({ left: first.value, right: second.value }),
    ),
  );
  return fc.oneof(anyOf, allOf);
}

export const schemas: Node = (
  fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      { weight: 2, arbitrary: leaves },
      arrays(tie('node') as Node),
      objects(tie('node') as Node),
      combined(tie('node') as Node),
    ),
  })).node as Node
).map(({ schema, value }) => ({
  schema: typeof schema === 'boolean' ? schema : { ...schema, $defs: DEFINITIONS },
  value,
}));

function bounds(limit: number): fc.Arbitrary<readonly [number, number]> {
  return fc
    .tuple(fc.nat(limit), fc.nat(limit))
    .map(([one, other]) => [Math.min(one, other), Math.max(one, other)] as const);
}

function dates(): fc.Arbitrary<string> {
  return fc
    .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
    .map((date) => date.toISOString());
}

function shortened(number: number): number {
  return Number(number.toFixed(6));
}

/** Numbers within what plain JSON allows here: no long digits, no large exponents; no name that JavaScript would move. */
function isWritable(value: unknown): boolean {
  if (typeof value === 'number') return Math.abs(value) < 1e15 && Number(value.toFixed(9)) === value;
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every(isWritable);
}
