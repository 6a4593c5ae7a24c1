/** Creates what makes traces, where they are on, of the configuration; a part of compose.ts. */
import { readFileSync } from 'node:fs';
import type { Config, TracingConfig } from './config/config.ts';
import { ConfigError } from './config/config-error.ts';
import type { ApplicationLog } from './core/log.ts';
import { randomDigits } from './http/open-requests.ts';
import type { Serving } from './serving/serving.ts';
import type { Target } from './serving/targets.ts';
import { systemClock } from './system-clock.ts';
import type { SpanSource, TracedTarget } from './telemetry/request-spans.ts';
import { openTracing, type Tracing } from './telemetry/tracing.ts';

/** Undefined where no endpoint is set. Throws ConfigError. */
export function createTracing(parts: {
  readonly config: Config;
  readonly serving: Serving;
  readonly log: ApplicationLog;
  readonly version: string;
  readonly instanceId: string;
}): Tracing | undefined {
  const { config, serving, log, version, instanceId } = parts;
  const {
    url,
    headers,
    compression,
    tlsFiles,
    resource,
    sample_ratio: sampleRatio,
    content,
  } = config.tracing;
  if (url === undefined) return undefined;
  const tracing = openTracing({
    receiver: { url, headers, compression, tls: readTlsFiles(tlsFiles) },
    resource: {
      'service.name': 'llm-serve',
      'service.version': version,
      'service.instance.id': instanceId,
      ...resource,
    },
    version,
    log,
    sampleRatio,
    clock: systemClock,
    randomDigits,
    targetOf: tracedTargets(serving),
  });
  log.info('Traces are exported', { url, sampleRatio, ...(content && { content: 'prompts and answers' }) });
  return tracing;
}

function readTlsFiles(files: TracingConfig['tlsFiles']): Readonly<Record<string, string>> {
  const texts = Object.entries(files).map(([part, { variable, path }]) => {
    try {
      return [part, readFileSync(path, 'utf8')];
    } catch (error) {
      throw new ConfigError(`${variable} names a file that cannot be read: ${(error as Error).message}`);
    }
  });
  return Object.fromEntries(texts);
}

/** What the spans of a try say of its target, made once for each; undefined where a reload has removed it. */
function tracedTargets({ targets }: Pick<Serving, 'targets'>): SpanSource['targetOf'] {
  const known = new WeakMap<Target, TracedTarget>();
  return (model, id) => {
    const target = targets.all.find((each) => each.id === id && each.model === model);
    if (target === undefined) return undefined;
    const found = known.get(target) ?? tracedTarget(target);
    known.set(target, found);
    return found;
  };
}

function tracedTarget({ backendName, embedded, upstreamModel, url }: Target): TracedTarget {
  const parsed = url === undefined ? undefined : new URL(url);
  const address =
    parsed === undefined
      ? undefined
      : { host: parsed.hostname, port: Number(parsed.port) || (parsed.protocol === 'https:' ? 443 : 80) };
  return { provider: backendName, embedded, upstreamModel, address };
}
