/** Fields of a body that say nothing to a model: what this API knows and is meant for its own service, and what nobody here knows. */
import { showValue } from '../../schema/violation.ts';
import { invalid } from '../invalid.ts';
import { refuseDeepNesting } from '../nesting.ts';
import { CheckedMessages } from './schema.ts';

/** The answer is the same without them. */
const MEANINGLESS = [
  'anthropic_beta',
  'anthropic_version',
  'betas',
  'billing_policy',
  'cache_control',
  'context_management',
  'diagnostics',
  'fallback_credit_token',
  'fallbacks',
  'inference_geo',
  'metadata',
  'service_tier',
  'speed',
  'user_profile_id',
  'workspace_id',
] as const;

/** Field → what it would take. */
const REFUSED = {
  container: 'the server runs no containers',
  mcp_servers: 'the server connects to no other servers',
  thread: 'the server keeps no conversations; send all of its messages',
  compaction: 'the server keeps conversations as they are',
} as const;

const KNOWN: ReadonlySet<string> = new Set([
  ...Object.keys(CheckedMessages.properties),
  ...Object.keys(REFUSED),
  ...MEANINGLESS,
]);

export function refuseOtherServices(body: Readonly<Record<string, unknown>>): void {
  for (const [field, reason] of Object.entries(REFUSED)) {
    const value = body[field];
    const asksNothing = value === undefined || (Array.isArray(value) && value.length === 0);
    if (!asksNothing)
      throw invalid(field, `${field} is ${showValue(value)}, but cannot be given here: ${reason}.`);
  }
}

/** For targets that take them by name. */
export function parseExtras(
  body: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> | undefined {
  const extras = Object.entries(body).filter(([field]) => !KNOWN.has(field));
  for (const [field, value] of extras) refuseDeepNesting(value, field);
  return extras.length === 0 ? undefined : Object.fromEntries(extras);
}
