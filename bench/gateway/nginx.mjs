// nginx as one process, a plain reverse proxy: what the machine gives at best. Its files live in a temporary folder.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import { freePort } from '../free-port.mjs';

const UP_WITHIN_MS = 5000;

export async function startNginx(upstreamPort) {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-bench-nginx-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration({ folder, port, upstreamPort }));
  const child = spawn('nginx', ['-p', folder, '-e', join(folder, 'error.log'), '-c', file], {
    stdio: 'inherit',
  });
  const exited = once(child, 'exit');
  // A benchmark that fails leaves nothing running.
  const end = () => child.kill('SIGTERM');
  process.once('exit', end);
  const stop = async () => {
    process.off('exit', end);
    end();
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  for (const giveUpAt = Date.now() + UP_WITHIN_MS; Date.now() < giveUpAt; await delay(50)) {
    if (await answers(url)) return { url, pid: child.pid, stop };
  }
  await stop();
  throw new Error('nginx did not come up');
}

function configuration({ folder, port, upstreamPort }) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${join(folder, name)};`)
    .join('\n  ');
  return `daemon off;
master_process off;
pid ${join(folder, 'nginx.pid')};
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 100000000;
  ${temporary}
  upstream target {
    server 127.0.0.1:${upstreamPort};
    keepalive 64;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://target;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`;
}

async function answers(url) {
  try {
    const { statusCode, body } = await request(`${url}/v1/models`);
    await body.dump();
    return statusCode === 200;
  } catch {
    return false;
  }
}
