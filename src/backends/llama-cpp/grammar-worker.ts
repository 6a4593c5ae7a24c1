/** The entry of the thread that grammar-compiler.ts starts: compiles one constraint after the other. */
import { parentPort } from 'node:worker_threads';
import { ServingError } from '../../core/errors.ts';
import { compileGrammar } from './grammar/answer-grammar.ts';
import type { ThreadResult } from './grammar-compiler.ts';

function compile(constraint: string): ThreadResult {
  try {
    return { grammar: compileGrammar(JSON.parse(constraint)) };
  } catch (thrown) {
    if (!(thrown instanceof ServingError)) return { failure: String(thrown) };
    const { code, message, param } = thrown;
    return { rejection: { code, message, ...(param !== undefined && { param }) } };
  }
}

parentPort?.on('message', (constraint: string) => parentPort?.postMessage(compile(constraint)));
