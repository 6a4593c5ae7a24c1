/** Reads the lines of a record. A run is what one process wrote; of several in a file, the one with the most requests is replayed. */
import {
  RECORD_VERSION,
  type RecordedRequest,
  type RecordedRun,
  type RecordedSettings,
  type RecordedSettingsLine,
} from '../core/record-file.ts';

export interface Recording {
  readonly run: RecordedRun;
  /** In force for the most requests of the run. */
  readonly settings: RecordedSettings;
  /** By arrival. */
  readonly requests: readonly RecordedRequest[];
  /** In the file. */
  readonly runs: number;
  /** The run was reloaded, or its servers reported other slots: so many requests had other settings. */
  readonly underOtherSettings: number;
  /** Lines that cannot be read: a process that was killed may leave half of one. */
  readonly unreadable: number;
}

export class RecordError extends Error {}

interface SettingsLines {
  readonly settings: RecordedSettings;
  requests: number;
}

interface RunLines {
  readonly run: RecordedRun;
  /** By their text: the same ones may be in force again. */
  readonly settings: Map<string, SettingsLines>;
  inForce: SettingsLines | undefined;
  readonly requests: RecordedRequest[];
}

/** Throws RecordError where it is no record, or has nothing to replay. */
export function readRecord(lines: Iterable<string>): Recording {
  const runs = new Map<string, RunLines>();
  let unreadable = 0;
  for (const line of lines) {
    if (line === '') continue;
    const read = parsed(line);
    if (isRun(read)) {
      // It stands there again after lines that were lost.
      if (!runs.has(read.run))
        runs.set(read.run, { run: read, settings: new Map(), inForce: undefined, requests: [] });
      continue;
    }
    if (runs.size === 0) throw new RecordError('it is no record of llm-serve (serve --record)');
    const run = runs.get(fieldsOf<RecordedRequest>(read).run ?? '');
    if (run !== undefined && isSettings(read)) run.inForce = settingsIn(run, read.settings);
    else if (run !== undefined && isRequest(read)) {
      run.requests.push(read);
      if (run.inForce !== undefined) run.inForce.requests += 1;
    } else unreadable += 1;
  }
  const [largest] = [...runs.values()].sort((one, other) => other.requests.length - one.requests.length);
  const [most] = [...(largest?.settings.values() ?? [])].sort((one, other) => other.requests - one.requests);
  if (largest === undefined || most === undefined || largest.requests.length === 0)
    throw new RecordError('it has no requests');
  return {
    run: largest.run,
    settings: most.settings,
    requests: [...largest.requests].sort((one, other) => one.at_ms - other.at_ms),
    runs: runs.size,
    underOtherSettings: largest.requests.length - most.requests,
    unreadable,
  };
}

function settingsIn({ settings: known }: RunLines, settings: RecordedSettings): SettingsLines {
  const text = JSON.stringify(settings);
  const lines = known.get(text) ?? { settings, requests: 0 };
  known.set(text, lines);
  return lines;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}

function isRun(line: unknown): line is RecordedRun {
  const { llm_serve_record: version } = fieldsOf<RecordedRun>(line);
  if (version === undefined) return false;
  if (version === RECORD_VERSION) return true;
  throw new RecordError(
    `it is a record of version ${version}; this llm-serve reads version ${RECORD_VERSION}`,
  );
}

function isSettings(line: unknown): line is RecordedSettingsLine {
  return Array.isArray(fieldsOf<RecordedSettingsLine>(line).settings?.targets);
}

function isRequest(line: unknown): line is RecordedRequest {
  const { at_ms: at, attempts, ended } = fieldsOf<RecordedRequest>(line);
  return Number.isFinite(at) && Number.isFinite(ended) && Array.isArray(attempts);
}

function fieldsOf<Shape>(line: unknown): Partial<Shape> {
  return typeof line === 'object' && line !== null ? (line as Partial<Shape>) : {};
}
