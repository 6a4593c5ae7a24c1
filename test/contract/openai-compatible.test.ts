import { OpenAiCompatibleBackend } from '../../src/backends/openai-compatible/backend.ts';
import { silentLog } from '../../src/core/log.ts';
import { systemClock } from '../../src/system-clock.ts';
import { startOpenAiStandIn } from '../support/stand-ins/openai-stand-in.ts';
import { type ContractOptions, describeBackend, skipAll } from './backend-contract.ts';

const SKIPPED: Readonly<Record<'vllm' | 'llama-server' | 'generic', ContractOptions['skip'] & object>> = {
  vllm: {},
  'llama-server': skipAll(['regex', 'choice', 'stop-tokens', 'bad-words'], 'llama-server has none'),
  generic: {
    ...skipAll(
      ['grammar', 'regex', 'choice', 'stop-tokens', 'bad-words', 'continuation'],
      'the OpenAI API has no field for it',
    ),
    ...skipAll(['logit-bias', 'token-prompt'], 'the OpenAI API tells no token by its number'),
    tokenizer: 'the OpenAI API has no such routes',
  },
};

for (const server of ['vllm', 'llama-server', 'generic'] as const) {
  describeBackend(`openai-compatible, a stand-in for ${server}`, {
    start: async () => {
      const standIn = await startOpenAiStandIn({ server, tokenDelayMs: 1, chopBytes: 100 });
      const target = {
        model: standIn.model,
        url: `${standIn.url}/v1`,
        flavor: 'auto' as const,
        connect_timeout_ms: 30_000,
      };
      const backend = new OpenAiCompatibleBackend(target, { clock: systemClock, log: silentLog });
      return { backend, model: standIn.model, stop: () => standIn.close() };
    },
    skip: SKIPPED[server],
  });
}
