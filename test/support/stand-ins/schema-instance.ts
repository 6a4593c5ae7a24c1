/** The first value that a simple JSON Schema allows, for stand-ins that have to answer in a form. */
type Schema = Readonly<Record<string, unknown>>;

/** `root`: where its `$ref`s look for `$defs`. */
export function instanceOf(value: unknown, root: unknown = value): unknown {
  const schema = (typeof value === 'object' && value !== null ? value : {}) as Schema;
  if (typeof schema.$ref === 'string') return instanceOf(definition(root, schema.$ref), root);
  if (Array.isArray(schema.enum)) return schema.enum[0];
  switch (schema.type) {
    case 'boolean':
      return true;
    case 'integer':
    case 'number':
      return 1;
    case 'array':
      return Array.from({ length: Number(schema.minItems ?? 0) }, () => instanceOf(schema.items, root));
    case 'object': {
      const properties = Object.entries((schema.properties ?? {}) as Schema);
      return Object.fromEntries(properties.map(([name, property]) => [name, instanceOf(property, root)]));
    }
    default:
      return 'text';
  }
}

function definition(root: unknown, reference: string): unknown {
  const name = reference.replace('#/$defs/', '');
  return (root as { readonly $defs?: Schema }).$defs?.[name];
}

/** As models say it: a few characters at a time. */
export function piecesOf(text: string, size = 4): string[] {
  const pieces: string[] = [];
  for (let start = 0; start < text.length; start += size) pieces.push(text.slice(start, start + size));
  return pieces;
}
