/** logit_bias becomes the core's, in every protocol that has it: token id → what is added to its logit. */
import type { TokenBias } from '../core/generation.ts';
import { showValue } from '../schema/violation.ts';
import { invalid } from './invalid.ts';

/** One way to write each token, so that none can be given twice. */
const TOKEN_ID = /^(0|[1-9][0-9]{0,9})$/;

/** By token, so that equal requests look alike. */
export function parseLogitBias(biases: Readonly<Record<string, number>>): readonly TokenBias[] {
  return Object.entries(biases)
    .map(([key, bias]) => ({ token: parseToken(key), bias }))
    .sort((one, other) => one.token - other.token);
}

function parseToken(key: string): number {
  if (TOKEN_ID.test(key)) return Number(key);
  throw invalid(
    'logit_bias',
    `logit_bias has the key ${showValue(key)}, but its keys must be token ids: whole numbers such as "42".`,
  );
}
