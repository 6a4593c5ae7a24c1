import { ScriptedBackend, scripted } from '../../src/backends/scripted/backend.ts';
import { systemClock } from '../../src/system-clock.ts';
import { defaultsOf } from '../support/stand-ins/default-keys.ts';
import { describeBackend, skipAll } from './backend-contract.ts';

describeBackend('scripted', {
  start: async () => ({
    backend: new ScriptedBackend(
      {
        ...defaultsOf(scripted),
        model: 'script',
        tokens: 64,
        token_delay_ms: 1,
        tool_calls: [
          { name: 'get_weather', arguments: { city: 'Paris' } },
          { name: 'clock', arguments: {} },
        ],
      },
      systemClock,
    ),
    model: 'script',
    stop: async () => {},
  }),
  skip: {
    json: 'its words are those of the prompt',
    'json-schema': 'its words are those of the prompt',
    ...skipAll(['regex', 'choice'], 'its words are those of the prompt'),
    grammar: 'it has no grammar',
    ...skipAll(['stop-tokens', 'bad-words', 'token-prompt', 'logit-bias'], 'its words have no ids'),
  },
});
