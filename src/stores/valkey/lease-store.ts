/** The lease store in Valkey or Redis, as its scripts keep it. This class puts claims into arguments and answers into grants. */
import type { LeaseStore, Renewal, SlotGrant } from '../../leases/lease-store.ts';
import type { ScriptRunner } from './connection.ts';
import { LEASE_SCRIPTS } from './lease-script.ts';

/** Of each target, in an answer. */
const FIELDS = 8;

export class ValkeyLeases implements LeaseStore {
  readonly #runner: ScriptRunner;
  readonly #prefix: string;

  constructor({ runner, prefix }: { readonly runner: ScriptRunner; readonly prefix: string }) {
    this.#runner = runner;
    // All of a cluster's keys at one node, so that one script may name several.
    this.#prefix = `{${prefix}}:slots:`;
  }

  async renew({ replica, sequence, leaseMs, claims }: Renewal): Promise<readonly SlotGrant[] | undefined> {
    const args = [replica, String(sequence), String(Math.round(leaseMs * 1000))];
    for (const { slots, keeps, used, needs, spare, token, isAlone } of claims)
      args.push(...[slots, keeps, used, needs, spare, token, isAlone ? 1 : 0].map(String));
    const keys = claims.map(({ target }) => this.#prefix + target);
    const answer = (await this.#runner.run(LEASE_SCRIPTS.renew, keys, args)) as readonly number[];
    if (answer.length < claims.length * FIELDS) return undefined;
    return claims.map((_, index) => grantOf(answer.slice(index * FIELDS, (index + 1) * FIELDS)));
  }

  async leave(replica: string, targets: readonly string[]): Promise<void> {
    const keys = targets.map((target) => this.#prefix + target);
    if (keys.length > 0) await this.#runner.run(LEASE_SCRIPTS.leave, keys, [replica]);
  }

  close(): Promise<void> {
    return this.#runner.close();
  }
}

function grantOf(answer: readonly number[]): SlotGrant {
  const [block = 0, share = 0, token = 0, replicas = 0, rank = 0, slots = 0, usedByAll = 0, recovering] =
    answer;
  return { block, share, token, replicas, rank, slots, usedByAll, isRecovering: recovering === 1 };
}
