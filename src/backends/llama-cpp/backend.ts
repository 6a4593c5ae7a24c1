/** The embedded engine in the configuration: its keys, and where the engine of a target is had from. */
import { Type } from 'typebox';
import { findModel } from '../../models/catalog.ts';
import { parseReference } from '../../models/names.ts';
import { type BackendEnvironment, defineBackend } from '../backend-definition.ts';
import { LlamaCppBackend } from './engine-backend.ts';
import { defaultEnginePath } from './engine-process.ts';
import { engineNameOf, type LlamaCppTarget } from './engine-source.ts';
import { JoinedEngine } from './joined-engine.ts';
import { OwnedEngine } from './owned-engine.ts';

export const llamaCpp = defineBackend({
  name: 'llama-cpp',
  summary:
    'llama.cpp in a process of its own: a model of the catalogue, hf:owner/repo/file.gguf, an https address, or the path of a GGUF file.',
  keys: {
    context_size: Type.Integer({
      minimum: 16,
      default: 2048,
      description: 'Tokens per slot, prompt and answer together.',
    }),
    chat_template: Type.Optional(
      Type.Union([Type.Literal('file'), Type.Literal('catalogue')], {
        description:
          'Which chat template lays out messages. Unset: the catalogue’s if it has one, otherwise the file’s.',
      }),
    ),
    cache_isolation: Type.Optional(
      Type.Union([Type.Literal('shared'), Type.Literal('client')], {
        description:
          'Which requests may reuse a prompt prefix that a slot has cached. shared: all; client: only those of the key, or of the ' +
          'address without one, that the prefix came from, so that response times reveal nothing about the prompts of others. ' +
          'Unset: client as soon as there is more than one key, else shared.',
      }),
    ),
    threads: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1024,
        description:
          'Maximum number of compute threads. Unset: one per core that the process may use, within a container’s CPU limit, which is also the upper bound.',
      }),
    ),
    flash_attention: Type.Boolean({
      default: true,
      description:
        'Flash attention, where the hardware supports it: many answers at once then take as little as half the time. Off: the same arithmetic as llama.cpp without flash attention.',
    }),
    gpu: Type.Union(
      [Type.Literal('auto'), Type.Literal('off'), Type.Integer({ minimum: 0, maximum: 100_000 })],
      {
        default: 'auto',
        description:
          'auto: use a GPU that the prebuilt engine supports, if there is one. A number: put that many layers on the GPU; an error if there is none (0: off).',
      },
    ),
    step_timeout_ms: Type.Integer({
      minimum: 1000,
      maximum: 3_600_000,
      default: 60_000,
      description:
        'An engine that has work but finishes no step for this long, or does not answer, is killed and restarted.',
    }),
    load_timeout_ms: Type.Integer({
      minimum: 1000,
      maximum: 86_400_000,
      default: 300_000,
      description: 'The same limit for an engine that makes no progress while it loads.',
    }),
  },
  defaultSlots: 4,
  embedded: true,
  cacheIsolation: ({ cache_isolation }) => cache_isolation ?? 'by_keys',
  checkTarget: ({ model }) => void parseReference(model),
  purpose: ({ model }) => {
    const known = findModel(model);
    if (known === undefined) return undefined;
    return known.abilities.includes('embeddings') ? 'embed' : 'generate';
  },
  create: (target, environment) => createLlamaCpp(target, environment, defaultEnginePath()),
});

/** `enginePath`: the entry of the engine's process, where this process runs it. */
export function createLlamaCpp(
  target: LlamaCppTarget,
  environment: BackendEnvironment,
  enginePath: string,
): LlamaCppBackend {
  const { clock, log, engines } = environment;
  const engine =
    engines?.mode === 'joins'
      ? new JoinedEngine({
          clock,
          log,
          contextSize: target.context_size,
          watch: (listener) => engines.watch(engineNameOf(target), listener),
        })
      : new OwnedEngine(target, environment, enginePath);
  return new LlamaCppBackend({ model: target.model, engine, clock });
}
