/** Whether recorded decisions about one window were exact, by the store's own clock; and processes that make such records. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Charge } from '../../src/limits/limit-store.ts';
import type { EndsWith } from './server.ts';

/** 1 or 0, and the time of the decision in µs. */
export type DecisionRecord = readonly [isAdmitted: number, atUs: number];

export interface Exactness {
  readonly decisions: number;
  readonly admitted: number;
  /** Admissions that were more than `limit` in the window that ends with them. */
  readonly tooMany: number;
  /** Refusals while fewer than `limit` had been admitted in the window that ended then. */
  readonly tooFew: number;
}

export function exactnessOf(
  records: readonly DecisionRecord[],
  { limit, windowMs }: { readonly limit: number; readonly windowMs: number },
): Exactness {
  const windowUs = windowMs * 1000;
  const admissions = records
    .filter(([isAdmitted]) => isAdmitted === 1)
    .map(([, at]) => at)
    .sort((one, other) => one - other);
  /** Admissions at or before `at`. */
  const upTo = (at: number): number => {
    let low = 0;
    let high = admissions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((admissions[middle] ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const within = (at: number) => upTo(at) - upTo(at - windowUs);
  return {
    decisions: records.length,
    admitted: admissions.length,
    tooMany: admissions.filter((at) => within(at) > limit).length,
    tooFew: records.filter(([isAdmitted, at]) => isAdmitted === 0 && within(at) < limit).length,
  };
}

interface HammerOptions {
  readonly address: string;
  readonly charge: Charge;
  readonly processes: number;
  /** Of each process. */
  readonly decisions: number;
  readonly atOnce: number;
  /** A fault that is put into the script. */
  readonly replaced?: { readonly text: string; readonly by: string };
  readonly endsWith: EndsWith;
}

/** Several processes ask at the same time, each as fast as it can. */
export async function hammer({ processes, endsWith, ...rest }: HammerOptions): Promise<DecisionRecord[]> {
  const children = Array.from({ length: processes }, (_, index) =>
    fork(fileURLToPath(new URL('limit-hammer.mjs', import.meta.url)), [
      JSON.stringify({ ...rest, replica: `process-${index}` }),
    ]),
  );
  endsWith(async () => {
    for (const child of children) child.kill('SIGKILL');
  });
  await Promise.all(children.map((child) => nextMessage(child)));
  const records = children.map((child) => nextMessage(child) as Promise<DecisionRecord[]>);
  for (const child of children) child.send('begin');
  return (await Promise.all(records)).flat();
}

function nextMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`the process ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message);
    });
  });
}
