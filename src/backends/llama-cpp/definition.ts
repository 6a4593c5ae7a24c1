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
    threads: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1024, description: 'Threads that compute. Unset: one per core.' }),
    ),
    gpu: Type.Union([Type.Literal('auto'), Type.Literal('off')], {
      default: 'auto',
      description: 'auto uses a GPU that the prebuilt engine supports, where there is one.',
    }),
  },
  defaultSlots: 4,
  embedded: true,
  checkTarget: ({ model }) => void parseReference(model),
  create: (target, environment) =>
    new LlamaCppBackend(target, environment, { enginePath: defaultEnginePath() }),
});
