/**
 * Runs real clients against the whole server: every feature of the matrix on every backend, but for those cells that the
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
  /** What each of its tests may take; default: as the suite says. */
  readonly timeoutMs?: number;
  readonly features: Partial<Record<FeatureId, (served: Served) => Promise<void>>>;
}

export interface ClientSuite {
  readonly backend: BackendId;
  readonly clients: readonly Client[];
  readonly start: () => Promise<Served>;
  /** Those that are tried; default: all. */
  readonly features?: readonly FeatureId[];
  readonly timeoutMs?: number;
}

/** These look at what the whole server does, so nobody else may ask it anything meanwhile. */
const ALONE: readonly FeatureId[] = ['abort', 'failure'];
/** At a server of its own. */
const ELSEWHERE: readonly FeatureId[] = ['retry'];

/** The clients ask side by side, each one thing after the other; their tests read the outcomes. What wants to be alone comes last. */
export function describeClients({
  backend,
  clients,
  start,
  features = FEATURES,
  timeoutMs = 180_000,
}: ClientSuite): void {
  const cellsOf = (client: Client): readonly FeatureId[] =>
    features.filter((feature) => reasonAgainst({ client: client.id, feature, backend }) === undefined);
  describe(`clients on ${MATRIX.backends[backend]}`, () => {
    let served: Served;
    const outcomes = new Map<Client, ReadonlyMap<FeatureId, Promise<void>>>();
    beforeAll(async () => {
      served = await start();
      for (const client of clients.filter(({ missing }) => missing === undefined))
        outcomes.set(client, begin(client, cellsOf(client), served));
    });
    const everybodyElse = () =>
      Promise.allSettled([...outcomes.values()].flatMap((ofClient) => [...ofClient.values()]));

    const testOf = (client: Client, feature: FeatureId) =>
      test(`${feature}: ${MATRIX.features[feature]}`, {
        timeout: client.timeoutMs ?? timeoutMs,
      }, async (context) => {
        if (client.missing !== undefined) context.skip(client.missing);
        const run = client.features[feature];
        expect(run, 'the matrix has this cell, and no test is there for it').toBeDefined();
        // One that is tried again asks again.
        const isFirstTry = (context.task.result?.retryCount ?? 0) === 0;
        if (!ALONE.includes(feature) && isFirstTry) return outcomes.get(client)?.get(feature);
        if (ALONE.includes(feature)) await everybodyElse();
        await run?.(served);
      });

    for (const client of clients) {
      const beside = cellsOf(client).filter((cell) => !ALONE.includes(cell));
      if (beside.length === 0) continue;
      describe(MATRIX.clients[client.id].name, () => {
        for (const feature of beside) testOf(client, feature);
      });
    }
    for (const client of clients) {
      const alone = cellsOf(client).filter((cell) => ALONE.includes(cell));
      if (alone.length === 0) continue;
      describe(`${MATRIX.clients[client.id].name}, alone`, () => {
        for (const feature of alone) testOf(client, feature);
      });
    }
  });
}

function begin(
  client: Client,
  cells: readonly FeatureId[],
  served: Served,
): ReadonlyMap<FeatureId, Promise<void>> {
  const begun = new Map<FeatureId, Promise<void>>();
  let before: Promise<unknown> = Promise.resolve();
  for (const feature of cells.filter((cell) => !ALONE.includes(cell))) {
    const run = client.features[feature];
    if (run === undefined) continue;
    const outcome = ELSEWHERE.includes(feature) ? run(served) : before.then(() => run(served));
    // Who fails is told when its test comes.
    const ended = outcome.catch(() => {});
    if (!ELSEWHERE.includes(feature)) before = ended;
    begun.set(feature, outcome);
  }
  return begun;
}
