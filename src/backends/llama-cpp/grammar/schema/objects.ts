/** Objects: the declared properties in their order, those that are not required optional, then additional ones. */
import {
  alternatives,
  type GrammarBuilder,
  literal,
  noneOfTexts,
  repeated,
  sequence,
} from '../gbnf/grammar-builder.ts';
import { SCHEMA_LIMITS } from '../limits.ts';
import { type LocatedSchema, smallest, type WriteContext } from './conjunction.ts';
import {
  Contradiction,
  checkRepetitions,
  child,
  type Pointer,
  SchemaError,
  type SchemaLocation,
  type SchemaNode,
} from './reader.ts';
import { PLAIN_CHARACTERS } from './strings.ts';

export function writeObject({ schemas, at, compiler }: WriteContext): string {
  const shape = objectShape(schemas, at);
  const { min, max } = shape;
  const ws = compiler.builder.json('ws');
  const declared = membersOf(shape, { schemas, at, compiler });
  const additional = additionalMember(shape, { schemas, at, compiler });
  const members = { declared, additional, min, max };
  checkOptionalRun(declared, at);
  checkCounts(members, at);
  const filled = new MemberWriter(members, compiler.builder).write();
  const empty = min === 0 && declared.every(({ required }) => !required);
  const open = sequence(literal('{'), ws);
  if (filled === undefined || max === 0) {
    if (!empty)
      throw new Contradiction(at, 'maxProperties', 'leaves no object that has all required properties.');
    return sequence(open, literal('}'));
  }
  const inside = sequence(filled, ws);
  return sequence(open, empty ? `(${inside})?` : inside, literal('}'));
}

function membersOf({ properties }: ObjectShape, { compiler }: WriteContext): readonly Member[] {
  const ws = compiler.builder.json('ws');
  return properties.flatMap(({ name, required, locations }): Member[] => {
    if (locations === undefined) return [];
    try {
      const value = compiler.ruleFor(locations, name);
      return [{ part: sequence(literal(`${JSON.stringify(name)}:`), ws, value), required }];
    } catch (thrown) {
      // An optional property that no value fits is never written.
      if (thrown instanceof Contradiction && !required) return [];
      throw thrown;
    }
  });
}

function additionalMember(
  { properties, additional }: ObjectShape,
  { compiler }: WriteContext,
): string | undefined {
  if (additional === undefined) return undefined;
  const { builder } = compiler;
  try {
    const value = compiler.ruleFor(additional, 'additional');
    const names = properties
      .map(({ name }) => name)
      .filter((name) => JSON.stringify(name).length === name.length + 2);
    const key =
      names.length === 0
        ? builder.json('string')
        : sequence(literal('"'), noneOfTexts(names, { characters: PLAIN_CHARACTERS, builder }), literal('"'));
    return sequence(key, literal(':'), builder.json('ws'), value);
  } catch (thrown) {
    if (thrown instanceof Contradiction) return undefined;
    throw thrown;
  }
}

/** The engine has to follow every property that may come next. */
function checkOptionalRun(declared: readonly Member[], at: WriteContext['at']): void {
  let run = 0;
  for (const { required } of declared) {
    run = required ? 0 : run + 1;
    if (run > SCHEMA_LIMITS.optionalProperties)
      throw new SchemaError(
        at,
        'properties',
        `has more than ${SCHEMA_LIMITS.optionalProperties} optional properties in a row. Add some of them to required, or move them into objects of their own.`,
      );
  }
}

function checkCounts({ declared, additional, min, max }: Members, at: WriteContext['at']): void {
  const required = declared.filter((member) => member.required).length;
  if (max !== undefined && min > max)
    throw new Contradiction(at, 'minProperties', 'is greater than maxProperties.');
  if (max !== undefined && required > max)
    throw new Contradiction(at, 'maxProperties', `is ${max}, but ${required} properties are required.`);
  if (additional === undefined && min > declared.length)
    throw new Contradiction(
      at,
      'minProperties',
      `is ${min}, but there can be only ${declared.length} properties.`,
    );
  // Additional properties may repeat a name, so only one of them is sure to count.
  if (additional !== undefined && min > required + 1)
    throw new SchemaError(
      at,
      'minProperties',
      `is ${min}. Where additionalProperties are allowed, it can be one more than the required properties at most.`,
    );
  checkRepetitions(at, { minProperties: min, ...(additional !== undefined && { maxProperties: max }) });
}

interface Property {
  readonly name: string;
  readonly required: boolean;
  /** Schemas that its value must meet; undefined where the property is not allowed. */
  readonly locations: readonly SchemaLocation[] | undefined;
}

/** What the schemas of one object say together. */
interface ObjectShape {
  readonly properties: readonly Property[];
  /** Schemas that the value of any other property must meet; undefined where no other is allowed. */
  readonly additional: readonly SchemaLocation[] | undefined;
  readonly min: number;
  readonly max: number | undefined;
}

function objectShape(schemas: readonly LocatedSchema[], at: Pointer): ObjectShape {
  const nodes = schemas.map(({ node }) => node);
  const additional = additionalLocations(schemas);
  const required = new Set(nodes.flatMap((node) => node.required ?? []));
  const declared = new Set(nodes.flatMap((node) => Object.keys(node.properties ?? {})));
  const names = [...declared, ...[...required].filter((name) => !declared.has(name))];
  checkNames(names, at);
  const properties = names.map((name): Property => {
    const locations = declared.has(name) ? propertyLocations(schemas, name) : additional;
    if (required.has(name) && locations === undefined)
      throw new Contradiction(
        at,
        'required',
        `names ${JSON.stringify(name)}, which is not allowed: declare it in properties, or allow it by additionalProperties.`,
      );
    return { name, required: required.has(name), locations };
  });
  return {
    properties,
    additional,
    min: Math.max(0, ...nodes.flatMap(({ minProperties }) => minProperties ?? [])),
    max: smallest(nodes.flatMap(({ maxProperties }) => maxProperties ?? [])),
  };
}

