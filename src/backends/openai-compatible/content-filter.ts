/**
 * Recognises that a content filter refused a request, by the codes and words of the services that have one. Such a refusal is the
 * answer: no other target is asked. Pure.
 */
import { ServingError } from '../../core/errors.ts';
import { asObject, asText, excerpt, type UntypedObject } from '../../upstream/untyped.ts';

/** In `code`, `type` or `innererror.code`. */
const CODES: ReadonlySet<string> = new Set([
  // OpenAI and Azure; Moonshot has it as the type.
  'content_filter',
  'content_policy_violation',
  'moderation_blocked',
  'ResponsibleAIPolicyViolation',
  // Alibaba's Model Studio.
  'data_inspection_failed',
  'DataInspectionFailed',
]);

/** Of services whose code is that of any other rejection: Azure, DeepSeek, Model Studio, OpenRouter, xAI. */
const MESSAGES =
  /content management policy|content exists risk|contain inappropriate content|flagged by moderation|input was flagged|violates? (?:our )?usage guidelines/i;

/** 451: guardrails in front of a server. */
const STATUSES: ReadonlySet<number> = new Set([400, 403, 422, 451]);

/** `error`: of a response with that status, or of a chunk, which has none. */
export function contentFiltered(
  error: UntypedObject,
  { status, cause }: { readonly status?: number; readonly cause: unknown },
): ServingError | undefined {
  const isRefusal = status === undefined || STATUSES.has(status);
  if (!isRefusal || !(status === 451 || namesFilter(error))) return undefined;
  const said = asText(error.message);
  const message = `The model’s backend rejected the request by its content filter${said === undefined ? '.' : `: ${excerpt(said)}`}`;
  return new ServingError('content_filtered', { message, cause });
}

function namesFilter(error: UntypedObject): boolean {
  const codes = [error.code, error.type, asObject(error.innererror).code];
  if (codes.some((code) => typeof code === 'string' && CODES.has(code))) return true;
  return 'flagged_input' in asObject(error.metadata) || MESSAGES.test(asText(error.message) ?? '');
}
