/** The clients on the embedded engine with its real model: every feature. */
import { endingAfterAll } from '../support/server.ts';
import { describeClients } from './client-suite.ts';
import { clients } from './clients.ts';
import { servedEmbedded } from './served-embedded.ts';

const endsWith = endingAfterAll();

describeClients({ backend: 'embedded', clients: clients(endsWith), start: () => servedEmbedded(endsWith) });
