/** Tool calls as Ollama shows them: whole ones alone, their arguments as an object. One that the end of the answer cut off is none. */
import { ServingError } from '../../core/errors.ts';
import type { FinishReason, ToolCall } from '../../core/generation.ts';
import { objectIn } from '../object-in.ts';

export interface RenderedCall {
  readonly id: string;
  readonly function: { readonly index: number; readonly name: string; readonly arguments: object };
}

/** Throws `backend_error` where a call is over and has no arguments that can be called with: nobody would hear of it. */
export function renderCall({ id, name, arguments: text }: ToolCall, index: number): RenderedCall {
  const values = objectIn(text === '' ? '{}' : text);
  if (values !== undefined) return { id, function: { index, name, arguments: values } };
  throw new ServingError('backend_error', {
    message: `The model called ${JSON.stringify(name)} with arguments that are no JSON object.`,
  });
}

/** The last call of an answer that ended so; undefined where it was cut off. */
export function renderLastCall(
  call: ToolCall,
  index: number,
  reason: FinishReason,
): RenderedCall | undefined {
  if (reason === 'length' && objectIn(call.arguments) === undefined) return undefined;
  return renderCall(call, index);
}

export function renderCalls(calls: readonly ToolCall[], reason: FinishReason): readonly RenderedCall[] {
  return calls.flatMap((call, index) =>
    index < calls.length - 1 ? renderCall(call, index) : (renderLastCall(call, index, reason) ?? []),
  );
}
