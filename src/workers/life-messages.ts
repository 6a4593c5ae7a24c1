/** The life of a worker: it starts, takes connections and other configurations, drains, ends. */
import type { DoorName } from '../core/door-name.ts';

/** Comes with the socket, over the channel that can carry one. `id`: unique among all that the control process hands over. */
export interface HandedConnection {
  readonly type: 'connection';
  readonly id: number;
  readonly door: DoorName;
}

/** Over the same channel, so that it comes after the connections that were handed over before. */
export interface Ping {
  readonly type: 'ping';
}

export type LifeToControl =
  /** It is composed and may be given connections. */
  | { readonly type: 'serving' }
  /** It cannot start; it ends by itself. `needsRestart`: nor can another one before the server is started again. */
  | { readonly type: 'failed'; readonly message: string; readonly needsRestart?: boolean }
  /** While it drains: whether it has requests. */
  | { readonly type: 'idle'; readonly isIdle: boolean }
  | { readonly type: 'alive' }
  /** Is anybody there? */
  | { readonly type: 'ping' }
  /** It has the connection now, and has not read of it before it said so. */
  | { readonly type: 'connection-taken'; readonly id: number }
  | { readonly type: 'connection-closed'; readonly id: number }
  /** A proxy has told whose it is. */
  | { readonly type: 'connection-moved'; readonly id: number; readonly address: string };

/** The configuration file as the control process has read it: all processes have the same. Null: there is none. */
export type ConfigurationText = { readonly name: string; readonly text: string } | null;

export interface StartMessage {
  readonly type: 'start';
  /** Of the control process: one that is replaced after an update of the installed files would be of another. */
  readonly version: string;
  /** From 1. */
  readonly number: number;
  /** Unique among all that the control process starts. */
  readonly name: string;
  /** It takes the place of one that has ended. */
  readonly isReplacement: boolean;
  readonly workers: number;
  /** Names this server to others, by all of its processes. */
  readonly instanceId: string;
  readonly isTerminal: boolean;
  /** As given on the command line. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  /** That the server was started with: some of its settings stay until a restart. */
  readonly file: ConfigurationText;
  /** That was put in force last; absent: there was no reload. */
  readonly reloaded?: ConfigurationText;
}

export type LifeToWorker =
  /** The first message. */
  | StartMessage
  /** To its ping. */
  | { readonly type: 'alive' }
  /** So many of all serve now; told to those that do. */
  | { readonly type: 'workers-serving'; readonly serving: number }
  | { readonly type: 'reload'; readonly trigger: string; readonly file: ConfigurationText }
  /** The connection counts for the address that its proxy has told. Where it may not, the worker is told to close it. */
  | { readonly type: 'connection-stays'; readonly id: number }
  | { readonly type: 'connection-refused'; readonly id: number }
  | { readonly type: 'drain'; readonly delayMs: number; readonly graceMs: number }
  /** No worker has requests any more. */
  | { readonly type: 'all-idle' }
  /** End everything now. */
  | { readonly type: 'close' };
