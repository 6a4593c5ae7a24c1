import { describe, expect, it } from 'vitest';
import { resolveTracing } from '../../../src/config/tracing.ts';

const VALUES = { endpoint: undefined, headers: {}, sample_ratio: 1, content: false };

function resolve(values: object, environment: Readonly<Record<string, string>> = {}) {
  const { endpoint, ...others } = { ...VALUES, ...values };
  return resolveTracing({ ...others, ...(endpoint !== undefined && { endpoint }) }, environment);
}

describe('the address that spans are posted to', () => {
  const common = 'http://common:4318';
  const own = 'http://own:4318/anywhere';

  it.each([
    ['is none without any setting', {}, {}, undefined],
    ['is below the setting', { endpoint: 'http://a:4318' }, {}, 'http://a:4318/v1/traces'],
    ['is below the setting with a path', { endpoint: 'http://a/otlp/' }, {}, 'http://a/otlp/v1/traces'],
    ['is the setting that has the path', { endpoint: 'http://a/v1/traces' }, {}, 'http://a/v1/traces'],
    ['is below the common variable', {}, { OTEL_EXPORTER_OTLP_ENDPOINT: common }, `${common}/v1/traces`],
    ['is the variable for traces, as it is', {}, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own }, own],
    [
      'is the variable for traces rather than the common one',
      {},
      { OTEL_EXPORTER_OTLP_ENDPOINT: common, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own },
      own,
    ],
    [
      'is the setting rather than a variable',
      { endpoint: 'http://a:4318' },
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own },
      'http://a:4318/v1/traces',
    ],
    [
      'is none where the SDK is disabled',
      {},
      { OTEL_EXPORTER_OTLP_ENDPOINT: common, OTEL_SDK_DISABLED: 'true' },
      undefined,
    ],
    [
      'is none where traces have no exporter',
      {},
      { OTEL_EXPORTER_OTLP_ENDPOINT: common, OTEL_TRACES_EXPORTER: 'none' },
      undefined,
    ],
  ])('%s', (_, values, environment, url) => {
    expect(resolve(values, environment).url).toBe(url);
  });

  it.each([
    ['tracing.endpoint', { endpoint: 'localhost:4318' }, {}],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', {}, { OTEL_EXPORTER_OTLP_ENDPOINT: 'grpc://a' }],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', {}, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'a' }],
  ])('must be one: %s', (name, values, environment) => {
    expect(() => resolve(values, environment)).toThrow(
      new RegExp(`^${name} is .* must be an address such as http://localhost:4318`),
    );
  });
});

it.each(['https://me:secret@a/otlp', 'https://secret@a', 'https://a/otlp?api-key=secret'])(
  'the address %s has a key that the log would show: it is refused, without showing it',
  (endpoint) => {
    for (const [name, values, environment] of [
      ['tracing.endpoint', { endpoint }, {}],
      ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', {}, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint }],
    ] as const) {
      const read = () => resolve(values, environment);
      expect(read).toThrow(
        `${name} has a user, a password or a query at https://a. Send the receiver's key in`,
      );
      expect(read).not.toThrow('secret');
    }
  },
);

it('the headers of the standard variables are sent too; the settings win', () => {
  const { headers } = resolve(
    { headers: { b: 'setting' } },
    { OTEL_EXPORTER_OTLP_HEADERS: 'a=1, b=2,c=x%20y', OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'a=own' },
  );
  expect(headers).toEqual({ a: 'own', b: 'setting', c: 'x y' });
});

it('a header’s value may end with a line break, as one that was read from a file does', () => {
  expect(resolve({ headers: { 'api-key': 'value1\n' } }).headers).toEqual({ 'api-key': 'value1' });
});

it.each([{ 'api key': 'value1' }, { 'api-key': 'value1\nvalue2' }])(
  'a header that HTTP cannot carry is an error that does not show its value: %j',
  (headers) => {
    expect(() => resolve({ headers })).toThrow(/^tracing\.headers .*which HTTP cannot carry((?!value1).)*$/);
  },
);

it.each([
  ['OTEL_EXPORTER_OTLP_HEADERS', 'a'],
  ['OTEL_EXPORTER_OTLP_HEADERS', '=1'],
  ['OTEL_RESOURCE_ATTRIBUTES', 'a=%zz'],
])('%s that cannot be read is an error that does not show its value', (name, value) => {
  expect(() => resolve({}, { [name]: value })).toThrow(new RegExp(`^${name} [^=]*(=value1.*)?\\.$`));
});

it('the service’s name and other attributes of the process come from the standard variables', () => {
  const attributes = 'service.name=other,deployment.environment.name=test,a=b=c';
  expect(resolve({}, { OTEL_RESOURCE_ATTRIBUTES: attributes, OTEL_SERVICE_NAME: 'front' }).resource).toEqual({
    'service.name': 'front',
    'deployment.environment.name': 'test',
    a: 'b=c',
  });
});

describe('how spans are sent', () => {
  it('is not compressed, and with the certificates of the system, by default', () => {
    expect(resolve({})).toMatchObject({ compression: 'none', tlsFiles: {} });
  });

  it('is what the variables of exporters say, those for traces first', () => {
    const environment = {
      OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
      OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_CERTIFICATE: 'ca.pem',
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: 'cert.pem',
      OTEL_EXPORTER_OTLP_CLIENT_KEY: 'key.pem',
      OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: ' traces-key.pem ',
    };
    expect(resolve({}, environment)).toMatchObject({
      compression: 'gzip',
      tlsFiles: {
        ca: { variable: 'OTEL_EXPORTER_OTLP_CERTIFICATE', path: 'ca.pem' },
        cert: { variable: 'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE', path: 'cert.pem' },
        key: { variable: 'OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY', path: 'traces-key.pem' },
      },
    });
  });

  it('must be with a compression that there is', () => {
    expect(() => resolve({}, { OTEL_EXPORTER_OTLP_COMPRESSION: 'br' })).toThrow(
      'OTEL_EXPORTER_OTLP_COMPRESSION is "br", but must be gzip or none.',
    );
  });
});
