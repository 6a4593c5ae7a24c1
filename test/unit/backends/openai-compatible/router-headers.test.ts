import { expect, it } from 'vitest';
import {
  checkRouter,
  type RouterSettings,
  routerHeaders,
} from '../../../../src/backends/openai-compatible/router-headers.ts';
import type { Along } from '../../../../src/core/backend.ts';

const request: Along = {
  requestId: 'req_1',
  hops: undefined,
  traceparent: undefined,
  tracestate: undefined,
  client: 'key:team-a',
  priority: 'normal',
  receivedAt: 1000,
  deadlineAt: undefined,
};

function told(router: RouterSettings, changed: Partial<Along> = {}, now = 1000): Record<string, string> {
  const headers = routerHeaders(router, { ...request, ...changed }, now);
  const pairs = headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1] ?? '']] : []));
  return Object.fromEntries(pairs);
}

const CLIENT = 'x-llm-d-inference-fairness-id';
const TTFT = 'x-llm-d-slo-ttft-ms';

it('tells nothing where no router is configured, or no client’s request causes the call', () => {
  expect(routerHeaders({}, request, 0)).toEqual([]);
  expect(routerHeaders({ router: 'llm-d' }, undefined, 0)).toEqual([]);
});

it('tells one client by one id, which shows nothing of it', () => {
  const { [CLIENT]: id = '' } = told({ router: 'llm-d' });
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  expect(told({ router: 'llm-d' }, { requestId: 'another', receivedAt: 5 })[CLIENT]).toBe(id);
  expect(told({ router: 'llm-d' }, { client: 'key:team-b' })[CLIENT]).not.toBe(id);
});

it('tells the same id as every other replica and release', () => {
  expect(told({ router: 'llm-d' })[CLIENT]).toBe('22c0b4a9529e937108152bd6a5e928d8');
});

it('uses the names that the router reads', () => {
  const settings = { router_ttft_ms: 500, router_tpot_ms: 40, router_objectives: { normal: 'standard' } };
  expect(Object.keys(told({ router: 'llm-d', ...settings }))).toEqual([
    'x-llm-d-inference-fairness-id',
    'x-llm-d-inference-objective',
    'x-llm-d-slo-ttft-ms',
    'x-llm-d-slo-tpot-ms',
  ]);
  expect(Object.keys(told({ router: 'gateway-api', ...settings }))).toEqual([
    'x-gateway-inference-fairness-id',
    'x-gateway-inference-objective',
    'x-slo-ttft-ms',
    'x-slo-tpot-ms',
  ]);
});

it('tells the objective of the granted priority, and none where it has no name', () => {
  const router = { router: 'llm-d', router_objectives: { high: 'premium', low: 'batch' } } as const;
  const objectiveOf = (priority: Along['priority']) =>
    told(router, { priority })['x-llm-d-inference-objective'];
  expect((['high', 'normal', 'low'] as const).map(objectiveOf)).toEqual(['premium', undefined, 'batch']);
});

it('tells what is left until the first token is due: of the target’s time, or of the client’s limit', () => {
  const router = { router: 'llm-d', router_ttft_ms: 500 } as const;
  const leftAt = (now: number, deadlineAt?: number) => told(router, { deadlineAt }, now)[TTFT];
  expect(leftAt(1000)).toBe('500');
  expect(leftAt(1200.4)).toBe('300');
  expect(leftAt(1200, 1300)).toBe('100');
  expect(leftAt(1200, 9000)).toBe('300');
  expect(told({ router: 'llm-d' }, { deadlineAt: 3000 }, 1200)[TTFT]).toBe('1800');
  expect(told({ router: 'llm-d' })).not.toHaveProperty(TTFT);
});

it('tells of a first token that is late already that it is due at once', () => {
  expect(told({ router: 'llm-d', router_ttft_ms: 500 }, {}, 9000)[TTFT]).toBe('1');
});

it('refuses a setting that no router would be told', () => {
  expect(() => checkRouter({ router_ttft_ms: 500 })).toThrow(/router_ttft_ms is what a router is told/);
  expect(() => checkRouter({ router: 'llm-d', router_ttft_ms: 500 })).not.toThrow();
  expect(() => checkRouter({})).not.toThrow();
});
