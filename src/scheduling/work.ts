/** An amount of work: how many requests, and what they bring. Sums of it are kept, so nothing is ever counted through. */
export interface Work {
  readonly requests: number;
  readonly promptTokens: number;
  /** As recent answers let expect; what times are predicted from. */
  readonly answerTokens: number;
}

export interface ChargedWork extends Work {
  /** Prompt and answer, the answer as long as its client allows: what is charged until it is settled. */
  readonly chargedTokens: number;
}

export class WorkSum implements ChargedWork {
  requests = 0;
  promptTokens = 0;
  answerTokens = 0;
  chargedTokens = 0;

  /** `share` of that work: 1 adds it, -1 takes it away again. */
  add(work: ChargedWork, share = 1): void {
    this.requests += share * work.requests;
    this.promptTokens += share * work.promptTokens;
    this.answerTokens += share * work.answerTokens;
    this.chargedTokens += share * work.chargedTokens;
  }
}
