/** What is seen or done from outside, of all workers together: metrics, the live feed, administration. */

/** `question` names what is asked, in a table that both sides have; `call` is the asker's own number. */
export type ViewsToControl =
  | { readonly type: 'ask'; readonly call: number; readonly question: string; readonly details: unknown }
  /** To an `ask` of the control process. */
  | { readonly type: 'answer'; readonly call: number; readonly answer: unknown };

export type ViewsToWorker =
  | { readonly type: 'ask'; readonly call: number; readonly question: string; readonly details: unknown }
  | { readonly type: 'answer'; readonly call: number; readonly answer: unknown };
