/**
 * What comes before the first load, and is not measured: two requests that show how the server counts tokens and which of the optional
 * fields it takes, then as many as are wanted to open connections and fill caches.
 */
import type { Clock } from '../core/clock.ts';
import { BenchClient, type ClientOptions } from './client.ts';
import { countTokens, type ServerAccess, type ServerFacts } from './inspect-server.ts';
import { UNREACHABLE } from './lost-server.ts';
import { type Calibration, calibrate, randomText, UNCALIBRATED } from './prompts.ts';
import { PROTOCOLS } from './protocols.ts';
import { RandomSource, seedFor } from './random.ts';
import type { RequestRecord } from './record.ts';
import type { BenchSettings } from './settings.ts';

/** What stops a run before it measures anything: a message for people. */
export class BenchError extends Error {}

/** Words of the two prompts by which it is learnt how the server counts. */
const PROBE_WORDS = { short: 16, long: 80 };
const PROBE_TOKENS = 8;
/** Statuses after which every further request would fail the same way. */
const HOPELESS = /^http_4(?!29|08)/;
const MAX_ERROR_CHARACTERS = 500;

export interface WarmUpOptions {
  readonly access: ServerAccess;
  readonly server: ServerFacts;
  readonly model: string;
  readonly address: string;
  readonly settings: BenchSettings;
  /** Prompts come from a file. */
  readonly hasDataset: boolean;
  /** Answers of the file whose length is not given in tokens. */
  readonly hasEstimatedLengths: boolean;
  readonly clock: Pick<Clock, 'now'>;
}

export interface WarmedUp {
  readonly client: BenchClient;
  readonly calibration: Calibration;
  /** What a reader of the figures must know. */
  readonly notes: readonly string[];
}

/** The fields that servers may not know, in the order in which they are tried. */
type OptionalFields = Pick<ClientOptions, 'ignoreEos' | 'wantsUsage'>;

/** Where the user ends the run meanwhile, what it resolves with means nothing. */
export async function warmUp(options: WarmUpOptions): Promise<WarmedUp> {
  const { access, settings } = options;
  const random = new RandomSource(seedFor(settings.seed, 0, 4));
  const probe: Probe = (asked, words) => sendProbe(asked, randomText(words, random), options);
  const { client, fields, first } = await firstAnswer(options, probe);
  const notes = [...failureNotes(client, first, options), ...fieldNotes(fields, options)];
  const second = first.error === undefined ? await probe(client, PROBE_WORDS.long) : undefined;
  const calibration = await learnCounting(first, second, options, random);
  if (!options.hasDataset && !calibration.isMeasured)
    notes.push(
      'The server counts no prompt tokens and has no tokenizer to ask: a word is taken for a token, so prompt lengths are approximate.',
    );
  if (options.hasEstimatedLengths)
    notes.push('Lengths of recorded answers are estimated as 4 characters a token.');
  if (first.error === undefined && !access.signal.aborted)
    await Promise.all(Array.from({ length: settings.warmup }, () => probe(client, PROBE_WORDS.long)));
  return { client, calibration, notes };
}

/** A request with a prompt of so many words. */
type Probe = (client: BenchClient, words: number) => Promise<RequestRecord>;

function sendProbe(
  client: BenchClient,
  content: string,
  { clock, access }: WarmUpOptions,
): Promise<RequestRecord> {
  const messages = [{ role: 'user', content }];
  return client.send(
    { index: 0, dueAt: undefined, messages, promptTokens: undefined, outputTokens: PROBE_TOKENS },
    { stepBeganAt: clock.now(), signal: access.signal },
  );
}

/** Asks until the server takes the fields: without ignore_eos where it refuses that, then without stream_options. */
async function firstAnswer(
  options: WarmUpOptions,
  probe: Probe,
): Promise<{ readonly client: BenchClient; readonly fields: OptionalFields; readonly first: RequestRecord }> {
  const { canIgnoreEos, asksForUsage } = PROTOCOLS[options.server.protocol];
  let fields: OptionalFields = {
    ignoreEos: options.settings.ignoreEos && canIgnoreEos,
    wantsUsage: asksForUsage,
  };
  for (;;) {
    const client = new BenchClient(clientOptions(options, fields));
    const first = await probe(client, PROBE_WORDS.short);
    const isRefused = first.error === 'http_400' || first.error === 'http_422';
    if (!isRefused || !fields.wantsUsage) return { client, fields, first };
    fields = { ignoreEos: false, wantsUsage: fields.ignoreEos };
  }
}

function clientOptions(
  { access, server, model, settings, clock }: WarmUpOptions,
  fields: OptionalFields,
): ClientOptions {
  const { http, key, headers } = access;
  const protocol = PROTOCOLS[server.protocol];
  const thinking = settings.think === undefined ? undefined : protocol.think(settings.think, server.kind);
  if (settings.think !== undefined && thinking === undefined)
    throw new BenchError(
      `The ${server.protocol} protocol has no field for --think ${settings.think}. Give the server’s own with --body.`,
    );
  return {
    ...{ http, protocol, model, key, headers, timeoutMs: settings.timeoutMs, now: () => clock.now() },
    extraBody: { ...thinking, ...settings.extraBody },
    ...fields,
  };
}

function failureNotes(
  { lastErrorText = '' }: BenchClient,
  { error }: RequestRecord,
  { access, address }: WarmUpOptions,
): readonly string[] {
  if (error === undefined || access.signal.aborted) return [];
  const words = lastErrorText === '' ? '' : `: ${lastErrorText.slice(0, MAX_ERROR_CHARACTERS)}`;
  if (UNREACHABLE.has(error) || error === 'timeout')
    throw new BenchError(`The first request got no answer (${error}).`);
  if (HOPELESS.test(error)) throw new BenchError(`${address} refused the first request (${error})${words}`);
  return [`The first request failed (${error})${words}`];
}

function fieldNotes(
  { ignoreEos, wantsUsage }: OptionalFields,
  { settings, server }: WarmUpOptions,
): readonly string[] {
  const { canIgnoreEos, asksForUsage } = PROTOCOLS[server.protocol];
  const notes: string[] = [];
  if (settings.ignoreEos && !canIgnoreEos)
    notes.push(`The ${server.protocol} protocol has no ignore_eos: answers end where the model ends them.`);
  else if (settings.ignoreEos && !ignoreEos)
    notes.push('The server does not take ignore_eos: answers end where the model ends them.');
  if (asksForUsage && !wantsUsage)
    notes.push('The server does not take stream_options: tokens of answers are counted as arrivals of text.');
  return notes;
}

async function learnCounting(
  short: RequestRecord,
  long: RequestRecord | undefined,
  { access, model }: WarmUpOptions,
  random: RandomSource,
): Promise<Calibration> {
  if (short.promptTokens !== undefined && long?.promptTokens !== undefined)
    return calibrate(
      { words: PROBE_WORDS.short, tokens: short.promptTokens },
      { words: PROBE_WORDS.long, tokens: long.promptTokens },
    );
  const counts = await Promise.all(
    [PROBE_WORDS.short, PROBE_WORDS.long].map(async (words) => ({
      words,
      tokens: await countTokens(access, randomText(words, random), model),
    })),
  );
  const [few, many] = counts;
  if (few?.tokens === undefined || many?.tokens === undefined) return UNCALIBRATED;
  return calibrate({ words: few.words, tokens: few.tokens }, { words: many.words, tokens: many.tokens });
}
