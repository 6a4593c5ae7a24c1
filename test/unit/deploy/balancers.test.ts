/** The proxies that deploy ships: none of them lends its clients what programs of this machine may do. */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { readText, root } from './deployment-files.ts';

const FOLDERS = ['deploy/proxies', 'deploy/two-instances'];
const FILES = FOLDERS.flatMap((folder) =>
  readdirSync(`${root}/${folder}`).map((name) => `${folder}/${name}`),
);

/** Its clients cannot be told from programs of this machine: connections are passed on as they are. */
const PASSES_CONNECTIONS = /^\s*mode tcp|tcp_proxy|^stream \{/m;
/** A PROXY header says whose they are: with it, none of them is a program of this machine. */
const NAMES_CLIENTS = /send-proxy|^\s*proxy_protocol on;/m;
/** By a setting, or by default where the comment says so. */
const ADDS_A_HEADER = /X-Forwarded-For/;

describe.each(FILES.filter((path) => path !== 'deploy/proxies/traefik.yaml'))('%s', (path) => {
  const text = readText(path);

  it('says whose requests or connections it forwards, or requires admin keys', () => {
    if (NAMES_CLIENTS.test(text)) expect(text).toContain('server.proxy_protocol: ');
    else if (PASSES_CONNECTIONS.test(text)) expect(text).toMatch(/^# REQUIRED: auth\.admin_keys/m);
    else expect(text).toMatch(ADDS_A_HEADER);
  });
});

describe('docs/how-to/restart-without-a-failed-request.md', () => {
  it('shows a configuration with an admin key, which a TCP balancer needs', () => {
    const page = readText('docs/how-to/restart-without-a-failed-request.md');
    const text = page.match(/```yaml\n(auth:\n.*?)```/s)?.[1] ?? '';
    const environment = { ADMIN_KEY: 'an-admin-key' };
    const { config } = loadConfig({ flags: {}, environment, file: { name: 'llm-serve.yaml', text } });
    expect(config.auth.admin_keys.map(({ key }) => key)).toEqual(['an-admin-key']);
  });
});
