/** GET /api/version. Clients hold it against the release that brought what they need: so it is the one whose API is spoken here. */

import { type Static, Type } from 'typebox';
import type { Protocol, QueryRoute } from '../protocol.ts';
import { ollamaErrors } from './answer.ts';
import { embeddingsRoute, embedRoute } from './embed.ts';
import { runningRoute, showRoute, tagsRoute } from './models.ts';
import { chatRoute, generateRoute } from './parse.ts';
import { pullRoute } from './pull.ts';

/** Its answers are what this protocol was written by. */
const API_RELEASE = '0.17.4';

const VersionAnswer = Type.Object({
  version: Type.String({ description: 'The release of Ollama whose API is spoken.' }),
  server: Type.Object({ name: Type.String(), version: Type.String() }, { description: 'Who speaks it.' }),
});

export const versionRoute: QueryRoute = {
  kind: 'query',
  method: 'GET',
  path: '/api/version',
  limited: false,
  describes: {
    summary: 'The version of Ollama’s API',
    description: 'GET /health tells the version of this server.',
    answers: { 'application/json': VersionAnswer },
  },
  answer: (_, { version }): Static<typeof VersionAnswer> => ({
    version: API_RELEASE,
    server: { name: 'llm-serve', version },
  }),
};

/** Ollama's API, for its clients. Null counts as absent, fields that nobody knows are no error, bodies need no content type. */

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
