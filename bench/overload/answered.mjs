// From the answers of a load for real to the records that the simulator keeps, so that both are read off alike. Pure.

/** A refusal that came later than this was one after waiting. */
export const REFUSED_WITHIN_MS = 50;

/** `answers`: of each of `jobs`, in any order. Completed is only what its client had in whole by the deadline. */
export function recordsOf({ jobs, answers }) {
  return answers.map((answer) => {
    const job = jobs[answer.index];
    const { status, queueMs, sentAtMs, endedAtMs, answerTokens = 0, upstreamMs = 0 } = answer;
    return {
      job,
      outcome: outcomeOf(answer, job),
      startedAtMs: status === 200 || status === 504 ? sentAtMs + queueMs : undefined,
      endedAtMs,
      answerTokens,
      servedMs: upstreamMs,
    };
  });
}

function outcomeOf({ status, code, sentAtMs, endedAtMs }, { deadlineMs }) {
  switch (status) {
    case 200:
      return endedAtMs <= deadlineMs ? 'completed' : 'failed';
    case 504:
      return 'failed';
    case 503:
      return endedAtMs - sentAtMs <= REFUSED_WITHIN_MS ? 'refused' : 'expired';
    default:
      throw new Error(`a request was answered with ${status} ${code}`);
  }
}
