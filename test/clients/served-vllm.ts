/** The real server over stand-ins for vLLM. */
import { startOpenAiStandIn } from '../support/stand-ins/openai-stand-in.ts';
import { vectorOf } from '../support/stand-ins/stand-in-model.ts';
import type { Served } from './client-suite.ts';
import { AGENT_IDS, agentModel, agentTurns } from './coding-agents.ts';
import { type EndsWith, serve } from './served.ts';

export async function servedVllm(endsWith: EndsWith): Promise<Served> {
  const [model, thinker, spare] = await Promise.all([
    startOpenAiStandIn({ tokenDelayMs: 2 }),
    startOpenAiStandIn({ reasoningField: 'reasoning' }),
    startOpenAiStandIn(),
  ]);
  const agents = await Promise.all(
    AGENT_IDS.map((id) =>
      startOpenAiStandIn({ contextSize: 100_000, turns: agentTurns(id), wantsPlainTurns: true }),
    ),
  );
  for (const standIn of [model, thinker, spare, ...agents]) endsWith(() => standIn.close());
  const entry = (id: string, { url, model }: { readonly url: string; readonly model: string }) => ({
    id,
    targets: [{ backend: 'vllm', url, model }],
  });
  const served = await serve(
    {
      all: [
        entry('talker', model),
        entry('thinker', thinker),
        entry('embedder', spare),
        ...AGENT_IDS.flatMap((id, index) => {
          const standIn = agents[index];
          return standIn === undefined ? [] : [entry(agentModel(id), standIn)];
        }),
      ],
      limited: [entry('talker', spare)],
    },
    { endsWith },
  );
  return {
    ...served,
    backend: 'vllm',
    model: 'talker',
    thinker: 'thinker',
    embedder: 'embedder',
    dimensions: vectorOf('').length,
    callsByItself: true,
    failMidStream: async () => {
      await model.setFault('error-mid-stream');
      return () => model.setFault('none');
    },
  };
}
