/**
 * Chooses tokens for one generation after another on one sequence: each begins with a state of its own, the same for
 * the same seed. Owns the native sampler, which is kept because each has room for the whole vocabulary, and how many
 * tokens it has chosen. Invariant: what changes on the way (a grammar, that the model may end) loses nothing of the rest.
 */

import { randomInt } from 'node:crypto';
import type { LikelyToken, TokenBias, TokenLogprob } from '../../../core/generation.ts';
import type { EngineGenerationRequest } from '../messages.ts';
import type { Token } from './library.ts';
import type { GrammarState, NativeContext, NativeSampler, SamplerConfig } from './native.ts';
import type { TokenBytes } from './vocabulary.ts';

/** As in llama.cpp: penalties look at the last 64 tokens; here only at those of the answer. */
const PENALIZED_TOKENS = 64;
const MIN_TEMPERATURE = 0.001;
const MAX_SEED = 2 ** 31 - 1;
/** Far below any logit, and yet not infinite: where a grammar leaves nothing but the end, that is still chosen. */
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
  #said: Token[] = [];
  #tokens = 0;
  /** In force now. */
  #ruledOut: readonly Token[] = NONE;
  /** What is ruled out may change on the way. */
  #changes = false;
  #grammar: GrammarState | undefined;
  /** What penalties look at, oldest first. */
  #penalized: Token[] = [];

  /** `endTokens`: all with which the model ends its turn. */
  constructor(native: NativeSampler, endTokens: readonly Token[]) {
    this.#native = native;
    this.#endTokens = endTokens;
  }

  begin(
    { sampling, limits }: Pick<EngineGenerationRequest, 'sampling' | 'limits'>,
    banned: readonly (readonly Token[])[] = NONE,
  ): void {
    const seed = sampling.seed ?? randomInt(MAX_SEED);
    // The native one keeps what a setting has gathered until the setting changes: it is changed to another seed, and
    // to no penalties and no grammar, so that nothing is left of the generation before.
    this.#native.applyConfig({ temperature: 0, seed: seed === this.#seed ? seed + 1 : this.#seed });
    this.#config = configFor(sampling, seed);
    this.#biases = sampling.logitBias ?? [];
    this.#tokensBeforeEnd = limits.ignoreEos ? Number.POSITIVE_INFINITY : (limits.minTokens ?? 0);
    this.#stopTokens = limits.stopTokens ?? [];
    this.#tokensBeforeStop = limits.minTokens ?? 0;
    this.#banned = banned;
    this.#said = [];
    this.#tokens = 0;
    this.#changes = this.#tokensBeforeEnd > 0 || banned.length > 0;
    this.#ruledOut = this.#toRuleOut();
    this.#grammar = undefined;
    this.#penalized = [];
    this.#seed = seed;
    this.#apply();
  }

  /** From now on only what the grammar allows is chosen; penalties begin anew. */
  constrain(grammar: GrammarState): void {
    this.#grammar = grammar;
    this.#penalized = [];
    this.#apply();
  }

  /** Lets go of the grammar. */
  end(): void {
    this.#grammar = undefined;
    this.#native.applyConfig({ temperature: 0, seed: this.#seed });
  }

  /** Throws where nothing can follow. */
  async sample(context: NativeContext, logitIndex: number): Promise<Token> {
    if (this.#changes) this.#ruleOut();
    const token = await context.sampleToken(logitIndex, this.#native);
    if (token < 0) throw new Error('No token can follow.');
    this.#tokens += 1;
    if (!this.#changes) return token;
    this.#penalized = [...this.#penalized, token].slice(-PENALIZED_TOKENS);
    const longest = this.#banned.reduce((most, { length }) => Math.max(most, length - 1), 0);
    this.#said = longest === 0 ? [] : [...this.#said, token].slice(-longest);
    return token;
  }

  #ruleOut(): void {
    const now = this.#toRuleOut();
    const before = this.#ruledOut;
    if (now.length === before.length && now.every((token, index) => token === before[index])) return;
    this.#ruledOut = now;
    this.#apply();
  }

  #toRuleOut(): readonly Token[] {
    if (!this.#changes) return NONE;
    const isNext = (tokens: readonly Token[]): boolean => {
      const before = tokens.length - 1;
      const last = before === 0 ? [] : this.#said.slice(-before);
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
      ...biasing(ruling(this.#biases, this.#ruledOut)),
      // The native one keeps its own list where it is told the same.
      ...(config.repeatPenaltyTokens && { repeatPenaltyTokens: Uint32Array.from(this.#penalized) }),
      ...(this.#grammar && { grammarEvaluationState: this.#grammar }),
    });
  }
}

function configFor(sampling: EngineGenerationRequest['sampling'], seed: number): SamplerConfig {
  const { temperature, topP, topK, minP, repeatPenalty, presencePenalty, frequencyPenalty } = sampling;
  const penalizes = repeatPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
  return {
    // So little would be infinite in the logits.
    temperature: temperature < MIN_TEMPERATURE ? 0 : temperature,
    topP,
    minP,
    seed,
    // 0 would sort the whole vocabulary for nothing.
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

function biasing(biases: readonly TokenBias[]): SamplerConfig {
  if (biases.length === 0) return {};
  return {
    tokenBiasKeys: Uint32Array.from(biases, ({ token }) => token),
    tokenBiasValues: Float32Array.from(biases, ({ bias }) => bias),
  };
}

function ruling(biases: readonly TokenBias[], ruledOut: readonly Token[]): readonly TokenBias[] {
  if (ruledOut.length === 0) return biases;
  const out = new Set(ruledOut);
  const others = biases.filter(({ token }) => !out.has(token));
  return [...others, ...Array.from(out, (token) => ({ token, bias: RULED_OUT_BIAS }))];
}

/**
 * Reads log-probabilities at the place of a token: the model's own distribution over the whole vocabulary, as
 * llama.cpp's server gives it, whatever the sampling settings are. Owns two native samplers that choose nothing.
 */

const NOTHING_FILTERED = { topP: 1, minP: 0, seed: 0 } as const;

export class LogprobReader {
  readonly #context: NativeContext;
  readonly #bytesOf: TokenBytes;
  /** Sees the whole vocabulary: sums it up. */
  readonly #weigher: NativeSampler;
  /** Keeps the likeliest alone: sorting all of them takes milliseconds. */
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

  /** `top`: how many of the likeliest are told; 0 for none. */
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

/** The library gives token and value in turn. */
function pairs(flat: readonly number[]): (readonly [Token, number])[] {
  const found: (readonly [Token, number])[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    found.push([flat[index] as number, flat[index + 1] as number]);
  }
  return found;
}
