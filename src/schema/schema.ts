/**
 * What this code reads of a JSON Schema, and how the variants of a union are told apart: by the kind of the value, and objects
 * by the properties that are constants in each of them (`type`, `role`). Pure.
 */

/** The keywords that are read here; all others are for the validator alone. */
export interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[] | undefined;
  readonly additionalProperties?: unknown;
  readonly items?: SchemaNode;
  /** Of an object with any keys: the schema of its values. */
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly anyOf?: readonly SchemaNode[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly pattern?: string;
  /** Anything of the type but these. */
  readonly not?: { readonly enum: readonly unknown[] };
  readonly default?: unknown;
  readonly description?: string;
  /** The rule in words, where the other keywords say too little. */
  readonly title?: string;
  /** Known, and rejected by name: no rule offers it. */
  readonly deprecated?: boolean;
  /** Never show the value. */
  readonly secret?: boolean;
  /** Of the configuration: set as a whole, though it has properties. */
  readonly isOneSetting?: boolean;
}

/** What a union makes of a value, which need not be valid. */
type VariantChoice =
  /** The one variant that was meant. */
  | { readonly variant: SchemaNode }
  /** No variant takes this value of a property that tells them apart; `rule` is what they take. */
  | { readonly property: string; readonly rule: SchemaNode };

/** Reads the union once. The function's answer is undefined where no variant, or more than one, may be meant. */
export function variantChooser(union: SchemaNode): (value: unknown) => VariantChoice | undefined {
  const variants = variantsOf(union);
  const objects = variants.filter((variant) => takesKind(variant, 'object'));
  const chooseObject = objects.length > 1 ? objectChooser(objects) : undefined;
  const lists = variants.filter((variant) => takesKind(variant, 'array'));
  const single = new Map<string, VariantChoice>();
  for (const kind of ['object', 'array', 'string', 'number', 'boolean', 'null']) {
    const [variant, other] = variants.filter((each) => takesKind(each, kind));
    if (variant !== undefined && other === undefined) single.set(kind, { variant });
  }
  return (value) => {
    const kind = kindOf(value);
    if (kind === 'object' && chooseObject !== undefined) return chooseObject(value as object);
    if (kind === 'array' && lists.length > 1) return chooseList(lists, value as readonly unknown[]);
    return single.get(kind);
  };
}

/** By the kind of the first entry. */
function chooseList(variants: readonly SchemaNode[], [first]: readonly unknown[]): VariantChoice | undefined {
  const [variant, other] = variants.filter(({ items = {} }) => takesKind(items, kindOf(first)));
  return variant === undefined || other !== undefined ? undefined : { variant };
}

/** Looks at one constant property after the other, in the order of the first variant, until one variant is left. */
function objectChooser(variants: readonly SchemaNode[]): (value: object) => VariantChoice | undefined {
  const tags = Object.keys(variants[0]?.properties ?? {}).flatMap((property) => {
    const tests = new Map<SchemaNode, (given: unknown) => boolean>();
    for (const variant of variants) {
      const test = constantTest(variant, property);
      if (test !== undefined) tests.set(variant, test);
    }
    return tests.size === variants.length ? [{ property, tests }] : [];
  });
  return (value) => {
    let left = variants;
    for (const { property, tests } of tags) {
      const given = ownValue(value, property);
      const fitting = left.filter((variant) => tests.get(variant)?.(given));
      const [variant, other] = fitting;
      if (variant === undefined) {
        const offered = left.filter(({ deprecated }) => deprecated !== true);
        return { property, rule: { anyOf: offered.map((each) => propertyOf(each, property) ?? {}) } };
      }
      if (other === undefined) return { variant };
      left = fitting;
    }
    return undefined;
  };
}

/**
 * Undefined where the property is no constant: a const, an enum, or a string with a pattern or with texts that it must not be.
 * Null counts as absent.
 */
function constantTest(variant: SchemaNode, property: string): ((given: unknown) => boolean) | undefined {
  const node = propertyOf(variant, property);
  const isOptional = variant.required?.includes(property) !== true;
  const isAbsent = (given: unknown) => given === undefined || given === null;
  if (node?.pattern !== undefined) {
    const pattern = new RegExp(node.pattern);
    return (given) => (isAbsent(given) ? isOptional : typeof given === 'string' && pattern.test(given));
  }
  if (node?.not !== undefined) {
    const others = node.not.enum;
    return (given) => (isAbsent(given) ? isOptional : typeof given === 'string' && !others.includes(given));
  }
  const values = node?.enum ?? (node?.const === undefined ? undefined : [node.const]);
  return values && ((given) => (isAbsent(given) ? isOptional : values.includes(given)));
}

/** A union within a union adds its variants to it. */
export function variantsOf(node: SchemaNode): readonly SchemaNode[] {
  return node.anyOf === undefined ? [node] : node.anyOf.flatMap(variantsOf);
}

function takesKind({ type, enum: values, const: constant }: SchemaNode, kind: string): boolean {
  if (values !== undefined) return values.some((value) => kindOf(value) === kind);
  if (constant !== undefined) return kindOf(constant) === kind;
  return type === undefined || type === kind || (type === 'integer' && kind === 'number');
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** A field called `constructor` is not one that every object has. */
export function propertyOf({ properties }: SchemaNode, name: string): SchemaNode | undefined {
  return properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
}

/** Undefined also for what is no field of its own. */
export function ownValue(value: object, name: string): unknown {
  return Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}
