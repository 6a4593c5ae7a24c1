/** The Ollama backend's keys and defaults. */
import { Type } from 'typebox';
import { URL_PATTERN, URL_RULE } from '../../upstream/upstream.ts';
import { defineBackend } from '../backend-definition.ts';
import { OllamaBackend } from './ollama-backend.ts';

export const ollama = defineBackend({
  name: 'ollama',
  summary: 'A model that an Ollama server serves, over its native API.',
  keys: {
    url: Type.String({
      pattern: URL_PATTERN,
      title: URL_RULE,
      default: 'http://127.0.0.1:11434',
      description: 'Where the server is.',
    }),
    context_size: Type.Optional(
      Type.Integer({
        minimum: 16,
        description:
          'Tokens per slot, sent as num_ctx. Unset: the server decides. Others who use the same model on that server with another context have it loaded anew.',
      }),
    ),
    keep_alive: Type.Union(
      [Type.Integer(), Type.String({ pattern: '^-?([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$' })],
      {
        default: -1,
        description:
          'How long the model stays loaded when idle: seconds, or a duration such as 10m; negative: for good.',
      },
    ),
  },
  defaultSlots: 4,
  embedded: false,
  create: (target, environment) => {
    const { model, slots } = target;
    // The server does not tell how many it runs at once; what it has no room for waits there, out of our sight.
    environment.log.info(
      `slots should equal OLLAMA_NUM_PARALLEL of the Ollama server: set it to ${slots} there (its default is 1), or change slots`,
      { model, slots },
    );
    return new OllamaBackend(target, environment);
  },
});
