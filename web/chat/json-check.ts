/**
 * Whether a structured answer is what its schema asks for, as far as these keywords say it: type, enum, const, properties, required,
 * additionalProperties: false, items. The server has the whole of JSON Schema; this is what the person is shown. Pure.
 */
import { isObject } from './settings.ts';

/** Undefined: it is. */
export function problemOfAnswer(text: string, schema: unknown): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'The answer is not JSON.';
  }
  return problemOf(value, schema, 'The answer');
}

function problemOf(value: unknown, schema: unknown, where: string): string | undefined {
  if (!isObject(schema)) return undefined;
  const { type, properties, required, additionalProperties, items } = schema;
  if (type !== undefined && ![type].flat().some((each) => isOfType(value, each)))
    return `${where} must be ${[type].flat().join(' or ')}.`;
  if (Array.isArray(schema.enum) && !schema.enum.some((each) => isSame(each, value)))
    return `${where} is none of the values of enum.`;
  if ('const' in schema && !isSame(schema.const, value)) return `${where} is not the value of const.`;
  if (Array.isArray(value))
    return firstOf(value.map((each, at) => () => problemOf(each, items, `${where}[${at}]`)));
  if (!isObject(value)) return undefined;
  const known = isObject(properties) ? properties : {};
  const missing = Array.isArray(required)
    ? required.find((name) => typeof name === 'string' && !Object.hasOwn(value, name))
    : undefined;
  if (missing !== undefined) return `${where} lacks ${String(missing)}.`;
  const more =
    additionalProperties === false
      ? Object.keys(value).find((name) => !Object.hasOwn(known, name))
      : undefined;
  if (more !== undefined) return `${where} has ${more}, which the schema does not allow.`;
  return firstOf(
    Object.entries(value).map(
      ([name, each]) =>
        () =>
          Object.hasOwn(known, name) ? problemOf(each, known[name], `${where}.${name}`) : undefined,
    ),
  );
}

function firstOf(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const problem = check();
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function isOfType(value: unknown, type: unknown): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(value);
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'null':
      return value === null;
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === type;
    default:
      // Not for this page to judge.
      return true;
  }
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
