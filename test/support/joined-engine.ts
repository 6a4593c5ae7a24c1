/** An engine that one process runs and others use, as with several workers; here all of them are backends of the test's process. */
import { EngineDirectory, type EngineNotice } from '../../src/backends/engine-sharing.ts';
import { defaultEnginePath } from '../../src/backends/llama-cpp/engine-process.ts';
import type { LlamaCppTarget } from '../../src/backends/llama-cpp/engine-source.ts';
import type { EngineToWorker } from '../../src/workers/engine-messages.ts';
import { HeardEngines } from '../../src/workers/heard-engines.ts';
import { ToldEngines } from '../../src/workers/told-engines.ts';
import { createEngine, type TestEngine } from './embedded-engine.ts';

interface JoinedEngine {
  /** Not warmed up yet. */
  readonly owner: TestEngine;
  /** One more that uses the engine. */
  join(): TestEngine;
  /** Where the engine listens now; undefined: it is not ready. */
  readonly address: string | undefined;
  /** All of them, and the engine. */
  close(): Promise<void>;
}

export function joinedEngine(
  overrides: Partial<LlamaCppTarget> = {},
  enginePath: string = defaultEnginePath(),
): JoinedEngine {
  const directory = new EngineDirectory();
  const told = new ToldEngines();
  let last: EngineNotice | null = null;
  told.attach(({ notice }) => {
    last = notice;
  });
  const owner = createEngine(overrides, enginePath, {
    mode: 'owns',
    directory,
    announce: (engine) => told.announce(engine),
  });
  const all = [owner];
  return {
    owner,
    close: async () => {
      await Promise.all(all.map(({ backend }) => backend.close()));
      directory.remove();
    },
    get address() {
      return (last as { readonly address?: string } | null)?.address;
    },
    join: () => {
      const heard = new HeardEngines();
      told.attach((message) => heard.hear(JSON.parse(JSON.stringify(message)) as EngineToWorker));
      const guest = createEngine(overrides, enginePath, {
        mode: 'joins',
        watch: (engine, listener) => heard.watch(engine, listener),
      });
      all.push(guest);
      return guest;
    },
  };
}
