/**
 * The servers of a file whose tests need many configurations, one after another: each starts a little before its first
 * test, while others run, and ends after its last.
 */
import { afterAll } from 'vitest';
import { type Executable, startServer } from './executable.ts';

export interface ServerPool {
  /** By its name. Tests come in the order of the names. */
  take(name: string): Promise<Executable>;
}

/** A start takes as long as many tests, and a second core has nothing else to do. */
const STARTED_AHEAD = 2;

interface Pooled {
  readonly server: Promise<Executable>;
  end(): Promise<void>;
}

/** Name → flags, in the order in which tests need them. To be called where tests are collected. */
export function serverPool(flagsByName: ReadonlyMap<string, readonly string[]>): ServerPool {
  const inOrder = [...flagsByName];
  const running = new Map<string, Pooled>();
  afterAll(async () => {
    await Promise.all([...running.values()].map(({ end }) => end()));
  });
  return {
    take: (name) => {
      const position = inOrder.findIndex(([known]) => known === name);
      for (const [earlier] of inOrder.slice(0, position)) void running.get(earlier)?.end();
      for (const [due, flags] of inOrder.slice(position, position + 1 + STARTED_AHEAD))
        if (!running.has(due)) running.set(due, pooled(flags));
      const taken = running.get(name);
      if (taken === undefined) throw new Error(`no server is called ${name}`);
      return taken.server;
    },
  };
}

function pooled(flags: readonly string[]): Pooled {
  const ends: (() => Promise<void>)[] = [];
  const server = startServer({ flags, endsWith: (end) => ends.push(end) });
  // Whoever takes it is told.
  server.catch(() => {});
  return {
    server,
    end: async () => {
      await Promise.all(ends.map((end) => end()));
    },
  };
}
