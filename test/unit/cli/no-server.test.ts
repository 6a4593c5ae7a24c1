import { expect, it } from 'vitest';
import { noServerText, untrustedText } from '../../../src/cli/no-server.ts';

it('tells how to start a server where this machine was asked, and to name another elsewhere', () => {
  expect(noServerText('http://127.0.0.1:8000', 'ECONNREFUSED')).toBe(
    'No server answers at http://127.0.0.1:8000 (connection refused). Start one with "llm-serve serve" ("npm start" in a clone), ' +
      'or name another with --server or LLM_SERVE_SERVER.',
  );
  expect(noServerText('http://gpu-1:8000', 'ENOTFOUND')).toBe(
    'No server answers at http://gpu-1:8000 (there is no host of that name). Name another with --server or LLM_SERVE_SERVER.',
  );
});

it('tells what is wrong with a certificate', () => {
  expect(untrustedText('https://gpu-1', 'DEPTH_ZERO_SELF_SIGNED_CERT')).toBe(
    'The certificate of https://gpu-1 is not trusted: set NODE_EXTRA_CA_CERTS to the file of its authority.',
  );
  expect(untrustedText('https://gpu-1', 'CERT_HAS_EXPIRED')).toBe(
    'The certificate of https://gpu-1 has expired.',
  );
});

it('has no sentence for other failures', () => {
  expect(noServerText('http://127.0.0.1:8000', 'ECONNRESET')).toBeUndefined();
  expect(untrustedText('https://gpu-1', 'ECONNRESET')).toBeUndefined();
});
