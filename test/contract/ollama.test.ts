import { OllamaBackend } from '../../src/backends/ollama/backend.ts';
import { systemClock } from '../../src/system-clock.ts';
import { startOllamaStandIn } from '../support/stand-ins/ollama-stand-in.ts';
import { describeBackend, EMBEDDING, skipAll } from './backend-contract.ts';

for (const release of ['0.32.15', '0.17.4', '0.6.5'] as const) {
  describeBackend(`ollama, a stand-in for release ${release}`, {
    start: async () => {
      const standIn = await startOllamaStandIn({
        tokenDelayMs: 1,
        chopBytes: 50,
        callsTools: true,
        release,
      });
      const target = {
        model: standIn.model,
        url: standIn.url,
        keep_alive: -1,
        connect_timeout_ms: 30_000,
        context_size: 1024,
      };
      return {
        backend: new OllamaBackend(target, { clock: systemClock }),
        model: standIn.model,
        stop: () => standIn.close(),
      };
    },
    skip: {
      ...skipAll(
        ['grammar', 'regex', 'choice', 'stop-tokens', 'bad-words', 'token-prompt', 'logit-bias'],
        'Ollama has none',
      ),
      continuation: 'whether Ollama continues a message is for each model’s template to say',
      tools: 'Ollama cannot be told that a call is required',
      ...(release === '0.32.15' && skipAll(EMBEDDING, 'a model that generates embeds no more')),
      ...(release === '0.6.5' && { logprobs: 'releases before 0.12.11 have none' }),
    },
  });
}
