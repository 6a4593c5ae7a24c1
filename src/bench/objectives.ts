/** The targets that an answer must meet to count as good: milliseconds to the first token, per further token, and in all. */

import { UsageError } from './read-option.ts';
import { latencyOf, type RequestRecord, tpotOf, ttftOf } from './record.ts';

export const OBJECTIVE_NAMES = ['ttft', 'tpot', 'e2e'] as const;
export type ObjectiveName = (typeof OBJECTIVE_NAMES)[number];
export type Objectives = Readonly<Partial<Record<ObjectiveName, number>>>;

/** Reads as a conversation: half a second until it begins, then faster than people read. */
export const DEFAULT_OBJECTIVES: Objectives = { ttft: 500, tpot: 50 };

/** What each target is called in a sentence, after "within 200 ms". */
const WORDS: Readonly<Record<ObjectiveName, string>> = {
  ttft: 'to the first token',
  tpot: 'per further token',
  e2e: 'in all',
};

/** `ttft=200,tpot=50,e2e=5000` */
export function parseObjectives(text: string): Objectives {
  const entries = text.split(',').map((part) => {
    const [name = '', value = ''] = part.split('=').map((each) => each.trim());
    const known = OBJECTIVE_NAMES.find((each) => each === name);
    const milliseconds = Number(value.replace(/ms$/, ''));
    if (known === undefined || !(milliseconds > 0) || !Number.isFinite(milliseconds))
      throw new UsageError(
        `--slo is "${text}"; write targets in milliseconds, any of ttft=200,tpot=50,e2e=5000.`,
      );
    return [known, milliseconds] as const;
  });
  return Object.fromEntries(entries);
}

/** Those that a completed request misses. */
export function missesOf(record: RequestRecord, objectives: Objectives): readonly ObjectiveName[] {
  const measured = { ttft: ttftOf(record), tpot: tpotOf(record), e2e: latencyOf(record) };
  return OBJECTIVE_NAMES.filter((name) => {
    const limit = objectives[name];
    const value = measured[name];
    return limit !== undefined && value !== undefined && value > limit;
  });
}

/** `within 200 ms to the first token and 50 ms per further token` */
export function objectivesText(objectives: Objectives): string {
  const parts = OBJECTIVE_NAMES.flatMap((name) => {
    const limit = objectives[name];
    return limit === undefined ? [] : [`${limit} ms ${WORDS[name]}`];
  });
  const last = parts.pop();
  return `within ${parts.length === 0 ? '' : `${parts.join(', ')} and `}${last}`;
}
