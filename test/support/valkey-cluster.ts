/** A cluster of three real Valkey or Redis servers, and a fourth that replicates the one that has our keys. */
import { expect } from 'vitest';
import type { EndsWith } from './server.ts';
import { startValkey, type TestValkey } from './valkey.ts';

export interface TestCluster {
  /** What `limits.store` or `leases.store` is to be. */
  readonly address: string;
  /** Has all keys under the usual prefix. */
  readonly owner: TestValkey;
  /** Takes over from it. */
  readonly replica: TestValkey;
}

const HASH_SLOTS = 16_384;

export async function startValkeyCluster(endsWith: EndsWith): Promise<TestCluster> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000'];
  const start = () => startValkey({ args, hasPort: true, endsWith });
  const [first, second, third, replica] = [await start(), await start(), await start(), await start()];
  const nodes = [first, second, third];
  const slots = Array.from({ length: HASH_SLOTS }, (_, slot) => String(slot));
  const share = Math.ceil(HASH_SLOTS / nodes.length);
  for (const [index, node] of nodes.entries())
    await node.command('CLUSTER', 'ADDSLOTS', ...slots.slice(index * share, (index + 1) * share));
  for (const node of [second, third, replica])
    await first.command('CLUSTER', 'MEET', '127.0.0.1', String(node.port));
  for (const node of [...nodes, replica])
    await expect
      .poll(() => node.command('CLUSTER', 'INFO'))
      .toMatch(/cluster_state:ok[\s\S]*cluster_known_nodes:4/);
  const slot = Number(/\d+/.exec(await replica.command('CLUSTER', 'KEYSLOT', '{llm-serve}:'))?.[0]);
  const owner = nodes[Math.floor(slot / share)] as TestValkey;
  const ownerId = /[0-9a-f]{40}/.exec(await owner.command('CLUSTER', 'MYID'))?.[0] ?? '';
  await replica.command('CLUSTER', 'REPLICATE', ownerId);
  await expect.poll(() => replica.command('INFO', 'replication')).toContain('master_link_status:up');
  const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return { address: `valkey+cluster://${hosts}`, owner, replica };
}
