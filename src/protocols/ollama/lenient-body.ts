/** Bodies as Ollama takes them: null counts as absent, fields that nobody knows are no error; types are strict. */
import type { TSchema } from 'typebox';
import { bodyReader } from '../checked-body.ts';

/** In these null is content: it may be a value that a schema allows, or an argument. */
const CONTENT: ReadonlySet<string> = new Set(['format', 'parameters', 'arguments']);

/** body → messages → message → tool_calls → call → function: deeper there is nothing that is read field by field. */
const LEVELS = 6;

export function lenientReader<Body>(schema: TSchema): (raw: unknown) => Body {
  const read = bodyReader<Body>(schema);
  return (raw) => read(withoutNulls(raw, LEVELS));
}

function withoutNulls(value: unknown, levels: number): unknown {
  if (levels === 0 || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item, levels - 1));
  const given = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(
    given.map(([name, field]) => [name, CONTENT.has(name) ? field : withoutNulls(field, levels - 1)]),
  );
}
