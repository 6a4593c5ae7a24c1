import { scripted } from '../../src/backends/scripted/definition.ts';
import { ScriptedBackend } from '../../src/backends/scripted/scripted-backend.ts';
import { defaultsOf } from '../support/stand-ins/default-keys.ts';
import { realClock } from '../support/stand-ins/real-clock.ts';
import { describeBackend } from './backend-contract.ts';

describeBackend('scripted', {
  start: async () => ({
    backend: new ScriptedBackend(
      { ...defaultsOf(scripted), model: 'script', tokens: 64, token_delay_ms: 1 },
      realClock,
    ),
    model: 'script',
    stop: async () => {},
  }),
});
