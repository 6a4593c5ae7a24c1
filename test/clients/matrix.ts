/**
 * Which clients can do what on which backends: the data behind the tests of this folder and docs/reference/clients.md. A cell
 * is a test, unless an entry of `no` covers it and says why.
 */
import { readFileSync } from 'node:fs';

export type ClientId =
  | 'openai'
  | 'openai-python'
  | 'langchain'
  | 'ai-sdk'
  | 'anthropic'
  | 'ollama'
  | 'codex'
  | 'claude-code';

export type FeatureId =
  | 'chat'
  | 'stream'
  | 'stream-helper'
  | 'tools'
  | 'structured'
  | 'images'
  | 'thinking'
  | 'logprobs'
  | 'embeddings'
  | 'completions'
  | 'responses'
  | 'count-tokens'
  | 'models'
  | 'abort'
  | 'errors'
  | 'failure'
  | 'retry'
  | 'agent';

interface ClientEntry {
  readonly name: string;
  readonly package: string;
  /** Absent: that of package.json. */
  readonly version?: string;
}

export type BackendId = 'embedded' | 'ollama' | 'vllm';

/** Absent lists mean all. */
export interface Exception {
  readonly clients?: readonly ClientId[];
  readonly features?: readonly FeatureId[];
  readonly backends?: readonly BackendId[];
  readonly reason: string;
}

export interface ClientMatrix {
  readonly clients: Readonly<Record<ClientId, ClientEntry>>;
  readonly features: Readonly<Record<FeatureId, string>>;
  readonly backends: Readonly<Record<BackendId, string>>;
  readonly no: readonly Exception[];
}

export const MATRIX = JSON.parse(
  readFileSync(new URL('matrix.json', import.meta.url), 'utf8'),
) as ClientMatrix;

export const FEATURES = Object.keys(MATRIX.features) as FeatureId[];

/** Why there is no such cell; undefined where there is one. */
export function reasonAgainst(cell: {
  readonly client: ClientId;
  readonly feature: FeatureId;
  readonly backend: BackendId;
}): string | undefined {
  const covers = ({ clients, features, backends }: Exception) =>
    (clients?.includes(cell.client) ?? true) &&
    (features?.includes(cell.feature) ?? true) &&
    (backends?.includes(cell.backend) ?? true);
  return MATRIX.no.find(covers)?.reason;
}
