/**
 * Objects: the declared properties in their order, those that are not required left out or not, then further ones.
 */

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
  child,
  type Pointer,
  SchemaError,
  type SchemaLocation,
  type SchemaNode,
} from './reader.ts';
import { PLAIN_CHARACTERS } from './strings.ts';

export function writeObject({ schemas, at, compiler }: WriteContext): string {
  const shape = objectShape(schemas, at);
  const { least, most } = shape;
  const ws = compiler.builder.json('ws');
  const declared = membersOf(shape, { schemas, at, compiler });
  const further = furtherMember(shape, { schemas, at, compiler });
  const members = { declared, further, least, most };
  checkOptionalRun(declared, at);
  checkCounts(members, at);
  const filled = new MemberWriter(members, compiler.builder).write();
  const empty = least === 0 && declared.every(({ required }) => !required);
  const open = sequence(literal('{'), ws);
  if (filled === undefined || most === 0) {
    if (!empty)
      throw new Contradiction(at, 'maxProperties', 'leaves no object that has all required properties.');
    return sequence(open, literal('}'));
  }
  const inside = sequence(filled, ws);
  return sequence(open, empty ? `(${inside})?` : inside, literal('}'));
}

function membersOf({ properties }: ObjectShape, { compiler }: WriteContext): readonly Member[] {
  const ws = compiler.builder.json('ws');
  return properties.flatMap(({ name, required, places }): Member[] => {
    if (places === undefined) return [];
    try {
      const value = compiler.ruleFor(places, name);
      return [{ part: sequence(literal(`${JSON.stringify(name)}:`), ws, value), required }];
    } catch (thrown) {
      // A property that no value fits can only be left out.
      if (thrown instanceof Contradiction && !required) return [];
      throw thrown;
    }
  });
}

