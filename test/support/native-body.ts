/** Parses native bodies as the edge would, for a server with one model. */

import { parseGenerate } from '../../src/protocols/native/parse.ts';
import type { ParseContext } from '../../src/protocols/protocol.ts';
import { parseWith, refusalWith } from './protocol-answers.ts';

const route = { parse: parseGenerate('whole') };

export function parseNative(body: unknown, changes: Partial<ParseContext> = {}) {
  return parseWith(route, body, changes);
}

export function nativeRefusal(body: unknown): { param: string | undefined; message: string } {
  const { param, message } = refusalWith(route, body);
  return { param, message };
}

/** `[[[…]]]`, so many levels deep. */
export function nestedArrays(levels: number): unknown {
  return JSON.parse('['.repeat(levels) + ']'.repeat(levels));
}
