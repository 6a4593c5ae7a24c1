/** GET /api/version. Clients hold it against the release that brought what they need: so it is the one whose API is spoken here. */
import { type Static, Type } from 'typebox';
import type { QueryRoute } from '../query-route.ts';

/** Its answers are what this protocol was written by. */
const SPOKEN_RELEASE = '0.17.4';

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
    version: SPOKEN_RELEASE,
    server: { name: 'llm-serve', version },
  }),
};
