/** The clients on stand-ins for Ollama and vLLM. */
import { endingAfterAll } from '../support/server.ts';
import { describeClients } from './client-suite.ts';
import { clients } from './clients.ts';
import { servedOllama } from './served-ollama.ts';
import { servedVllm } from './served-vllm.ts';

const endsWith = endingAfterAll();
const all = clients(endsWith);

describeClients({ backend: 'ollama', clients: all, start: () => servedOllama(endsWith) });
describeClients({ backend: 'vllm', clients: all, start: () => servedVllm(endsWith) });