/** Without an additionalProperties in any schema, additional properties are allowed only where none are declared. */
function additionalLocations(schemas: readonly LocatedSchema[]): readonly SchemaLocation[] | undefined {
  const explicit = schemas.filter(({ node }) => node.additionalProperties !== undefined);
  if (explicit.length === 0)
    return schemas.some(({ node }) => node.properties !== undefined) ? undefined : [];
  if (explicit.some(({ node }) => node.additionalProperties === false)) return undefined;
  return explicit.map(({ location }) => child(location, 'additionalProperties'));
}

/** The additionalProperties of a schema apply to properties that it does not declare. */
function propertyLocations(
  schemas: readonly LocatedSchema[],
  name: string,
): readonly SchemaLocation[] | undefined {
  const locations: SchemaLocation[] = [];
  for (const { location, node } of schemas) {
    if (declares(node, name)) locations.push(child(location, 'properties', name));
    else if (node.additionalProperties === false) return undefined;
    else if (node.additionalProperties !== undefined) locations.push(child(location, 'additionalProperties'));
  }
  return locations;
}

function declares({ properties }: SchemaNode, name: string): boolean {
  return properties !== undefined && Object.hasOwn(properties, name);
}

function checkNames(names: readonly string[], at: Pointer): void {
  if (names.length > SCHEMA_LIMITS.properties)
    throw new SchemaError(
      at,
      'properties',
      `has ${names.length} names. At most ${SCHEMA_LIMITS.properties} are allowed.`,
    );
  if (names.some((name) => name.length > SCHEMA_LIMITS.nameCharacters))
    throw new SchemaError(
      at,
      'properties',
      `has a name of more than ${SCHEMA_LIMITS.nameCharacters} characters.`,
    );
}

/** A property as GBNF, `"name": value`. */
interface Member {
  readonly part: string;
  readonly required: boolean;
}

interface Members {
  readonly declared: readonly Member[];
  /** One additional property; undefined where none is allowed. */
  readonly additional: string | undefined;
  readonly min: number;
  readonly max: number | undefined;
}

interface Position {
  readonly index: number;
  /** Properties before this one, as far as the number matters. */
  readonly written: number;
}

/**
 * Writes the members of an object: from each declared property on, what may follow, with the comma where something
 * precedes it. Where the number of properties matters, a part is written for each number so far.
 */
class MemberWriter {
  readonly #members: Members;
  readonly #builder: GrammarBuilder;
  readonly #comma: string;
  /** By position; undefined: no object can go on from there. */
  readonly #parts = new Map<string, string | undefined>();
  /** The number of properties does not matter beyond this one. */
  readonly #countUpTo: number;
  /** The bound that can still be exceeded. */
  readonly #max: number | undefined;

  constructor(members: Members, builder: GrammarBuilder) {
    this.#members = members;
    this.#builder = builder;
    this.#comma = sequence(literal(','), builder.json('ws'));
    const { declared, additional, min, max } = members;
    this.#max = additional === undefined && max !== undefined && max >= declared.length ? undefined : max;
    this.#countUpTo = Math.max(1, min, this.#max ?? 0);
  }

  /** All members, at least one; undefined where there can be none. */
  write(): string | undefined {
    return this.#from({ index: 0, written: 0 });
  }

  /** Whichever member is next, and what follows it. */
  #from(position: Position): string | undefined {
    const key = `${position.index} ${position.written}`;
    if (this.#parts.has(key)) return this.#parts.get(key);
    const ways = this.#ways(position);
    const part = ways.length > 1 ? this.#builder.add('members', alternatives(ways)) : ways[0];
    this.#parts.set(key, part);
    return part;
  }

  #ways({ index, written }: Position): readonly string[] {
    if (this.#max !== undefined && written >= this.#max) return [];
    const member = this.#members.declared[index];
    if (member === undefined) return this.#additional(written);
    const rest = this.#after({ index: index + 1, written: Math.min(written + 1, this.#countUpTo) });
    const skipped = member.required ? undefined : this.#from({ index: index + 1, written });
    return [rest === undefined ? undefined : sequence(member.part, rest), skipped].filter(
      (way) => way !== undefined,
    );
  }

  /** What follows a member: all of it behind one comma, so that the engine has a single path until there. */
  #after({ index, written }: Position): string | undefined {
    const { declared, min } = this.#members;
    const mayEnd = written >= min && declared.slice(index).every(({ required }) => !required);
    const next = this.#from({ index, written });
    if (next === undefined) return mayEnd ? '' : undefined;
    const more = sequence(this.#comma, next);
    return mayEnd ? `${this.#builder.add('more', more)}?` : more;
  }

  /** Additional properties, at least one, after all declared ones. */
  #additional(written: number): readonly string[] {
    const { additional, min } = this.#members;
    if (additional === undefined) return [];
    const next = this.#builder.add('additional-next', sequence(this.#comma, additional));
    const missing = Math.max(0, min - written - 1);
    return [
      sequence(
        additional,
        repeated(next, missing, this.#max === undefined ? undefined : this.#max - written - 1),
      ),
    ];
  }
}
