/** Servers in processes of their own that divide the slots of one counted target by leases in a real Valkey or Redis. */
import { type Executable, startExecutable } from './executable.ts';
import { metric } from './http-client.ts';
import type { EndsWith } from './server.ts';

export const SLOTS = 8;

export interface Replica extends Executable {
  /** What the target knows it by. */
  readonly name: string;
  /** Keeps so many requests waiting or running, each of which takes so long, until `stopAsking`. */
  ask(count: number, forMs: number): void;
  stopAsking(): Promise<void>;
  /** Slots that it may give now, and by what right. */
  leased(): Promise<LeasedSlots>;
  /** Of all the slots that it gave: those that it was not allowed to. */
  overAdmissions(): Promise<number>;
}

interface LeasedSlots {
  readonly slots: number;
  readonly basis: string;
  readonly even_share: number | null;
}

interface ReplicaOptions {
  readonly name: string;
  readonly upstream: string;
  readonly store: string;
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly endsWith: EndsWith;
}

export async function startReplica(options: ReplicaOptions): Promise<Replica> {
  const { name, upstream, store, flags = [], environment = {}, endsWith } = options;
  const server = await startExecutable({
    endsWith,
    environment,
    flags: ['--leases.store', store, '--scheduler.queue-timeout-ms', '120000', ...flags],
    configFile: `
models:
  - id: m
    targets:
      - { backend: openai-compatible, url: "${upstream}", model: m, slots: ${SLOTS}, api_key: ${name} }
retry: { attempts: 1 }
`,
  });
  let wanted = 0;
  let loops: Promise<void>[] = [];
  const one = async (forMs: number, index: number) => {
    while (index < wanted) {
      const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: `take ${forMs} ms` }] });
      const headers = { 'content-type': 'application/json' };
      await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers, body })
        .then((answer) => answer.text())
        // It may have been killed.
        .catch(() => new Promise((resolve) => setTimeout(resolve, 20)));
    }
  };
  const stopAsking = async () => {
    wanted = 0;
    await Promise.all(loops);
    loops = [];
  };
  endsWith(async () => {
    wanted = 0;
  });
  return {
    ...server,
    name,
    ask: (count, forMs) => {
      wanted = count;
      loops = Array.from({ length: count }, (_, index) => one(forMs, index));
    },
    stopAsking,
    leased: async () => {
      const answer = await fetch(`${server.url}/ready`);
      const { slot_leases } = (await answer.json()) as { slot_leases?: { targets: LeasedSlots[] } };
      return slot_leases?.targets[0] ?? { slots: 0, basis: 'none', even_share: null };
    },
    overAdmissions: () => metric(server, 'llm_serve_slot_lease_over_admissions_total'),
  };
}
