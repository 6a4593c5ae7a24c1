/** Parses native bodies as the edge would, for a server with one model. */
import { ServingError } from '../../src/core/errors.ts';
import type { RequestId } from '../../src/core/generation.ts';
import type { ParseContext, ParsedGeneration } from '../../src/protocols/generation-route.ts';
import { parseGenerate } from '../../src/protocols/native/parse.ts';

const context: ParseContext = {
  requestId: 'gen_1' as RequestId,
  defaultModel: 'm',
  requireModel: (model) => {
    if (model !== 'm') throw new ServingError('model_not_found', { param: 'model' });
    return { contextSize: 1000 };
  },
  defaultMaxTokens: 256,
};

export function parseNative(body: unknown, changes: Partial<ParseContext> = {}): ParsedGeneration {
  return parseGenerate('whole')(body, { ...context, ...changes });
}

export function nativeRefusal(body: unknown): { param: string | undefined; message: string } {
  try {
    parseNative(body);
  } catch (error) {
    if (error instanceof ServingError) return { param: error.param, message: error.message };
    throw error;
  }
  throw new Error('was accepted');
}

/** `[[[…]]]`, so many levels deep. */
export function nestedArrays(levels: number): unknown {
  return JSON.parse('['.repeat(levels) + ']'.repeat(levels));
}
