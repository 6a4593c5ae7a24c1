/** A backend's entry in the catalogue: its configuration keys, its defaults, and how to create one. */
import { type Static, type TObject, type TProperties, Type } from 'typebox';
import type { Backend, CacheIsolation } from '../core/backend.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { DownloadProgress } from '../models/fetch.ts';
import type { EngineSharing } from './engine-sharing.ts';

/** What the composition root passes to every backend. */
export interface BackendEnvironment {
  readonly clock: Clock;
  readonly log: Log;
  /** Of this process: requests to remote servers name it, so that a loop is noticed. */
  readonly instanceId?: string;
  /** Environment variables, for backends that start a process of their own. */
  readonly processEnvironment: Readonly<Record<string, string | undefined>>;
  /** Folder for model files; created when first needed. */
  readonly cacheDirectory: string;
  /** Where `hf:` models are downloaded from; default: Hugging Face. */
  readonly hubUrl?: string | undefined;
  readonly onDownloadProgress: (progress: DownloadProgress) => void;
  /** How engines are shared with other processes of this program. Absent: this process is the only one. */
  readonly engines?: EngineSharing | undefined;
}

/** Keys that every target has, beside `backend`. Time-outs are enforced in serving/, the connect time-out in upstream/. */
export const commonTargetKeys = {
  name: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 128,
      pattern: '^[A-Za-z0-9][A-Za-z0-9._:/-]*$',
      title: 'letters, digits and . _ : / -, beginning with a letter or digit',
      description:
        'Its name in logs, metrics, /ready and headers; unique. Unset: the model’s id, the backend and its position, such as smollm2/ollama/0.',
    }),
  ),
  weight: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1_000_000,
      default: 1,
      description: 'Its share of the requests, relative to the model’s other targets.',
    }),
  ),
  role: Type.Optional(
    Type.Enum(['primary', 'fallback'], {
      default: 'primary',
      description: 'fallback: gets requests only while no primary target can serve.',
    }),
  ),
  shared: Type.Optional(
    Type.Boolean({
      description:
        'Whether the other servers of leases.store use this target too, under the same url and model: its slots are divided among them. false for one that each server has of its own, such as a sidecar. Default: true for a target with a url. The embedded engine is never shared.',
    }),
  ),
  model: Type.String({ minLength: 1, description: 'The model’s name at this backend.' }),
  slots: Type.Optional(
    Type.Union([Type.Integer({ minimum: 1, maximum: 4096 }), Type.Literal('auto')], {
      description:
        'Requests that run at the same time on this target. Unset: as many as the server reports (llama-server), otherwise the default. auto: as many as keep the server’s throughput at its peak and its own queue near zero, found out while it works; not for the embedded engine.',
    }),
  ),
  connect_timeout_ms: Type.Integer({ minimum: 1, default: 2000, description: 'To open a connection.' }),
  first_token_timeout_ms: Type.Integer({
    minimum: 1,
    default: 120_000,
    description: 'From dispatch to the first token.',
  }),
  idle_timeout_ms: Type.Integer({
    minimum: 1,
    default: 30_000,
    description:
      'Between two tokens. With tools or a format, which may hold text back, first_token_timeout_ms applies if it is longer.',
  }),
  answer_timeout_ms: Type.Optional(
    Type.Integer({
      minimum: 1,
      description:
        'For an answer that is requested in one piece, instead of the two limits above. Unset: the request’s own limit; and where another target or a fallback model could answer, the answer is streamed from the server, so that the two limits hold.',
    }),
  ),
};

export type TargetRole = 'primary' | 'fallback';

export type ModelPurpose = 'generate' | 'embed';

export type CommonTarget = Static<TObject<typeof commonTargetKeys>>;

export interface BackendDefinition<Keys extends TProperties = TProperties> {
  /** The value of `backend:` in the configuration. */
  readonly name: string;
  /** Short names for this backend with some keys preset: `backend: vllm`. */
  readonly aliases?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** One sentence for the configuration reference. */
  readonly summary: string;
  /** Keys of its own, beside the common ones. */
  readonly keys: Keys;
  readonly defaultSlots: number;
  /** Runs the model itself: the start fails if the model cannot be downloaded or loaded. */
  readonly embedded: boolean;
  /** Each slot keeps the prompt that it evaluated last: who may share it. Absent: the target manages its own cache. */
  cacheIsolation?(target: CommonTarget & Static<TObject<Keys>>): CacheIsolation;
  /** What the model is for, where the configuration shows it; absent: only its server knows. */
  purpose?(target: CommonTarget & Static<TObject<Keys>>): ModelPurpose | undefined;
  /** The address of its server. Targets of one server share its load, whatever their model. Absent: a target has a load of its own. */
  server?(target: CommonTarget & Static<TObject<Keys>>): string;
  /** Rules beyond the keys' schemas. Throws an Error whose message says what is wrong and what is allowed. */
  checkTarget?(target: CommonTarget & Static<TObject<Keys>>): void;
  create(
    /** `id`: its name, configured or not. */
    target: CommonTarget & Static<TObject<Keys>> & { readonly slots: number; readonly id: string },
    environment: BackendEnvironment,
  ): Backend;
}

/** Infers the keys' types for `create`; the catalogue holds definitions of any kind. */
export function defineBackend<Keys extends TProperties>(
  definition: BackendDefinition<Keys>,
): BackendDefinition<Keys> {
  return definition;
}
