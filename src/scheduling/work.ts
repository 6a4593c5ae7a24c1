/** An amount of work: how many requests, with how many tokens. Sums of it are kept, so nothing is ever counted through. */
export interface Work {
  readonly requests: number;
  readonly promptTokens: number;
  readonly answerTokens: number;
}

export class WorkSum implements Work {
  requests = 0;
  promptTokens = 0;
  answerTokens = 0;

  get tokens(): number {
    return this.promptTokens + this.answerTokens;
  }

  /** `share` of that work: 1 adds it, -1 takes it away again. */
  add(work: Work, share = 1): void {
    this.requests += share * work.requests;
    this.promptTokens += share * work.promptTokens;
    this.answerTokens += share * work.answerTokens;
  }
}
