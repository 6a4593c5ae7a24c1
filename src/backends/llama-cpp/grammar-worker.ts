/** The entry of the thread of grammar-thread.ts: compiles one constraint after the other. */
import { parentPort } from 'node:worker_threads';
import { ServingError } from '../../core/errors.ts';
import { answerGrammar } from './grammar/answer-grammar.ts';
import type { Compiled } from './grammar-compiler.ts';

function compiled(constraint: string): Compiled {
  try {
    return { grammar: answerGrammar(JSON.parse(constraint)) };
  } catch (thrown) {
    if (!(thrown instanceof ServingError)) return { failure: String(thrown) };
    const { code, message, param } = thrown;
    return { refusal: { code, message, ...(param !== undefined && { param }) } };
  }
}

parentPort?.on('message', (constraint: string) => parentPort?.postMessage(compiled(constraint)));
