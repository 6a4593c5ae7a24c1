/**
 * Chooses tokens, and reads log-probabilities. A `Sampler` serves one generation after another on one sequence; each
 * begins with a state of its own, the same for the same seed. It owns the native sampler, which is reused because it has
 * room for the whole vocabulary. Invariant: a setting that changes during an answer (its grammar, whether it may end)
 * leaves the other settings as they are.
 */
import { randomInt } from 'node:crypto';
import type { LikelyToken, TokenBias, TokenLogprob } from '../../../core/generation.ts';
import type { EngineGenerationRequest } from '../messages.ts';
import type { GrammarState, NativeContext, NativeSampler, SamplerConfig, Token } from './library.ts';
import type { TokenBytes } from './vocabulary.ts';

/** As in llama.cpp, penalties look at the last 64 tokens; here only at those of the answer. */
const PENALIZED_TOKENS = 64;
const MIN_TEMPERATURE = 0.001;
const MAX_SEED = 2 ** 31 - 1;
/** Far below any logit, but finite: a token that is the only one that a grammar allows is still chosen. */
const RULED_OUT_BIAS = -10_000;
const NONE: readonly never[] = [];

export class Sampler {
  readonly #native: NativeSampler;
  readonly #endTokens: readonly Token[];
  #seed = 0;
  #config: SamplerConfig = {};
  #biases: readonly TokenBias[] = [];
  #tokensBeforeEnd = 0;
  #stopTokens: readonly Token[] = [];
  #tokensBeforeStop = 0;
  /** Token sequences whose last token may not follow the others. */
  #banned: readonly (readonly Token[])[] = [];
  /** As many of the last tokens as the longest of these needs, oldest first. */
  #lastTokens: Token[] = [];
  #tokens = 0;
  /** By the native sampler now. */
  #ruledOut: readonly Token[] = NONE;
  /** Whether what is ruled out can change during the answer. */
  #changes = false;
  #grammar: GrammarState | undefined;
  /** Oldest first. */
  #penalized: Token[] = [];

  /** `endTokens`: all with which the model ends its turn. */
  constructor(native: NativeSampler, endTokens: readonly Token[]) {
    this.#native = native;
    this.#endTokens = endTokens;
  }

  begin(
    {
      sampling,
      limits,
      begunWith = NONE,
    }: Pick<EngineGenerationRequest, 'sampling' | 'limits' | 'begunWith'>,
    banned: readonly (readonly Token[])[] = NONE,
  ): void {
    const seed = sampling.seed ?? randomInt(MAX_SEED);
    // The native sampler keeps the state of a setting until that setting changes: another seed, no penalties and no
    // grammar leave nothing of the generation before.
    this.#native.applyConfig({ temperature: 0, seed: seed === this.#seed ? seed + 1 : this.#seed });
    this.#config = configFor(sampling, seed);
    this.#biases = sampling.logitBias ?? [];
    this.#tokensBeforeEnd = limits.ignoreEos ? Number.POSITIVE_INFINITY : (limits.minTokens ?? 0);
    this.#stopTokens = limits.stopTokens ?? [];
    this.#tokensBeforeStop = limits.minTokens ?? 0;
    this.#banned = banned;
    const longest = banned.reduce((max, { length }) => Math.max(max, length - 1), 0);
    this.#lastTokens = longest === 0 ? [] : (begunWith.slice(-longest) as Token[]);
    this.#tokens = begunWith.length;
    this.#changes = this.#tokensBeforeEnd > 0 || banned.length > 0;
    this.#ruledOut = this.#tokensToRuleOut();
    this.#grammar = undefined;
    this.#penalized = begunWith.slice(-PENALIZED_TOKENS) as Token[];
    this.#seed = seed;
    this.#apply();
  }

  /** From now on only tokens that the grammar allows are chosen; penalties start over. */
  constrain(grammar: GrammarState): void {
    this.#grammar = grammar;
    this.#penalized = [];
    this.#apply();
  }

  /** Releases the grammar. */
  end(): void {
    this.#grammar = undefined;
    this.#native.applyConfig({ temperature: 0, seed: this.#seed });
  }

