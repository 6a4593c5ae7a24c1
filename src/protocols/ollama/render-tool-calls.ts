/** Tool calls as Ollama shows them: whole ones alone, their arguments as an object. One that the end of the answer cut off is none. */
import { ServingError } from '../../core/errors.ts';
import type { FinishReason, ToolCall } from '../../core/generation.ts';
import { objectIn } from '../object-in.ts';

/** By its place among the calls of the answer. */
export interface IndexedCall extends ToolCall {
  readonly index: number;
}

export interface RenderedCall {
  readonly id: string;
  readonly function: { readonly index: number; readonly name: string; readonly arguments: object };
}

/** Throws `backend_error` where a call is over and has no arguments that can be called with: nobody would hear of it. */
export function renderCall({ index, id, name, arguments: text }: IndexedCall): RenderedCall {
  const values = objectIn(text === '' ? '{}' : text);
  if (values !== undefined) return { id, function: { index, name, arguments: values } };
  throw new ServingError('backend_error', {
    message: `The model called ${JSON.stringify(name)} with arguments that are no JSON object.`,
  });
}

/** The calls that an answer ended with; one that its length cut off is none. */
export function renderCalls(calls: readonly IndexedCall[], reason: FinishReason): readonly RenderedCall[] {
  return calls.flatMap((call, position) => {
    const mayBeWhole = call.arguments === '' && position < calls.length - 1;
    const isCut = reason === 'length' && !mayBeWhole && objectIn(call.arguments) === undefined;
    return isCut ? [] : renderCall(call);
  });
}
