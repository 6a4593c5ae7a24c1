/**
 * What a router in front of several engines is told of a request, so that it serves clients fairly and in time: the endpoint picker of a
 * Gateway API InferencePool. Pure. Invariant: nothing here is as the client wrote it. Who it is comes from its key or its connection, its
 * priority is the one granted, and a time limit of its own can only be shorter than what the operator allows.
 */
import { createHash } from 'node:crypto';
import type { Along } from '../../core/backend.ts';
import type { Milliseconds } from '../../core/clock.ts';
import type { Priority } from '../../core/priority.ts';

/** llm-d's names, and those that came before them, which the Gateway API Inference Extension up to 1.x knows alone. */
export const ROUTER_HEADERS = {
  'llm-d': {
    client: 'x-llm-d-inference-fairness-id',
    objective: 'x-llm-d-inference-objective',
    ttftMs: 'x-llm-d-slo-ttft-ms',
    tpotMs: 'x-llm-d-slo-tpot-ms',
  },
  'gateway-api': {
    client: 'x-gateway-inference-fairness-id',
    objective: 'x-gateway-inference-objective',
    ttftMs: 'x-slo-ttft-ms',
    tpotMs: 'x-slo-tpot-ms',
  },
} as const;

export type RouterKind = keyof typeof ROUTER_HEADERS;

export interface RouterSettings {
  readonly router?: RouterKind;
  readonly router_ttft_ms?: Milliseconds;
  readonly router_tpot_ms?: Milliseconds;
  /** Names of InferenceObjectives. */
  readonly router_objectives?: Readonly<Partial<Record<Priority, string>>>;
}

/** Throws where a setting would have no effect. */
export function checkRouter({ router, ...told }: RouterSettings): void {
  const { router_ttft_ms, router_tpot_ms, router_objectives } = told;
  const lost = Object.entries({ router_ttft_ms, router_tpot_ms, router_objectives }).find(
    ([, value]) => value !== undefined,
  );
  if (router !== undefined || lost === undefined) return;
  const kinds = Object.keys(ROUTER_HEADERS).join(' or ');
  throw new Error(`${lost[0]} is what a router is told, and there is none. Set router to ${kinds}.`);
}

const CLIENT_DIGITS = 32;
const NONE: readonly string[] = [];

/** Names and values in turn; none where there is no router, and of calls that no client's request causes. */
export function routerHeaders(
  { router, router_ttft_ms, router_tpot_ms, router_objectives }: RouterSettings,
  along: Along | undefined,
  now: Milliseconds,
): readonly string[] {
  if (router === undefined || along === undefined) return NONE;
  const { client, priority, receivedAt, deadlineAt } = along;
  const names = ROUTER_HEADERS[router];
  const headers: string[] = [names.client, clientId(client)];
  const objective = router_objectives?.[priority];
  if (objective !== undefined) headers.push(names.objective, objective);
  const ttftMs = Math.min(
    router_ttft_ms === undefined ? Number.POSITIVE_INFINITY : receivedAt + router_ttft_ms - now,
    deadlineAt === undefined ? Number.POSITIVE_INFINITY : deadlineAt - now,
  );
  // A whole number: what orders its queue by this reads no other. What is late already is due at once.
  if (Number.isFinite(ttftMs)) headers.push(names.ttftMs, String(Math.max(1, Math.round(ttftMs))));
  if (router_tpot_ms !== undefined) headers.push(names.tpotMs, String(router_tpot_ms));
  return headers;
}

/** The same in every replica and after a restart; it tells neither a key nor its name. */
function clientId(client: string): string {
  return createHash('sha256').update(`llm-serve client ${client}`).digest('hex').slice(0, CLIENT_DIGITS);
}
