/**
 * Where traces go and what they say of this process: the settings, and where they are unset the standard variables of OpenTelemetry.
 * Pure.
 */

import { validateHeaderName, validateHeaderValue } from 'node:http';
import { shownAddress } from '../schema/shown-address.ts';
import type { TracingConfig } from './config.ts';
import { ConfigError } from './config-error.ts';
import type { ConfigValues } from './schema.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const TRACES_PATH = '/v1/traces';
const ENDPOINT_VARIABLE = 'OTEL_EXPORTER_OTLP_ENDPOINT';
const TRACES_ENDPOINT_VARIABLE = 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
/** The later ones win. */
const HEADER_VARIABLES = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'] as const;
const RESOURCE_VARIABLE = 'OTEL_RESOURCE_ATTRIBUTES';
/** Beside the receiver's address, what OpenTelemetry's exporters read of it: each with a variable for traces, which wins. */
const COMPRESSION = 'COMPRESSION';
const TLS_FILES = { ca: 'CERTIFICATE', cert: 'CLIENT_CERTIFICATE', key: 'CLIENT_KEY' } as const;

/** Throws ConfigError. */
export function resolveTracing(values: ConfigValues['tracing'], environment: Environment): TracingConfig {
  const fromEnvironment = Object.assign({}, ...HEADER_VARIABLES.map((name) => pairsIn(environment, name)));
  return {
    ...values,
    headers: checkedHeaders({ ...fromEnvironment, ...values.headers }),
    url: urlOf(values, environment),
    compression: compressionOf(environment),
    tlsFiles: tlsFilesOf(environment),
    resource: {
      ...pairsIn(environment, RESOURCE_VARIABLE),
      ...(environment.OTEL_SERVICE_NAME && { 'service.name': environment.OTEL_SERVICE_NAME }),
    },
  };
}

function urlOf({ endpoint }: ConfigValues['tracing'], environment: Environment): string | undefined {
  if (endpoint !== undefined) return tracesUrl(endpoint, 'tracing.endpoint');
  if (environment.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return undefined;
  if (environment.OTEL_TRACES_EXPORTER?.trim().toLowerCase() === 'none') return undefined;
  const own = environment[TRACES_ENDPOINT_VARIABLE];
  if (own !== undefined) return checkedUrl(own, TRACES_ENDPOINT_VARIABLE).href;
  const common = environment[ENDPOINT_VARIABLE];
  return common === undefined ? undefined : tracesUrl(common, ENDPOINT_VARIABLE);
}

/** A key that was read from a file often ends with a line break, which is not a part of it. */
function checkedHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, given]) => {
      const value = given.trim();
      try {
        validateHeaderName(name);
        validateHeaderValue(name, value);
      } catch {
        // The value may be a key.
        throw new ConfigError(
          `tracing.headers (or ${HEADER_VARIABLES[0]}) has the header ${JSON.stringify(name)}, which HTTP cannot carry: its name or its value has a character that is not allowed.`,
        );
      }
      return [name, value];
    }),
  );
}

function exporterVariable(environment: Environment, name: string) {
  const names = [`OTEL_EXPORTER_OTLP_TRACES_${name}`, `OTEL_EXPORTER_OTLP_${name}`];
  const variable = names.find((each) => environment[each]?.trim());
  return variable === undefined ? undefined : { variable, value: environment[variable]?.trim() ?? '' };
}

function compressionOf(environment: Environment): TracingConfig['compression'] {
  const { variable, value = 'none' } = exporterVariable(environment, COMPRESSION) ?? {};
  if (value === 'gzip' || value === 'none') return value;
  throw new ConfigError(`${variable} is ${JSON.stringify(value)}, but must be gzip or none.`);
}

function tlsFilesOf(environment: Environment): TracingConfig['tlsFiles'] {
  const files = Object.entries(TLS_FILES).flatMap(([part, name]) => {
    const found = exporterVariable(environment, name);
    return found === undefined ? [] : [[part, { variable: found.variable, path: found.value }]];
  });
  return Object.fromEntries(files);
}

/** A base address gets the path of the protocol; one that has it already stays as it is. */
function tracesUrl(text: string, name: string): string {
  const url = checkedUrl(text, name);
  const path = url.pathname.replace(/\/+$/, '');
  url.pathname = path.endsWith(TRACES_PATH) ? path : path + TRACES_PATH;
  return url.href;
}

function checkedUrl(text: string, name: string): URL {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return withoutSecrets(url, name);
  throw new ConfigError(
    `${name} is ${JSON.stringify(shownAddress(text))}, but must be an address such as http://localhost:4318 (OTLP over HTTP).`,
  );
}

/** The address is logged and shown; headers are not. */
function withoutSecrets(url: URL, name: string): URL {
  if (url.username === '' && url.password === '' && url.search === '') return url;
  throw new ConfigError(
    `${name} has a user, a password or a query at ${url.origin}. Send the receiver's key in tracing.headers instead.`,
  );
}

/** `key1=value1,key2=value2`, values percent-encoded. */
function pairsIn(environment: Environment, name: string): Readonly<Record<string, string>> {
  const pairs = (environment[name] ?? '').split(',').filter((pair) => pair.trim() !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = '', ...rest] = pair.split('=');
      if (key.trim() === '' || rest.length === 0)
        throw new ConfigError(`${name} must be a list such as key1=value1,key2=value2.`);
      return [key.trim(), decoded(rest.join('=').trim(), name)];
    }),
  );
}

function decoded(text: string, name: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError(`${name} has a value that is not percent-encoded correctly.`);
  }
}
