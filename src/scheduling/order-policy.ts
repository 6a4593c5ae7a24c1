/**
 * Who is served before whom? A policy is one pure function and one configuration value: add it here. It says where a
 * request stands: in which class, in which flow, and when within its flow. Classes are strict (with ageing), flows of
 * one class share in tokens, within a flow the earliest is first, of equals the one that came first.
 */
import type { Milliseconds } from '../core/clock.ts';
import { DEFAULT_PRIORITY, type Priority } from '../core/priority.ts';

export interface Standing {
  readonly priority: Priority;
  /** Those of one flow wait for each other; flows share. */
  readonly flow: string;
  readonly dueAt: Milliseconds;
}

export type OrderPolicy = (entry: {
  readonly client: string;
  readonly priority: Priority;
  /** When its waiting ends. */
  readonly expiresAt: Milliseconds;
}) => Standing;

export const ORDER_POLICIES = {
  /** Classes by priority, a flow for each client, earliest deadline first. */
  fair: ({ client, priority, expiresAt }) => ({ priority, flow: client, dueAt: expiresAt }),
  /** First come, first served, whoever it is and whatever it asks for. */
  fifo: () => ({ priority: DEFAULT_PRIORITY, flow: '', dueAt: 0 }),
} as const satisfies Record<string, OrderPolicy>;

export type OrderMode = keyof typeof ORDER_POLICIES;

export const DEFAULT_ORDER: OrderMode = 'fair';

/** For the configuration reference. */
export const ORDER_MEANINGS: Readonly<Record<OrderMode, string>> = {
  fair: 'by priority, clients share in tokens, earliest deadline first',
  fifo: 'first come, first served',
};
