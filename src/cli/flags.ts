/** The flags of one command line. */
export interface Flags {
  /** `--config FILE` */
  readonly config: string | undefined;
  /** By setting key (`server.port`) or shortcut name (`backend`). */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
}
