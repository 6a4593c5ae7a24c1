/** How the engines are that the control process runs, for the workers that use them. What stands in a notice is the backend's own. */

export type EngineNotice = Readonly<Record<string, unknown>>;

/** `notice` null: the engine is gone for good. */
export interface EngineToWorker {
  readonly type: 'engine';
  readonly engine: string;
  readonly notice: EngineNotice | null;
}
