/** What will be sent, and when: a list of requests for each step, from the options and the seed alone. */
import type { ChatMessage, DatasetEntry } from './dataset.ts';
import { drawLength, type LengthSpec } from './lengths.ts';
import { type Calibration, sharedPrefix, textOfTokens } from './prompts.ts';
import { RandomSource, seedFor } from './random.ts';

/** One load: so many users, each of whom waits for the answer, or arrivals that wait for nobody. */
export type Step =
  | { readonly kind: 'closed'; readonly concurrency: number }
  /** Requests per second; `burstiness` is the shape of the gamma distribution of the gaps: 1 is Poisson, less is more bursty. */
  | { readonly kind: 'open'; readonly rate: number; readonly burstiness: number };

export interface Workload {
  readonly promptTokens: LengthSpec;
  readonly outputTokens: LengthSpec;
  /** Of a prefix that comes before the prompt, for `prefixShare` of the requests. */
  readonly prefixTokens: number;
  readonly prefixShare: number;
  /** Instead of synthetic prompts. */
  readonly dataset: readonly DatasetEntry[] | undefined;
  /** Answers are as long as the dataset has them, instead of `outputTokens`. */
  readonly hasDatasetLengths: boolean;
  readonly seed: number;
}

export interface PlannedRequest {
  readonly index: number;
  /** Milliseconds after the step's begin; undefined in a closed loop, where a user sends when the last answer is there. */
  readonly dueAt: number | undefined;
  readonly messages: readonly ChatMessage[];
  /** Of the prompt with its prefix, as far as planned; a dataset's are not known before they are sent. */
  readonly promptTokens: number | undefined;
  readonly outputTokens: number;
}

/** Answers of a dataset that says nothing of their length. */
const UNKNOWN_OUTPUT_TOKENS = 128;
/** Around this many characters are one token of English text. */
const CHARACTERS_PER_TOKEN = 4;

/** The requests of one step, without end. A closed loop's users take them in this order. */
export function* planRequests(
  step: Step,
  stepIndex: number,
  workload: Workload,
  calibration: Calibration,
): Generator<PlannedRequest, never> {
  const random = new RandomSource(seedFor(workload.seed, stepIndex, 1));
  const gaps = new RandomSource(seedFor(workload.seed, stepIndex, 2));
  const prefix = sharedPrefix(workload.prefixTokens, calibration, seedFor(workload.seed, 0, 3));
  let dueAt = 0;
  for (let index = 0; ; index += 1) {
    const asked =
      workload.dataset === undefined
        ? synthetic(workload, prefix, calibration, random)
        : sampled(workload.dataset, workload, random);
    yield { index, dueAt: step.kind === 'open' ? dueAt : undefined, ...asked };
    if (step.kind === 'open') dueAt += (1000 / step.rate) * gaps.gamma(step.burstiness);
  }
}

type Asked = Pick<PlannedRequest, 'messages' | 'promptTokens' | 'outputTokens'>;

function synthetic(
  { promptTokens, outputTokens, prefixTokens, prefixShare }: Workload,
  prefix: string,
  calibration: Calibration,
  random: RandomSource,
): Asked {
  const tokens = drawLength(promptTokens, random);
  const own = textOfTokens(tokens, calibration, random);
  const hasPrefix = prefix !== '' && random.next() < prefixShare;
  return {
    messages: [{ role: 'user', content: hasPrefix ? `${prefix} ${own}` : own }],
    promptTokens: hasPrefix ? tokens + prefixTokens : tokens,
    outputTokens: drawLength(outputTokens, random),
  };
}

function sampled(
  dataset: readonly DatasetEntry[],
  { outputTokens, hasDatasetLengths }: Workload,
  random: RandomSource,
): Asked {
  const entry = dataset[random.integer(0, dataset.length - 1)];
  if (entry === undefined) throw new Error('the dataset is empty');
  const recorded = entry.answer === undefined ? undefined : tokensOfText(entry.answer);
  return {
    messages: entry.messages,
    promptTokens: undefined,
    outputTokens: hasDatasetLengths
      ? (entry.outputTokens ?? recorded ?? UNKNOWN_OUTPUT_TOKENS)
      : drawLength(outputTokens, random),
  };
}

/** About; for texts that no tokenizer has counted. */
export function tokensOfText(text: string): number {
  return Math.max(1, Math.round(text.length / CHARACTERS_PER_TOKEN));
}

export function stepText(step: Step): string {
  if (step.kind === 'closed') return step.concurrency === 1 ? '1 user' : `${step.concurrency} users`;
  return `${step.rate}/s`;
}
