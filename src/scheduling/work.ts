/** An amount of work: requests and their tokens. Sums are kept up to date, so a queue is never counted through. */
export interface Work {
  readonly requests: number;
  readonly promptTokens: number;
  /** Expected from recent answers, to predict times. */
  readonly answerTokens: number;
}

export interface ChargedWork extends Work {
  /** Prompt and answer, the answer as long as its client allows: charged until the settlement. */
  readonly chargedTokens: number;
}

export class WorkSum implements ChargedWork {
  requests = 0;
  promptTokens = 0;
  answerTokens = 0;
  chargedTokens = 0;

  /** `share` of the work: 1 adds it, -1 subtracts it. */
  add(work: ChargedWork, share = 1): void {
    this.requests += share * work.requests;
    this.promptTokens += share * work.promptTokens;
    this.answerTokens += share * work.answerTokens;
    this.chargedTokens += share * work.chargedTokens;
  }
}
