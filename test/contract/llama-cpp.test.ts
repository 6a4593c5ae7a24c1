import { DEFAULT_MODEL, embeddedEngine, never } from '../support/embedded-engine.ts';
import { joinedEngine } from '../support/joined-engine.ts';
import { tinyModelFile } from '../support/tiny-model-file.ts';
import { describeBackend, EMBEDDING, GENERATING, skipAll } from './backend-contract.ts';

describeBackend('llama-cpp, the real embedded engine', {
  start: async () => {
    const { backend } = embeddedEngine();
    await backend.warmUp({ signal: never() });
    return { backend, model: DEFAULT_MODEL, stop: async () => {} };
  },
  skip: skipAll(EMBEDDING, 'the model generates'),
});

describeBackend('llama-cpp, the real embedded engine with a model that embeds', {
  start: async () => {
    const { backend } = embeddedEngine({ model: (await tinyModelFile()).path });
    await backend.warmUp({ signal: never() });
    return { backend, model: 'tiny', stop: async () => {} };
  },
  skip: skipAll(GENERATING, 'the model only embeds'),
});

describeBackend('llama-cpp over a socket, the engine of another process', {
  start: async () => {
    const { owner, join, close } = joinedEngine();
    await owner.backend.warmUp({ signal: never() });
    const { backend } = join();
    await backend.warmUp({ signal: never() });
    return { backend, model: DEFAULT_MODEL, stop: close };
  },
  skip: skipAll(EMBEDDING, 'the model generates'),
});

describeBackend('llama-cpp over a socket, with a model that embeds', {
  start: async () => {
    const { owner, join, close } = joinedEngine({ model: (await tinyModelFile()).path });
    await owner.backend.warmUp({ signal: never() });
    const { backend } = join();
    await backend.warmUp({ signal: never() });
    return { backend, model: 'tiny', stop: close };
  },
  skip: skipAll(GENERATING, 'the model only embeds'),
});
