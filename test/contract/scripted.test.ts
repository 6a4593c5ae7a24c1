import { scripted } from '../../src/backends/scripted/definition.ts';
import { ScriptedBackend } from '../../src/backends/scripted/scripted-backend.ts';
import { systemClock } from '../../src/system-clock.ts';
import { defaultsOf } from '../support/stand-ins/default-keys.ts';
import { describeBackend } from './backend-contract.ts';

describeBackend('scripted', {
  start: async () => ({
    backend: new ScriptedBackend(
      { ...defaultsOf(scripted), model: 'script', tokens: 64, token_delay_ms: 1 },
      systemClock,
    ),
    model: 'script',
    stop: async () => {},
  }),
});
