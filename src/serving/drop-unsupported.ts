/** Drops the fields of a request that its target does not support, as far as they may be dropped. */
import type { ServingError } from '../core/errors.ts';
import { type Droppable, withoutField } from '../core/features.ts';
import type { GenerationRequest } from '../core/generation.ts';
import type { RequestTrace } from '../core/request-trace.ts';

/**
 * What to ask for instead after a refusal: the request without the field that the backend does not support, which the trace
 * then names as dropped. Content is never dropped, only settings. Undefined: the refusal is the answer.
 */
export function dropUnsupported(
  request: GenerationRequest,
  { code, param }: ServingError,
  { trace, droppable }: { readonly trace: RequestTrace; readonly droppable: Droppable },
): GenerationRequest | undefined {
  if (code !== 'unsupported_parameter' || param === undefined) return undefined;
  const lesser = withoutField(request, param, droppable);
  if (lesser === undefined) return undefined;
  trace.droppedFields ??= [];
  if (!trace.droppedFields.includes(param)) trace.droppedFields.push(param);
  return lesser;
}
