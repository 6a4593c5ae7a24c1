// What a subject really takes and can do, before anything is compared: closed loops of both lengths, from one client.
// Timers are late and cores are shared, so nominal parameters would flatter the service.
import { jobSource } from '../simulate/jobs.mjs';
import { sum } from '../simulate/measures.mjs';
import { describeAnswers, fitService } from './service-fit.mjs';

const CLIENT = 'calibration';
const SEED = 99;
/** Nothing may be cut off here. */
const DEADLINE_MS = 120_000;
const JOBS = 400;

/** `inFlight` requests always under way for `seconds`; the last answers are left out, which had fewer beside them. */
export async function calibrate({ load, url, subject, inFlight, seconds }) {
  const jobs = jobsInTurns(subject.mix);
  const loop = async ({ atOnce, durationMs }) => {
    const requests = jobs.map((job, index) => ({
      client: CLIENT,
      body: JSON.stringify(subject.bodyOf(job, index)),
    }));
    const answers = await load.ask({ url, addresses: {}, inFlight: atOnce, durationMs, requests });
    const failed = answers.find(({ status }) => status !== 200);
    if (failed) throw new Error(`calibration was answered with ${failed.status} ${failed.code}`);
    return answers.slice(0, answers.length + 1 - Math.min(atOnce, subject.nominal.slots));
  };
  // One answer from each slot, so that nothing is cold.
  await loop({ atOnce: subject.nominal.slots, durationMs: 1 });
  const answers = await loop({ atOnce: inFlight, durationMs: seconds * 1000 });
  return {
    service: fitService(answers, subject.nominal),
    ...describeAnswers(answers, subject.mix.lengths),
    /** Less than asked for where answers ended by themselves. */
    answeredShare:
      sum(answers, ({ answerTokens }) => answerTokens) /
      sum(answers, ({ index }) => jobs[index].answerTokens),
  };
}

/** The lengths come in turns, as often as their shares say, so that a short run has them all. */
function jobsInTurns(mix) {
  const source = jobSource({ name: CLIENT, mix, deadlineMs: DEADLINE_MS }, SEED);
  const [short, long] = mix.lengths;
  const everyLong = Math.round(1 / long.share);
  return Array.from({ length: JOBS }, (_, index) => ({
    ...source.job(0),
    answerTokens: index % everyLong === 0 ? long.answerTokens : short.answerTokens,
  }));
}
