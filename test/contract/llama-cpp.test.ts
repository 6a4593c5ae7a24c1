import { DEFAULT_MODEL, embeddedEngine, never } from '../support/embedded-engine.ts';
import { describeBackend, textAlone } from './backend-contract.ts';

describeBackend('llama-cpp, the real embedded engine', {
  start: async () => {
    const { backend } = embeddedEngine();
    await backend.warmUp({ signal: never() });
    return { backend, model: DEFAULT_MODEL, stop: async () => {} };
  },
  skip: textAlone('comes with the engine'),
});
