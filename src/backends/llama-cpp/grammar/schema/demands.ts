/**
 * A list of schemas that one value must meet together, with `$ref` and `allOf` followed to their ends: what is left
 * are plain keywords and choices that are still open.
 */
import { SCHEMA_LIMITS } from '../limits.ts';
import type { ReadSchema } from './facts.ts';
import { Contradiction, SchemaProblem } from './problem.ts';
import { child, type Place, placeKey, type SchemaReader } from './reader.ts';

export type ChoiceKeyword = 'anyOf' | 'oneOf';

/** A schema, and which of its choices have been made already. */
export interface Demand {
  readonly place: Place;
  readonly decided: readonly ChoiceKeyword[];
  /** Keys of the schemas whose choices led here: leading back to one of them is going round in a circle. */
  readonly via: readonly string[];
}

export function demandFor(place: Place, via: readonly string[] = []): Demand {
  return { place, decided: [], via };
}

export interface OpenChoice {
  readonly demand: Demand;
  readonly keyword: ChoiceKeyword;
  readonly branches: readonly unknown[];
}

export interface Demands {
  /** Tells different lists apart; the same for the same schemas in another order. */
  readonly key: string;
  readonly demands: readonly Demand[];
  /** Those with keywords of their own. */
  readonly schemas: readonly ReadSchema[];
  readonly choices: readonly OpenChoice[];
}

const CHOICES: readonly ChoiceKeyword[] = ['anyOf', 'oneOf'];
/** Keywords that make other schemas part of the list, and those that are only pointed at. */
const STRUCTURE = new Set(['$ref', 'allOf', 'anyOf', 'oneOf', '$defs', 'definitions']);

export function flatten(demands: readonly Demand[], reader: SchemaReader): Demands {
  const given = new Map(demands.map((demand) => [placeKey(demand.place), demand]));
  const found = new Map<string, Demand>();
  const schemas: ReadSchema[] = [];
  const choices: OpenChoice[] = [];
  const follow = (place: Place, via: readonly string[], path: readonly string[]): void => {
    const key = placeKey(place);
    const demand = given.get(key) ?? demandFor(place, via);
    if (path.includes(key) || via.includes(key))
      throw new SchemaProblem(place.pointer, '$ref', 'leads back to itself without ever reaching a value.');
    if (path.length >= SCHEMA_LIMITS.depth)
      throw new SchemaProblem(
        place.pointer,
        undefined,
        `is reached through more than ${SCHEMA_LIMITS.depth} references and allOfs in a row.`,
      );
    if (found.has(key)) return;
    const node = reader.read(place);
    if (node === false) throw new Contradiction(place.pointer, undefined, 'is false: no value is allowed.');
    found.set(key, demand);
    if (found.size > SCHEMA_LIMITS.merged)
      throw new SchemaProblem(
        place.pointer,
        undefined,
        `makes one value meet more than ${SCHEMA_LIMITS.merged} schemas.`,
      );
    if (Object.keys(node).some((keyword) => !STRUCTURE.has(keyword))) schemas.push({ place, node });
    for (const keyword of CHOICES) {
      const branches = node[keyword];
      if (branches !== undefined && !demand.decided.includes(keyword))
        choices.push({ demand, keyword, branches });
    }
    const deeper = [...path, key];
    if (node.$ref !== undefined) follow(reader.resolve(place.pointer, node.$ref), via, deeper);
    for (const index of node.allOf?.keys() ?? []) follow(child(place, 'allOf', index), via, deeper);
  };
  for (const { place, via } of demands) follow(place, via, []);
  const counted = [
    ...schemas.map(({ place }) => placeKey(place)),
    ...choices.map(({ demand, keyword }) => `${placeKey(demand.place)} ${keyword}`),
  ];
  return { key: [...new Set(counted)].sort().join('\n'), demands: [...found.values()], schemas, choices };
}
