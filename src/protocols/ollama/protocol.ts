/** Ollama's API, for its clients. Null counts as absent, fields that nobody knows are no error, bodies need no content type. */
import type { Protocol } from '../protocol.ts';
import { chatRoute } from './chat.ts';
import { embeddingsRoute, embedRoute } from './embed.ts';
import { ollamaErrors } from './errors.ts';
import { generateRoute } from './generate.ts';
import { runningRoute, tagsRoute } from './model-list.ts';
import { pullRoute } from './pull.ts';
import { showRoute } from './show.ts';
import { versionRoute } from './version.ts';

export const ollama: Protocol = {
  name: 'ollama',
  routes: [
    generateRoute,
    chatRoute,
    embedRoute,
    embeddingsRoute,
    tagsRoute,
    runningRoute,
    showRoute,
    pullRoute,
    versionRoute,
  ],
  pathPrefixes: ['/api/'],
  bodyLimit: 'media',
  contentTypes: 'any',
  errors: ollamaErrors,
};
