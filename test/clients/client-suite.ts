/**
 * Runs real clients against the real executable: every feature of the matrix on every backend, but for those cells that the
 * matrix says no to. A cell without a test, or with one beside its "no", is a failure of its own.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { type BackendId, type ClientId, FEATURES, type FeatureId, MATRIX, reasonAgainst } from './matrix.ts';

/** A server in front of one backend, and what tests have to know of it. */
export interface Served {
  readonly backend: BackendId;
  readonly url: string;
  /** Generates, and calls tools. */
  readonly model: string;
  /** Thinks before it answers; absent where the backend has none in tests. */
  readonly thinker?: string;
  /** Makes embeddings of this length. */
  readonly embedder: string;
  readonly dimensions: number;
  /** Whether the model calls tools by itself when it is told of them, or has to be made to. */
  readonly callsByItself: boolean;
  /** A second server over the same backend that admits one request a second for each X-Forwarded-For. */
  readonly limitedUrl: string;
  /** Makes the backend fail in the middle of its next answers; undefined where that can't be arranged. */
  readonly failMidStream?: () => Promise<() => Promise<void>>;
  slotsUsed(): Promise<number>;
  /** Runs at `limitedUrl` while the queue of a model of the client's own is full, until it was refused once; `run` takes the model's name. */
  whileBusy(client: ClientId, run: (model: string) => Promise<void>): Promise<void>;
  /** How many clients left before their answer was complete. */
  cancelled(): Promise<number>;
}

export interface Client {
  readonly id: ClientId;
  /** Why it cannot be tested on this machine; its tests are skipped, and say so. */
  readonly missing?: string;
  readonly features: Partial<Record<FeatureId, (served: Served) => Promise<void>>>;
}

export interface ClientSuite {
  readonly backend: BackendId;
  readonly clients: readonly Client[];
  readonly start: () => Promise<Served>;
  readonly timeoutMs?: number;
}

/** These wait for a second and do little else: all clients begin them at the start, and their tests read the outcome. */
const WAITING: readonly FeatureId[] = ['retry'];

export function describeClients({ backend, clients, start, timeoutMs = 20_000 }: ClientSuite): void {
  const isCell = (client: Client, feature: FeatureId) =>
    reasonAgainst({ client: client.id, feature, backend }) === undefined;
  describe(`clients on ${MATRIX.backends[backend]}`, () => {
    let served: Served;
    const begun = new Map<Client, ReadonlyMap<FeatureId, Promise<void>>>();
    beforeAll(async () => {
      served = await start();
      for (const client of clients)
        begun.set(
          client,
          begin(
            client,
            WAITING.filter((feature) => isCell(client, feature)),
            served,
          ),
        );
    }, 120_000);

    for (const client of clients) {
      describe(MATRIX.clients[client.id].name, () => {
        for (const feature of FEATURES.filter((feature) => isCell(client, feature))) {
          const run = client.features[feature];
          test(`${feature}: ${MATRIX.features[feature]}`, { timeout: timeoutMs }, async (context) => {
            if (client.missing !== undefined) context.skip(client.missing);
            expect(run, 'the matrix has this cell, and no test is there for it').toBeDefined();
            await (begun.get(client)?.get(feature) ?? run?.(served));
          });
        }
      });
    }
  });
}

function begin(
  client: Client,
  features: readonly FeatureId[],
  served: Served,
): ReadonlyMap<FeatureId, Promise<void>> {
  const begun = new Map<FeatureId, Promise<void>>();
  for (const feature of features) {
    const outcome = client.features[feature]?.(served);
    if (outcome === undefined) continue;
    // Who fails is told when its test comes.
    outcome.catch(() => {});
    begun.set(feature, outcome);
  }
  return begun;
}
