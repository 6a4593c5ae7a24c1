/** The life of a worker: it starts, serves, takes another configuration, drains, ends. */

export type LifeToControl =
  /** It is composed and may be given connections. */
  | { readonly type: 'serving' }
  /** It cannot start; it ends by itself. */
  | { readonly type: 'failed'; readonly message: string }
  /** It holds no connection and no request any more. */
  | { readonly type: 'drained' };

export type LifeToWorker =
  /** The configuration file as the control process has read it: all processes have the same. */
  | { readonly type: 'reload'; readonly trigger: string; readonly text: string | null }
  | { readonly type: 'drain'; readonly delayMs: number; readonly graceMs: number }
  | { readonly type: 'close' };
