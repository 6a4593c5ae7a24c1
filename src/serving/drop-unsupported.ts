/**
 * Where a backend refuses a field that it cannot honour, before its first event, it is asked again without the field, and the
 * receipt says so. What is content, no setting, is refused all the same.
 */
import type { ServingError } from '../core/errors.ts';
import { type Droppable, withoutField } from '../core/features.ts';
import type { GenerationRequest } from '../core/generation.ts';
import type { Receipt } from '../core/receipt.ts';

export interface DroppingCall {
  /** As the backend was asked. */
  readonly asked: GenerationRequest;
  readonly receipt: Receipt;
  readonly droppable: Droppable;
}

/** What to ask for instead; undefined: the refusal is the answer. */
export function dropUnsupported(
  { asked, receipt, droppable }: DroppingCall,
  { code, param }: ServingError,
): GenerationRequest | undefined {
  if (code !== 'unsupported_parameter' || param === undefined) return undefined;
  const less = withoutField(asked, param, droppable);
  if (less === undefined) return undefined;
  receipt.droppedFields ??= [];
  if (!receipt.droppedFields.includes(param)) receipt.droppedFields.push(param);
  return less;
}
