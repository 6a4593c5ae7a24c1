/** The native API: strict bodies, our own names. */
import type { Protocol } from '../protocol.ts';
import { embedRoute } from './embed.ts';
import { nativeErrors } from './render.ts';
import { generateRoute, streamRoute } from './routes.ts';

export const native: Protocol = {
  name: 'native',
  routes: [generateRoute, streamRoute, embedRoute],
  pathPrefixes: ['/'],
  bodyLimit: 'text',
  contentTypes: 'json',
  errors: nativeErrors,
};
