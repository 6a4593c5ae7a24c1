/** The store in a real PostgreSQL over TLS: whose certificate is taken by each sslmode, and what is said of one that is not. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openStore } from '../../src/stores/open-store.ts';
import { runExecutable } from '../support/executable.ts';
import { endingAfterAll } from '../support/server.ts';
import { MISSING_OPENSSL, TestAuthority, type TestCertificate } from '../support/stores/certificates.ts';
import {
  missingPostgres,
  type PostgresServer,
  type PostgresTestDatabase,
  startPostgres,
} from '../support/stores/postgres-server.ts';
import { plainKey } from '../support/stores/records.ts';

const missing = missingPostgres() ?? MISSING_OPENSSL;
const GUARDED = { user: 'guarded', password: 'guarded' };
const NO_TRUSTED_ROOT =
  'has a certificate that no trusted root vouches for. Name its root certificate with sslrootcert.';

type Changes = Parameters<PostgresTestDatabase['addressWith']>[0];

describe.skipIf(missing !== undefined)(
  `PostgreSQL over TLS${missing === undefined ? '' : `: ${missing}`}`,
  () => {
    const endsWith = endingAfterAll();
    let server: PostgresServer;
    let database: PostgresTestDatabase;
    let authority: TestAuthority;
    let other: TestAuthority;

    beforeAll(async () => {
      authority = new TestAuthority('Root of the database', endsWith);
      other = new TestAuthority('Another root', endsWith);
      server = await startPostgres();
      database = await server.createDatabase();
    });
    afterAll(() => server?.remove());

    /** The key that was kept, read back. */
    async function isServed(changes: Changes): Promise<void> {
      const { addressWith } = await server.createDatabase();
      const store = await openStore(addressWith(changes));
      onTestFinished(() => store.close());
      await store.keys.add(plainKey('alice'));
      expect(await store.keys.list()).toEqual([plainKey('alice')]);
    }

    async function refusal(changes: Changes): Promise<string> {
      const store = await openStore(database.addressWith(changes)).catch((error: Error) => error);
      if (store instanceof Error) return store.message;
      await store.close();
      return 'it was let in';
    }

    const ofRoot = (root: string) => `sslrootcert=${encodeURIComponent(root)}`;

    describe('that it does not speak', () => {
      test('sslmode=prefer goes without', () => isServed({ query: 'sslmode=prefer' }));

      test.each(['require', 'verify-full'])('sslmode=%s says so', async (mode) => {
        expect(await refusal({ query: `sslmode=${mode}` })).toContain('does not speak TLS');
      });
    });

    describe('with a certificate for its host', () => {
      beforeAll(() => server.restartWith({ own: authority.certificate({ names: ['DNS:localhost'] }) }));

      test.each(['prefer', 'require'])('sslmode=%s takes anybody’s', (mode) =>
        isServed({ query: `sslmode=${mode}` }),
      );

      test.each(['verify-ca', 'verify-full', 'require', ''])('sslmode=%s takes it by its root', (mode) =>
        isServed({ host: 'localhost', query: `sslmode=${mode}&${ofRoot(authority.root)}` }),
      );

      test('sslmode=verify-ca takes it for another host', () =>
        isServed({ host: '127.0.0.1', query: `sslmode=verify-ca&${ofRoot(authority.root)}` }));

      test('sslmode=verify-full refuses it for another host', async () => {
        expect(
          await refusal({ host: '127.0.0.1', query: `sslmode=verify-full&${ofRoot(authority.root)}` }),
        ).toContain('has a certificate for another name than its host: it is for DNS:localhost.');
      });

      test('sslmode=verify-full refuses it for an IP address that stands beside localhost', async () => {
        const host = `127.0.0.1:${new URL(database.address).port},localhost`;
        expect(await refusal({ host, query: `sslmode=verify-full&${ofRoot(authority.root)}` })).toContain(
          'has localhost beside an IP address',
        );
      });

      test('on a socket, no sslmode asks for any, as in libpq', async () => {
        const { socketAddress } = await server.createDatabase();
        const store = await openStore(`${socketAddress}&sslmode=verify-full&${ofRoot(authority.root)}`);
        onTestFinished(() => store.close());
        expect(await store.keys.list()).toEqual([]);
      });

      test.each(['require', 'verify-ca', 'verify-full'])(
        'sslmode=%s refuses it by another root',
        async (mode) => {
          expect(
            await refusal({ host: 'localhost', query: `sslmode=${mode}&${ofRoot(other.root)}` }),
          ).toContain(NO_TRUSTED_ROOT);
        },
      );

      test.each(['sslmode=verify-full', 'sslrootcert=system', 'channel_binding=require'])(
        '%s refuses it by the roots that everybody trusts',
        async (query) => {
          expect(await refusal({ host: 'localhost', query })).toContain(NO_TRUSTED_ROOT);
        },
      );

      test('the commands take it by the roots that Node was given, and say why by others', async () => {
        const run = (extraRoots: string) =>
          runExecutable(['keys', 'list', '--json'], {
            endsWith: onTestFinished,
            environment: {
              NODE_EXTRA_CA_CERTS: extraRoots,
              LLM_SERVE_ACCESS__STORE: database.addressWith({
                host: 'localhost',
                query: 'sslrootcert=system',
              }),
            },
          });
        expect(await run(authority.root)).toMatchObject({ exitCode: 0, stdout: '[]\n' });
        const { exitCode, stdout, stderr } = await run(other.root);
        expect(exitCode).toBe(1);
        expect(stdout + stderr).toContain(NO_TRUSTED_ROOT);
      });

      test('a list of revoked certificates that it is not in', () => {
        const revoked = authority.revoke();
        return isServed({
          host: 'localhost',
          query: `sslmode=verify-full&${ofRoot(authority.root)}&sslcrl=${encodeURIComponent(revoked)}`,
        });
      });

      test('a list of revoked certificates of another root', async () => {
        const revoked = other.revoke();
        expect(
          await refusal({
            host: 'localhost',
            query: `sslmode=verify-full&${ofRoot(authority.root)}&sslcrl=${encodeURIComponent(revoked)}`,
          }),
        ).toContain('the list of revoked certificates (sslcrl) is of another root');
      });

      test('a version of TLS that it does not have', async () => {
        expect(
          await refusal({
            query: `sslmode=require&ssl_min_protocol_version=TLSv1&ssl_max_protocol_version=TLSv1`,
          }),
        ).toContain('does not agree on TLS: ');
      });

      test('a file that holds no certificate is refused', async () => {
        const path = `${authority.root}.txt`;
        writeFileSync(path, 'no certificate');
        expect(await refusal({ host: 'localhost', query: `sslmode=verify-full&${ofRoot(path)}` })).toContain(
          'sslrootcert',
        );
      });
    });

    describe('with a certificate for its address', () => {
      beforeAll(() => server.restartWith({ own: authority.certificate({ names: ['IP:127.0.0.1'] }) }));

      test('sslmode=verify-full takes it', () =>
        isServed({ host: '127.0.0.1', query: `sslmode=verify-full&${ofRoot(authority.root)}` }));

      test('sslmode=verify-full refuses it for a name', async () => {
        expect(
          await refusal({ host: 'localhost', query: `sslmode=verify-full&${ofRoot(authority.root)}` }),
        ).toContain('has a certificate for another name than its host');
      });
    });

    describe('with an expired certificate', () => {
      beforeAll(() =>
        server.restartWith({ own: authority.certificate({ names: ['DNS:localhost'], hasExpired: true }) }),
      );

      test.each(['verify-ca', 'verify-full'])('sslmode=%s refuses it', async (mode) => {
        expect(
          await refusal({ host: 'localhost', query: `sslmode=${mode}&${ofRoot(authority.root)}` }),
        ).toContain('has a certificate that has expired');
      });
    });

    describe('with a revoked certificate', () => {
      let own: TestCertificate;
      beforeAll(() => {
        own = authority.certificate({ names: ['DNS:localhost'] });
        return server.restartWith({ own });
      });

      test('it is refused by the list that it is in', async () => {
        const revoked = authority.revoke(own);
        expect(
          await refusal({
            host: 'localhost',
            query: `sslmode=verify-full&${ofRoot(authority.root)}&sslcrl=${encodeURIComponent(revoked)}`,
          }),
        ).toContain('has a certificate that was revoked');
      });
    });

    describe('where clients need a certificate', () => {
      beforeAll(async () => {
        await server.restartWith({
          own: authority.certificate({ names: ['DNS:localhost'] }),
          rootOfClients: other.root,
        });
        await server.execute(`CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'guarded'`);
      });
      const verified = () => `sslmode=verify-full&${ofRoot(authority.root)}`;
      const withOwn = ({ certificate, key }: TestCertificate) =>
        `${verified()}&sslcert=${encodeURIComponent(certificate)}&sslkey=${encodeURIComponent(key)}`;

      test('one with its own is let in', () =>
        isServed({ ...GUARDED, host: 'localhost', query: withOwn(other.certificate({})) }));

      test('one without is told so', async () => {
        expect(await refusal({ ...GUARDED, host: 'localhost', query: verified() })).toContain(
          'connection requires a valid client certificate',
        );
      });

      test('one of another root is told so', async () => {
        expect(
          await refusal({ ...GUARDED, host: 'localhost', query: withOwn(authority.certificate({})) }),
          // It says so and closes the connection, with what we sent meanwhile unread: its words may be lost by that.
        ).toMatch(/does not trust the client’s certificate \(sslcert\)|has closed the connection/);
      });

      test('one without TLS is told so', async () => {
        expect(await refusal({ ...GUARDED, query: 'sslmode=disable' })).toContain('no encryption');
      });
    });
  },
);
