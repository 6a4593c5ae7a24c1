/** The processes of a server that has several, as one of its workers knows them. */
export interface WorkersState {
  readonly configured: number;
  readonly serving: number;
  /** The process that decides for all of them does not answer. */
  readonly isStalled: boolean;
}
