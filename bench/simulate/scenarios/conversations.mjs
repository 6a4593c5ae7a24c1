// More conversations than slots, on an engine that keeps in each slot what it evaluated last: what of the prompts has to be
// evaluated again, and how long one waits for the first token, with and without overtaking for the sake of that cache.
import { percentile, show, summarize, table } from '../../statistics.mjs';
import { ours } from '../contestants/ours.mjs';
import { seedOf } from '../jobs.mjs';
import { arrivedWithin, endedWithin, jainIndex, sum } from '../measures.mjs';
import { randomSource } from '../random.mjs';
import { simulate } from '../simulation.mjs';

/** About what the embedded engine takes on two cores. */
const ENGINE = { slots: 4, firstTokenMs: 20, promptTokenMs: 3, tokenMs: 40, cachesPrefixes: true };
const SYSTEM = { id: 'system', tokens: 40 };
const DOCUMENT_TOKENS = { min: 200, max: 600 };
const QUESTION_TOKENS = { min: 16, max: 64 };
const ANSWER_TOKENS = { min: 16, max: 96 };
const ROUNDS = 6;
const DEADLINE_MS = 300_000;
const WARM_UP_MS = 5 * 60_000;

/** `atOnce`: questions that are asked together about what was said so far; `thinkMs`: between their answers and the next ones. */
export const WAYS = {
  single: { label: 'one at a time, 16 clients', clients: 16, atOnce: 1, thinkMs: 20_000 },
  few: { label: 'three at once, 4 clients', clients: 4, atOnce: 3, thinkMs: 5000 },
  some: { label: 'three at once, 8 clients', clients: 8, atOnce: 3, thinkMs: 10_000 },
  many: { label: 'three at once, 16 clients', clients: 16, atOnce: 3, thinkMs: 40_000 },
};
const OVERTAKES = [0, 1, 4, 16];

export function measure({ seed, measuredMinutes }) {
  const overOvertakes = (way) =>
    Object.fromEntries(
      OVERTAKES.map((maxOvertakes) => [
        maxOvertakes,
        measureOne({ way, maxOvertakes, seed, measuredMinutes }),
      ]),
    );
  return Object.fromEntries(Object.entries(WAYS).map(([name, way]) => [name, overOvertakes(way)]));
}

function measureOne({ way, maxOvertakes, seed, measuredMinutes }) {
  const window = { fromMs: WARM_UP_MS, toMs: WARM_UP_MS + measuredMinutes * 60_000 };
  const clients = new Map();
  for (let index = 0; index < way.clients; index += 1)
    clients.set(index, new Client(index, way, seedOf(seed, index)));
  const { records: all } = simulate({
    backend: ENGINE,
    createContestant: (backend) => ours(backend, { maxOvertakes }),
    jobs: [...clients.values()].flatMap((client) => client.begin()),
    follow: ({ job, ...record }, now) =>
      now < window.toMs ? clients.get(job.user).ended(job, record, now) : [],
  });
  const records = arrivedWithin(all, window).filter(({ outcome }) => outcome === 'completed');
  const ttft = records.map(
    ({ job, startedAtMs, firstTokenMs }) => startedAtMs - job.arrivalMs + firstTokenMs,
  );
  const prompts = sum(records, ({ job }) => job.promptTokens);
  const done = endedWithin(all, window).filter(({ outcome }) => outcome === 'completed');
  const ofUsers = [...clients.keys()].map((user) =>
    sum(
      done.filter(({ job }) => job.user === user),
      ({ answerTokens }) => answerTokens,
    ),
  );
  return {
    evaluated: sum(records, ({ job, cachedTokens }) => job.promptTokens - cachedTokens) / prompts,
    ttftP50Ms: percentile(ttft, 0.5),
    ttftP99Ms: percentile(ttft, 0.99),
    answersPerMinute: done.length / measuredMinutes,
    completed: records.length / arrivedWithin(all, window).length,
    jain: jainIndex(ofUsers),
  };
}

/** Someone who talks about one document after the other. */
class Client {
  #user;
  #way;
  #random;
  #history = [];
  #round = 0;
  #conversation = 0;
  #asked = 0;
  #open = 0;

  constructor(user, way, seed) {
    this.#user = user;
    this.#way = way;
    this.#random = randomSource(seed);
  }

  begin() {
    return this.#ask(this.#random.exponential(this.#way.thinkMs));
  }

  /** The first of the questions that were asked together is what the conversation goes on with. */
  ended(job, { outcome }, now) {
    this.#open -= 1;
    if (job.isFirst && outcome === 'completed') this.#history = [...job.messages, job.answer];
    if (this.#open > 0) return [];
    this.#round += 1;
    return this.#ask(now + this.#random.exponential(this.#way.thinkMs));
  }

  #ask(at) {
    const user = this.#user;
    const lengthOf = ({ min, max }) => this.#random.integer(min, max);
    if (this.#round % ROUNDS === 0) {
      this.#conversation += 1;
      const document = { id: `document ${user}/${this.#conversation}`, tokens: lengthOf(DOCUMENT_TOKENS) };
      this.#history = [SYSTEM, document];
    }
    this.#open = this.#way.atOnce;
    return Array.from({ length: this.#way.atOnce }, (_, index) => {
      this.#asked += 1;
      const id = `${user}/${this.#asked}`;
      const messages = [...this.#history, { id: `question ${id}`, tokens: lengthOf(QUESTION_TOKENS) }];
      const answerTokens = lengthOf(ANSWER_TOKENS);
      return {
        id,
        user,
        isFirst: index === 0,
        client: `client_${user}`,
        priority: 'normal',
        arrivalMs: at,
        messages,
        answer: { id: `answer ${id}`, tokens: answerTokens },
        promptTokens: sum(messages, ({ tokens }) => tokens),
        answerTokens,
        maxTokens: answerTokens,
        deadlineMs: at + DEADLINE_MS,
        abortAtMs: undefined,
      };
    });
  }
}

export function report(rounds) {
  const cell = (name, overtakes, figure, digits, factor) =>
    show(summarize(rounds.map((round) => round[name][overtakes][figure] * factor)), digits);
  return table(
    [
      'questions',
      'max_overtakes',
      'prompt tokens evaluated, %',
      'first token: p50 s',
      'p99 s',
      'answers per minute',
      'Jain index of answer tokens',
    ],
    Object.entries(WAYS).flatMap(([name, { label }]) =>
      OVERTAKES.map((overtakes) => [
        label,
        overtakes,
        cell(name, overtakes, 'evaluated', 1, 100),
        cell(name, overtakes, 'ttftP50Ms', 2, 1e-3),
        cell(name, overtakes, 'ttftP99Ms', 2, 1e-3),
        cell(name, overtakes, 'answersPerMinute', 1, 1),
        cell(name, overtakes, 'jain', 3, 1),
      ]),
    ),
  );
}
