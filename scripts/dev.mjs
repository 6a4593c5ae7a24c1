// `npm run dev`: compiles on every change and restarts the server. Arguments go to llm-serve.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepare } from './build.mjs';

await prepare();
const root = fileURLToPath(new URL('..', import.meta.url));
// A restart waits for the server to end, and there is no load balancer that has to notice.
const env = { LLM_SERVE_SERVER__SHUTDOWN_DELAY_SECONDS: '0', ...process.env };
const start = (argv) => spawn(process.execPath, argv, { cwd: root, stdio: 'inherit', env });
const compiler = start([
  join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
  '-p',
  'tsconfig.build.json',
  '--watch',
  '--preserveWatchOutput',
]);
const server = start(['--watch', '--watch-preserve-output', 'dist/cli/main.js', ...process.argv.slice(2)]);
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    compiler.kill();
    server.kill(signal);
  });
}