  /** Throws if no token can follow. */
  async sample(context: NativeContext, logitIndex: number): Promise<Token> {
    if (this.#changes) this.#updateRuledOut();
    const token = await context.sampleToken(logitIndex, this.#native);
    if (token < 0) throw new Error('No token can follow.');
    this.#tokens += 1;
    if (!this.#changes) return token;
    this.#penalized = [...this.#penalized, token].slice(-PENALIZED_TOKENS);
    const longest = this.#banned.reduce((max, { length }) => Math.max(max, length - 1), 0);
    this.#lastTokens = longest === 0 ? [] : [...this.#lastTokens, token].slice(-longest);
    return token;
  }

  #updateRuledOut(): void {
    const now = this.#tokensToRuleOut();
    const before = this.#ruledOut;
    if (now.length === before.length && now.every((token, index) => token === before[index])) return;
    this.#ruledOut = now;
    this.#apply();
  }

  #tokensToRuleOut(): readonly Token[] {
    if (!this.#changes) return NONE;
    const isNext = (tokens: readonly Token[]): boolean => {
      const before = tokens.length - 1;
      const last = before === 0 ? [] : this.#lastTokens.slice(-before);
      return last.length === before && last.every((token, index) => token === tokens[index]);
    };
    return [
      ...(this.#tokens < this.#tokensBeforeEnd ? this.#endTokens : NONE),
      ...(this.#tokens < this.#tokensBeforeStop ? this.#stopTokens : NONE),
      ...this.#banned.filter(isNext).map((tokens) => tokens.at(-1) as Token),
    ];
  }

  #apply(): void {
    const config = this.#config;
    this.#native.applyConfig({
      ...config,
      ...biasConfig(withRuledOut(this.#biases, this.#ruledOut)),
      // The native sampler keeps the tokens that it has added to an unchanged list.
      ...(config.repeatPenaltyTokens && { repeatPenaltyTokens: Uint32Array.from(this.#penalized) }),
      ...(this.#grammar && { grammarEvaluationState: this.#grammar }),
    });
  }
}

function configFor(sampling: EngineGenerationRequest['sampling'], seed: number): SamplerConfig {
  const { temperature, topP, topK, minP, repeatPenalty, presencePenalty, frequencyPenalty } = sampling;
  const penalizes = repeatPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
  return {
    // A lower temperature would make the logits infinite.
    temperature: temperature < MIN_TEMPERATURE ? 0 : temperature,
    topP,
    minP,
    seed,
    // With 0 the whole vocabulary would be sorted for nothing.
    ...(topK > 0 && { topK }),
    ...(penalizes && {
      repeatPenalty,
      repeatPenaltyMaxTokens: PENALIZED_TOKENS,
      repeatPenaltyTokens: new Uint32Array(),
      repeatPenaltyPresencePenalty: presencePenalty,
      repeatPenaltyFrequencyPenalty: frequencyPenalty,
    }),
  };
}

function biasConfig(biases: readonly TokenBias[]): SamplerConfig {
  if (biases.length === 0) return {};
  return {
    tokenBiasKeys: Uint32Array.from(biases, ({ token }) => token),
    tokenBiasValues: Float32Array.from(biases, ({ bias }) => bias),
  };
}

function withRuledOut(biases: readonly TokenBias[], ruledOut: readonly Token[]): readonly TokenBias[] {
  if (ruledOut.length === 0) return biases;
  const out = new Set(ruledOut);
  const others = biases.filter(({ token }) => !out.has(token));
  return [...others, ...Array.from(out, (token) => ({ token, bias: RULED_OUT_BIAS }))];
}

const NOTHING_FILTERED = { topP: 1, minP: 0, seed: 0 } as const;

/**
 * Reads log-probabilities at the place of a token: the model's own distribution over the whole vocabulary, as
 * llama.cpp's server gives it, whatever the sampling settings are. Owns two native samplers that choose nothing.
 */
export class LogprobReader {
  readonly #context: NativeContext;
  readonly #bytesOf: TokenBytes;
  /** Sums up the whole vocabulary. */
  readonly #weigher: NativeSampler;
  /** Keeps the likeliest tokens only: sorting all takes milliseconds. */
  readonly #ranker: NativeSampler;

  constructor(options: {
    readonly context: NativeContext;
    readonly bytesOf: TokenBytes;
    readonly createSampler: () => NativeSampler;
  }) {
    this.#context = options.context;
    this.#bytesOf = options.bytesOf;
    this.#weigher = options.createSampler();
    this.#weigher.applyConfig({ temperature: 0 });
    this.#ranker = options.createSampler();
  }

  /** `top`: how many of the likeliest are read; 0 for none. */
  async read(logitIndex: number, token: Token, top: number): Promise<TokenLogprob> {
    const [likeliest, , , logits = [], weight = 1] = await this.#context.sampleToken(
      logitIndex,
      this.#weigher,
      false,
      false,
      [[token], false, false, true, 0],
      true,
    );
    const logitOf = new Map(pairs(logits));
    // The weight is the sum over all tokens, relative to the likeliest one.
    const norm = (logitOf.get(likeliest) ?? 0) + Math.log(weight);
    const describe = (of: Token, logit: number): LikelyToken => ({
      token: of,
      bytes: this.#bytesOf(of),
      logprob: Math.min(0, logit - norm),
    });
    const ranked = top === 0 ? [] : await this.#rank(logitIndex, top);
    const own = logitOf.get(token) ?? Number.NEGATIVE_INFINITY;
    return { ...describe(token, own), top: ranked.map(([of, logit]) => describe(of, logit)) };
  }

  async #rank(logitIndex: number, top: number): Promise<readonly (readonly [Token, number])[]> {
    this.#ranker.applyConfig({ ...NOTHING_FILTERED, temperature: 1, topK: top });
    const [, , , logits = []] = await this.#context.sampleToken(
      logitIndex,
      this.#ranker,
      false,
      false,
      true,
      false,
    );
    return pairs(logits).sort(([, a], [, b]) => b - a);
  }
}

/** The library returns tokens and values alternately. */
function pairs(flat: readonly number[]): (readonly [Token, number])[] {
  const found: (readonly [Token, number])[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    found.push([flat[index] as number, flat[index + 1] as number]);
  }
  return found;
}
