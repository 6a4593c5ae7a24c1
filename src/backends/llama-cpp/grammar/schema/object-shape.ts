/**
 * What the schemas of one object say together: its properties in order, which of them must be there, what else may be,
 * and how many.
 */
import { SCHEMA_LIMITS } from '../limits.ts';
import { type ReadSchema, smallest } from './facts.ts';
import { Contradiction, type Pointer, SchemaProblem } from './problem.ts';
import { child, type Place, type SchemaNode } from './reader.ts';

export interface Property {
  readonly name: string;
  readonly required: boolean;
  /** What its value must meet; undefined where it must not be there. */
  readonly places: readonly Place[] | undefined;
}

export interface ObjectShape {
  readonly properties: readonly Property[];
  /** What the value of any other property must meet; undefined where there must be none. */
  readonly further: readonly Place[] | undefined;
  readonly least: number;
  readonly most: number | undefined;
}

export function objectShape(schemas: readonly ReadSchema[], at: Pointer): ObjectShape {
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
function furtherPlaces(schemas: readonly ReadSchema[]): readonly Place[] | undefined {
  const explicit = schemas.filter(({ node }) => node.additionalProperties !== undefined);
  if (explicit.length === 0)
    return schemas.some(({ node }) => node.properties !== undefined) ? undefined : [];
  if (explicit.some(({ node }) => node.additionalProperties === false)) return undefined;
  return explicit.map(({ place }) => child(place, 'additionalProperties'));
}

/** A schema that does not declare the property still speaks of it by its additionalProperties. */
function propertyPlaces(schemas: readonly ReadSchema[], name: string): readonly Place[] | undefined {
  const places: Place[] = [];
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
    throw new SchemaProblem(
      at,
      'properties',
      `has ${names.length} names. At most ${SCHEMA_LIMITS.properties} are allowed.`,
    );
  if (names.some((name) => name.length > SCHEMA_LIMITS.nameCharacters))
    throw new SchemaProblem(
      at,
      'properties',
      `has a name of more than ${SCHEMA_LIMITS.nameCharacters} characters.`,
    );
}
