/**
 * Objects: the declared properties in their order, those that are not required left out or not, then further ones.
 */
import { literal, sequence } from '../gbnf/text.ts';
import { noneOfTexts } from '../gbnf/text-trie.ts';
import { SCHEMA_LIMITS } from '../limits.ts';
import { type Member, type Members, MemberWriter } from './member-writer.ts';
import { type ObjectShape, objectShape } from './object-shape.ts';
import type { PartOf } from './part-of.ts';
import { Contradiction, SchemaProblem } from './problem.ts';
import { PLAIN_CHARACTERS } from './string-characters.ts';

export function objectPart({ schemas, at, compiler }: PartOf): string {
  const shape = objectShape(schemas, at);
  const { least, most } = shape;
  const ws = compiler.book.json('ws');
  const declared = membersOf(shape, { schemas, at, compiler });
  const further = furtherMember(shape, { schemas, at, compiler });
  const members = { declared, further, least, most };
  checkOptionalRun(declared, at);
  checkCounts(members, at);
  const filled = new MemberWriter(members, compiler.book).write();
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

function membersOf({ properties }: ObjectShape, { compiler }: PartOf): readonly Member[] {
  const ws = compiler.book.json('ws');
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

function furtherMember({ properties, further }: ObjectShape, { compiler }: PartOf): string | undefined {
  if (further === undefined) return undefined;
  const { book } = compiler;
  try {
    const value = compiler.ruleFor(further, 'further');
    const names = properties
      .map(({ name }) => name)
      .filter((name) => JSON.stringify(name).length === name.length + 2);
    const key =
      names.length === 0
        ? book.json('string')
        : sequence(literal('"'), noneOfTexts(names, { characters: PLAIN_CHARACTERS, book }), literal('"'));
    return sequence(key, literal(':'), book.json('ws'), value);
  } catch (thrown) {
    if (thrown instanceof Contradiction) return undefined;
    throw thrown;
  }
}

/** The engine has to follow each property that may come next. */
function checkOptionalRun(declared: readonly Member[], at: PartOf['at']): void {
  let run = 0;
  for (const { required } of declared) {
    run = required ? 0 : run + 1;
    if (run > SCHEMA_LIMITS.optionalProperties)
      throw new SchemaProblem(
        at,
        'properties',
        `has more than ${SCHEMA_LIMITS.optionalProperties} properties in a row that may be left out. Name some of them in required, or put them into objects of their own.`,
      );
  }
}

function checkCounts({ declared, further, least, most }: Members, at: PartOf['at']): void {
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
    throw new SchemaProblem(
      at,
      'minProperties',
      `is ${least}. Where additionalProperties are allowed, it can be one more than the required properties at most.`,
    );
  for (const [keyword, value] of [
    ['minProperties', least],
    ['maxProperties', further === undefined ? 0 : (most ?? 0)],
  ] as const)
    if (value > SCHEMA_LIMITS.repetitions)
      throw new SchemaProblem(at, keyword, `is ${value}. At most ${SCHEMA_LIMITS.repetitions} is allowed.`);
}