function furtherMember({ properties, further }: ObjectShape, { compiler }: WriteContext): string | undefined {
  if (further === undefined) return undefined;
  const { builder } = compiler;
  try {
    const value = compiler.ruleFor(further, 'further');
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

/** The engine has to follow each property that may come next. */
function checkOptionalRun(declared: readonly Member[], at: WriteContext['at']): void {
  let run = 0;
  for (const { required } of declared) {
    run = required ? 0 : run + 1;
    if (run > SCHEMA_LIMITS.optionalProperties)
      throw new SchemaError(
        at,
        'properties',
        `has more than ${SCHEMA_LIMITS.optionalProperties} properties in a row that may be left out. Name some of them in required, or put them into objects of their own.`,
      );
  }
}

function checkCounts({ declared, further, least, most }: Members, at: WriteContext['at']): void {
  const required = declared.filter((member) => member.required).length;
  if (most !== undefined && least > most)
    throw new Contradiction(at, 'minProperties', 'is greater than maxProperties.');
  if (most !== undefined && required > most)
    throw new Contradiction(at, 'maxProperties', `is ${most}, but ${required} properties are required.`);
  if (further === undefined && least > declared.length)
    throw new Contradiction(
      at,
      'minProperties',
      `is ${least}, but there can be only ${declared.length} properties.`,
    );
  // Further properties may repeat a name, so only one of them is sure to count.
  if (further !== undefined && least > required + 1)
    throw new SchemaError(
      at,
      'minProperties',
      `is ${least}. Where additionalProperties are allowed, it can be one more than the required properties at most.`,
    );
  for (const [keyword, value] of [
    ['minProperties', least],
    ['maxProperties', further === undefined ? 0 : (most ?? 0)],
  ] as const)
    if (value > SCHEMA_LIMITS.repetitions)
      throw new SchemaError(at, keyword, `is ${value}. At most ${SCHEMA_LIMITS.repetitions} is allowed.`);
}

/**
 * What the schemas of one object say together: its properties in order, which of them must be there, what else may be,
 * and how many.
 */

interface Property {
  readonly name: string;
  readonly required: boolean;
  /** What its value must meet; undefined where it must not be there. */
  readonly places: readonly SchemaLocation[] | undefined;
}

interface ObjectShape {
  readonly properties: readonly Property[];
  /** What the value of any other property must meet; undefined where there must be none. */
  readonly further: readonly SchemaLocation[] | undefined;
  readonly least: number;
  readonly most: number | undefined;
}

function objectShape(schemas: readonly LocatedSchema[], at: Pointer): ObjectShape {
  const nodes = schemas.map(({ node }) => node);
  const further = furtherPlaces(schemas);
  const required = new Set(nodes.flatMap((node) => node.required ?? []));
  const declared = new Set(nodes.flatMap((node) => Object.keys(node.properties ?? {})));
  const names = [...declared, ...[...required].filter((name) => !declared.has(name))];
  checkNames(names, at);
  const properties = names.map((name): Property => {
    const places = declared.has(name) ? propertyPlaces(schemas, name) : further;
    if (required.has(name) && places === undefined)
      throw new Contradiction(
        at,
        'required',
        `names ${JSON.stringify(name)}, which is not allowed: declare it in properties, or allow it by additionalProperties.`,
      );
    return { name, required: required.has(name), places };
  });
  return {
    properties,
    further,
    least: Math.max(0, ...nodes.flatMap(({ minProperties }) => minProperties ?? [])),
    most: smallest(nodes.flatMap(({ maxProperties }) => maxProperties ?? [])),
  };
}

/** Explicit words of all schemas count; without any, further properties are allowed only where none are declared. */
function furtherPlaces(schemas: readonly LocatedSchema[]): readonly SchemaLocation[] | undefined {
  const explicit = schemas.filter(({ node }) => node.additionalProperties !== undefined);
  if (explicit.length === 0)
    return schemas.some(({ node }) => node.properties !== undefined) ? undefined : [];
  if (explicit.some(({ node }) => node.additionalProperties === false)) return undefined;
  return explicit.map(({ place }) => child(place, 'additionalProperties'));
}

/** A schema that does not declare the property still speaks of it by its additionalProperties. */
function propertyPlaces(
  schemas: readonly LocatedSchema[],
  name: string,
): readonly SchemaLocation[] | undefined {
  const places: SchemaLocation[] = [];
  for (const { place, node } of schemas) {
    if (declares(node, name)) places.push(child(place, 'properties', name));
    else if (node.additionalProperties === false) return undefined;
    else if (node.additionalProperties !== undefined) places.push(child(place, 'additionalProperties'));
  }
  return places;
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

/**
 * Writes the members of an object: from each declared property on, what may follow, with the comma where something
 * stands before. Where the number of properties matters, a part is written for each number so far.
 */

/** A property as it is written, `"name": value`. */
interface Member {
  readonly part: string;
  readonly required: boolean;
}

interface Members {
  readonly declared: readonly Member[];
  /** Any further property; undefined where there are none. */
  readonly further: string | undefined;
  readonly least: number;
  readonly most: number | undefined;
}

interface Position {
  readonly index: number;
  /** Properties before this one, as far as their number matters. */
  readonly written: number;
}

class MemberWriter {
  readonly #members: Members;
  readonly #builder: GrammarBuilder;
  readonly #comma: string;
  /** Parts already written; undefined for a dead end. */
  readonly #parts = new Map<string, string | undefined>();
  /** Beyond this many it makes no difference how many there are. */
  readonly #countUpTo: number;
  /** The bound that can still be exceeded. */
  readonly #most: number | undefined;

  constructor(members: Members, builder: GrammarBuilder) {
    this.#members = members;
    this.#builder = builder;
    this.#comma = sequence(literal(','), builder.json('ws'));
    const { declared, further, least, most } = members;
    this.#most = further === undefined && most !== undefined && most >= declared.length ? undefined : most;
    this.#countUpTo = Math.max(1, least, this.#most ?? 0);
  }

  /** All members, at least one; undefined where there can be none. */
  write(): string | undefined {
    return this.#from({ index: 0, written: 0 });
  }

  /** The next member, whichever it is, and what follows it. */
  #from(position: Position): string | undefined {
    const key = `${position.index} ${position.written}`;
    if (this.#parts.has(key)) return this.#parts.get(key);
    const ways = this.#ways(position);
    const part = ways.length > 1 ? this.#builder.add('members', alternatives(ways)) : ways[0];
    this.#parts.set(key, part);
    return part;
  }

  #ways({ index, written }: Position): readonly string[] {
    if (this.#most !== undefined && written >= this.#most) return [];
    const member = this.#members.declared[index];
    if (member === undefined) return this.#further(written);
    const rest = this.#after({ index: index + 1, written: Math.min(written + 1, this.#countUpTo) });
    const skipped = member.required ? undefined : this.#from({ index: index + 1, written });
    return [rest === undefined ? undefined : sequence(member.part, rest), skipped].filter(
      (way) => way !== undefined,
    );
  }

  /** What follows a member. Behind one comma, so that the engine has one way to go on until it has been written. */
  #after({ index, written }: Position): string | undefined {
    const { declared, least } = this.#members;
    const mayEnd = written >= least && declared.slice(index).every(({ required }) => !required);
    const next = this.#from({ index, written });
    if (next === undefined) return mayEnd ? '' : undefined;
    const more = sequence(this.#comma, next);
    return mayEnd ? `${this.#builder.add('more', more)}?` : more;
  }

  /** Further properties, at least one, after all declared ones. */
  #further(written: number): readonly string[] {
    const { further, least } = this.#members;
    if (further === undefined) return [];
    const next = this.#builder.add('further-next', sequence(this.#comma, further));
    const missing = Math.max(0, least - written - 1);
    return [
      sequence(
        further,
        repeated(next, missing, this.#most === undefined ? undefined : this.#most - written - 1),
      ),
    ];
  }
}
