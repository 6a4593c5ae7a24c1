/** A certificate authority for tests, made by `openssl`: roots, certificates for a host, expired and revoked ones. Its folder goes with the test. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EndsWith } from '../server.ts';

/** Why there can be none; undefined: there can. */
export const MISSING_OPENSSL =
  spawnSync('openssl', ['version'], { stdio: 'ignore', timeout: 30_000 }).status === 0
    ? undefined
    : 'there is no executable openssl';

export interface TestCertificate {
  /** Files in PEM. */
  readonly certificate: string;
  readonly key: string;
}

interface Asked {
  /** `DNS:localhost`, `IP:127.0.0.1`. */
  readonly names?: readonly string[];
  readonly hasExpired?: boolean;
}

export class TestAuthority {
  /** The root certificate, a file in PEM. */
  readonly root: string;
  readonly #folder: string;
  #certificates = 0;

  constructor(name: string, endsWith: EndsWith) {
    this.#folder = mkdtempSync(join(tmpdir(), 'llm-serve-certificates-'));
    endsWith(async () => rmSync(this.#folder, { recursive: true, force: true }));
    this.root = this.#path('root.pem');
    this.#openssl('req', '-x509', ...this.#newKey('root'), '-out', this.root, '-subj', `/CN=${name}`);
    writeFileSync(this.#path('serial'), '01\n');
    writeFileSync(this.#path('index'), '');
    writeFileSync(
      this.#path('ca.conf'),
      ['[ca]', 'default_ca=own', '[own]', 'database=index', 'default_md=sha256', 'default_crl_days=1'].join(
        '\n',
      ),
    );
  }

  /** For a host; without names, for a client. */
  certificate({ names = [], hasExpired = false }: Asked): TestCertificate {
    this.#certificates += 1;
    const name = `certificate-${this.#certificates}`;
    const [request, certificate] = [this.#path(`${name}.csr`), this.#path(`${name}.pem`)];
    const alternatives = names.length === 0 ? [] : ['-addext', `subjectAltName=${names.join()}`];
    // The common name is none that a host has.
    this.#openssl('req', ...this.#newKey(name), '-out', request, '-subj', `/CN=${name}`, ...alternatives);
    const signed = ['-CA', this.root, '-CAkey', this.#path('root.key'), '-CAserial', this.#path('serial')];
    const days = ['-days', hasExpired ? '-1' : '1'];
    const from = ['-req', '-in', request, '-copy_extensions', 'copy'];
    this.#openssl('x509', ...from, ...signed, ...days, '-out', certificate);
    return { certificate, key: this.#path(`${name}.key`) };
  }

  /** Of all that were revoked: a file in PEM. */
  revoke(...revoked: readonly TestCertificate[]): string {
    const own = ['-config', this.#path('ca.conf'), '-cert', this.root, '-keyfile', this.#path('root.key')];
    for (const { certificate } of revoked) this.#openssl('ca', ...own, '-revoke', certificate);
    const list = this.#path('revoked.pem');
    this.#openssl('ca', ...own, '-gencrl', '-out', list);
    return list;
  }

  #newKey(name: string): readonly string[] {
    return [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      this.#path(`${name}.key`),
    ];
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.#folder, stdio: ['ignore', 'ignore', 'pipe'] });
  }
}
