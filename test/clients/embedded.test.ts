/**
 * The clients on the embedded engine with its real model. The engine's part in the other features is that of any backend,
 * and `npm run test:long` tries them too.
 */
import { endingAfterAll } from '../support/server.ts';
import { describeClients } from './client-suite.ts';
import { clients } from './clients.ts';
import { servedEmbedded } from './served-embedded.ts';

const endsWith = endingAfterAll();

describeClients({
  backend: 'embedded',
  clients: clients(endsWith),
  features: ['chat', 'stream', 'tools', 'abort'],
  start: () => servedEmbedded(endsWith),
});
