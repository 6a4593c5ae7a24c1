/** JSON values as texts: in one spelling, and within bounds, whatever a client sent. */

/** Deeper values than this are refused before anything recursive looks at them. */
const DEPTH = 32;

/** Whether lists and objects within one another stay within the depth that is handled. */
export function isShallow(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEPTH) return false;
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return true;
}

/** The same text for equal values, whatever the order of their properties. For comparing only. */
export function comparableText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(comparableText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(Object.is(value, -0) ? 0 : value);
  const entries = Object.entries(value).map(
    ([name, item]) => `${JSON.stringify(name)}:${comparableText(item)}`,
  );
  return `{${entries.sort().join(',')}}`;
}

export function kindOf(value: unknown): 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null' {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value as 'object' | 'string' | 'number' | 'boolean';
}

/** Characters as JSON Schema counts them. */
export function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}
