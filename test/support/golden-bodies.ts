/** The bodies of the golden transcripts: what clients send, of every form that a protocol has. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readGolden } from './golden.ts';

const ROOT = fileURLToPath(new URL('../golden/', import.meta.url));
const LONGEST = 20_000;

/** Path → bodies, without what a script would do with them. */
export function goldenBodies(): ReadonlyMap<string, readonly object[]> {
  const bodies = new Map<string, object[]>();
  for (const request of requests()) {
    const [head = '', body = ''] = request.split('\n\n');
    const [method, path = ''] = head.split(/\s/, 2);
    const fields = objectIn(body);
    if (method !== 'POST' || fields === undefined || body.length > LONGEST || body.includes('script'))
      continue;
    bodies.set(path, [...(bodies.get(path) ?? []), fields]);
  }
  return bodies;
}

function requests(): string[] {
  return readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.http'))
    .flatMap((file) => readGolden(readFileSync(`${ROOT}${file}`, 'utf8')).exchanges)
    .map(({ request }) => request);
}

function objectIn(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
