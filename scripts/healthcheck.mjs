// Exits 0 when the server in this container answers 200, else 1: for HEALTHCHECK, where there is no curl.
// An argument names another path than /health; the port is the one the server reads from the environment.
import { get } from 'node:http';

const path = process.argv[2] ?? '/health';
const port = process.env.LLM_SERVE_SERVER__PORT ?? '8000';
const timeoutMs = 2000;

const fail = (reason) => {
  console.error(`${path} on port ${port}: ${reason}`);
  process.exit(1);
};

setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs).unref();

const request = get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
  response.resume();
  if (response.statusCode !== 200) fail(`status ${response.statusCode}`);
});
request.on('error', (error) => fail(error.message));
