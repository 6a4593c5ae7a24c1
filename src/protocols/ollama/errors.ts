/** Errors as Ollama says them: a text and nothing else; after the first line of a stream, a line of their own. */
import { Type } from 'typebox';
import type { ServingError } from '../../core/errors.ts';
import type { ErrorShape } from '../protocol.ts';

export const OllamaError = Type.Object({ error: Type.String() });

export const ollamaErrors: ErrorShape = {
  schema: OllamaError,
  render: (error) => ({ status: error.spec.status, body: { error: error.message } }),
};

/** Instead of the rest: nothing with `done: true`, and no "success", follows it. */
export function errorLine({ message }: ServingError): string {
  return `${JSON.stringify({ error: message })}\n`;
}
