/** The embedded engine’s keys, defaults and making. */
import { Type } from 'typebox';
import { parseReference } from '../../models/reference.ts';
import { defineBackend } from '../backend-definition.ts';
import { LlamaCppBackend } from './backend.ts';
import { defaultEnginePath } from './engine-process.ts';

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
          'Whose chat template lays out messages. Unset: the catalogue’s where it has one, else the file’s.',
      }),
    ),
    cache_isolation: Type.Union([Type.Literal('shared'), Type.Literal('client')], {
      default: 'shared',
      description:
        'Whose prompts may be continued from what a slot has evaluated before: shared: anybody’s; client: only those of ' +
        'the same client address, so that how fast an answer begins tells nobody what others asked.',
    }),
    threads: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1024,
        description:
          'Threads that compute, at most. Unset: one per core that the process may use, a container’s CPU limit heeded. Never more.',
      }),
    ),
    flash_attention: Type.Boolean({
      default: true,
      description:
        'Computes attention without its large intermediate results, where the hardware can: up to half as long for many answers at once. Off gives the same arithmetic as llama.cpp without it.',
    }),
    gpu: Type.Union(
      [Type.Literal('auto'), Type.Literal('off'), Type.Integer({ minimum: 0, maximum: 100_000 })],
      {
        default: 'auto',
        description:
          'auto uses a GPU that the prebuilt engine supports, where there is one; a number puts so many layers on it, and is an error where there is none (0: off).',
      },
    ),
    step_timeout_ms: Type.Integer({
      minimum: 1000,
      maximum: 3_600_000,
      default: 60_000,
      description:
        'An engine that finishes no step for so long while it has work, or does not answer, is killed and restarted.',
    }),
    load_timeout_ms: Type.Integer({
      minimum: 1000,
      maximum: 86_400_000,
      default: 300_000,
      description: 'The same for an engine that makes no progress while it loads.',
    }),
  },
  defaultSlots: 4,
  embedded: true,
  cacheIsolation: ({ cache_isolation }) => cache_isolation,
  checkTarget: ({ model }) => void parseReference(model),
  create: (target, environment) =>
    new LlamaCppBackend(target, environment, { enginePath: defaultEnginePath() }),
});
