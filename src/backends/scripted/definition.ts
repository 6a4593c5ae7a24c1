/** The scripted backend's keys and defaults. */
import { Type } from 'typebox';
import { defineBackend } from '../backend-definition.ts';
import { scriptKeys } from './script.ts';
import { ScriptedBackend } from './scripted-backend.ts';

export const scripted = defineBackend({
  name: 'scripted',
  summary:
    'Plays a script instead of a model: deterministic words, delays and failures, for tests and benchmarks.',
  keys: {
    ...scriptKeys,
    context_size: Type.Integer({
      minimum: 2,
      default: 4096,
      description: 'Words that prompt and answer may have.',
    }),
    load_ms: Type.Integer({
      minimum: 0,
      default: 0,
      description: 'How long loading takes; 0: loaded from the start.',
    }),
    state: Type.Union(
      [
        Type.Literal('ready'),
        Type.Literal('loading'),
        Type.Literal('unloaded'),
        Type.Literal('unreachable'),
        Type.Literal('not_found'),
        Type.Literal('failed'),
      ],
      { default: 'ready', description: 'The state that a probe finds once it is loaded.' },
    ),
  },
  defaultSlots: 4,
  embedded: false,
  create: (target, environment) => new ScriptedBackend(target, environment.clock),
});
