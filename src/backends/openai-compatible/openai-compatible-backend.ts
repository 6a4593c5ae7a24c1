/**
 * A model behind a server that speaks the OpenAI API. Cancelling is closing the socket. It owns what it learned of the
 * server: its dialect, the context's size, and whether its template takes the switch for thinking.
 */
import type {
  Backend,
  CallOptions,
  EmbeddingRequest,
  Embeddings,
  GenerateOptions,
  Generation,
  GenerationSink,
  TargetStatus,
  Tokenizer,
} from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { RunningGeneration } from '../../core/sink.ts';
import type { Exchange } from '../../upstream/exchange.ts';
import { SseReader } from '../../upstream/sse-reader.ts';
import { type JsonAnswer, readJson, Upstream } from '../../upstream/upstream.ts';
import type { BackendEnvironment } from '../backend-definition.ts';
import { adaptedOptions } from './adapted-options.ts';
import { AnswerReader } from './answer-reader.ts';
import { DIALECTS, type Dialect, detectDialect, type Flavor } from './dialect.ts';
import { cannotCut, cannotEmbed, EMBEDDINGS_PATH, embedBody, readEmbeddings } from './embedding.ts';
import { passedFeatures, passedNames } from './passed-fields.ts';
import { type BodyOptions, generateCall } from './request-body.ts';
import { probeServer, unreachable, withProps } from './server-probe.ts';
import { KnownProps, refuseBeyondTemplate } from './server-props.ts';
import { serverTokenizer } from './server-tokenizer.ts';
import { modelMissing, refusal, refusedWithin } from './upstream-error.ts';
import { mayBeWhole, readWholeAnswer } from './whole-answer.ts';

export interface OpenAiCompatibleTarget {
  readonly model: string;
  readonly url: string;
  readonly api_key?: string;
  readonly flavor: 'auto' | Flavor;
  readonly context_size?: number;
  readonly pass_fields?: readonly string[];
  readonly whole_answers?: 'auto' | 'streamed';
  readonly connect_timeout_ms: number;
}

interface Run {
  readonly request: GenerationRequest;
  readonly generation: RunningGeneration;
  readonly options: GenerateOptions;
}

/** What is passed on to a server of that dialect. */
type Passing = Pick<BodyOptions, 'dialect' | 'passed' | 'supports'>;

/** An answer with status 200, and how it was asked for in the end. */
interface Opened {
  readonly exchange: Exchange;
  readonly asked: BodyOptions;
}

export class OpenAiCompatibleBackend implements Backend {
  /** Refuses where the server has no such routes: which it is may be known only when it is asked. */
  readonly tokenizer: Tokenizer;
  readonly #target: OpenAiCompatibleTarget;
  readonly #upstream: Upstream;
  readonly #environment: Pick<BackendEnvironment, 'clock' | 'log'>;
  #dialect: Dialect | undefined;
  #contextSize: number | undefined;
  #vocabularySize: number | undefined;
  #passes: Passing | undefined;
  #templateSwitch = true;
  #maxTokensName: BodyOptions['maxTokensName'] = 'max_tokens';
  readonly #props = new KnownProps();
  #wholeIsWorse = false;
  #saidUsageMissing = false;
  /** Until the server takes the key again. */
  #saidKeyRefused = false;

  constructor(target: OpenAiCompatibleTarget, environment: Pick<BackendEnvironment, 'clock' | 'log'>) {
    this.#target = target;
    this.#environment = environment;
    this.#contextSize = target.context_size;
    this.#dialect = target.flavor === 'auto' ? undefined : DIALECTS[target.flavor];
    this.#upstream = new Upstream({
      // Health is asked at the server's root, so the API's own prefix is part of each path.
      url: target.url.replace(/\/v1\/?$/, ''),
      connectTimeoutMs: target.connect_timeout_ms,
      headers: target.api_key === undefined ? {} : { authorization: `Bearer ${target.api_key}` },
      clock: environment.clock,
    });
    this.tokenizer = serverTokenizer({
      upstream: this.#upstream,
      model: target.model,
      speaks: (signal) => this.#speaks(signal),
      refusal: (answer) => this.#refusal(answer),
    });
  }

  generate(request: GenerationRequest, sink: GenerationSink, options: GenerateOptions): Generation {
    const { whole_answers } = this.#target;
    const asksWhole = options.delivery === 'whole' && whole_answers !== 'streamed' && mayBeWhole(request);
    return new RunningGeneration(sink, (generation) => {
      const run = { request, generation, options };
      return asksWhole && !this.#wholeIsWorse ? this.#runWhole(run) : this.#runStream(run);
    });
  }

  async embed(request: EmbeddingRequest, { signal }: CallOptions): Promise<Embeddings> {
    const body = embedBody(request, this.#target.model);
    const answer = await this.#upstream.json({ method: 'POST', path: EMBEDDINGS_PATH, body, signal });
    if (answer.status !== 200) throw cannotEmbed(answer) ?? cannotCut(answer) ?? this.#refusal(answer);
    this.#saidKeyRefused = false;
    return readEmbeddings(answer.body, request);
  }

  async probe({ signal }: CallOptions): Promise<TargetStatus> {
    try {
      const dialect = await this.#speaks(signal);
      const { model, context_size: contextSize } = this.#target;
      const probe = { upstream: this.#upstream, model, dialect, contextSize };
      const { status, vocabularySize, identity } = await probeServer(probe, signal);
      this.#contextSize = status.contextSize ?? this.#contextSize;
      this.#vocabularySize = vocabularySize;
      if (dialect.propsPath === undefined || identity === undefined) return status;
      const about = { upstream: this.#upstream, path: dialect.propsPath, identity };
      return withProps(status, await this.#props.learn(about, signal));
    } catch (thrown) {
      // What comes back under this address may be another server.
      if (this.#target.flavor === 'auto') this.#dialect = undefined;
      this.#templateSwitch = true;
      this.#maxTokensName = 'max_tokens';
      this.#wholeIsWorse = false;
      this.#props.forget();
      return unreachable(thrown, signal);
    }
  }

  /** These servers load their model before they answer: there is nothing to do but to look. */
  async warmUp({ signal }: CallOptions): Promise<void> {
    const { state, detail } = await this.probe({ signal });
    if (signal.aborted) throw signal.reason;
    if (state === 'ready') return;
    if (state === 'not_found') throw modelMissing(this.#target.model);
    const code = state === 'loading' ? 'model_loading' : 'no_backend_available';
    throw new ServingError(code, { retryAfterSeconds: 1, cause: new Error(detail) });
  }

  async close(): Promise<void> {
    await this.#upstream.close();
  }

  async #runWhole(run: Run): Promise<void> {
    const { request, generation, options } = run;
    options.onAskedWhole?.();
    const opened = await this.#open(run, { whole: true });
    const { headers } = opened.exchange;
    if (String(headers['content-type']).startsWith('text/event-stream')) {
      this.#warnOfWhole();
      return this.#readStream(run, opened);
    }
    const body = await readJson(opened.exchange);
    const status = refusedWithin(body);
    if (status !== undefined) throw this.#refusal({ status, headers, body }, request);
    const { events, isWorse } = readWholeAnswer(body, request.limits.maxTokens);
    if (isWorse) this.#warnOfWhole();
    for (const event of events) generation.event(event);
  }

  async #runStream(run: Run): Promise<void> {
    await this.#readStream(run, await this.#open(run, { whole: false }));
  }

  async #readStream({ request, generation }: Run, { exchange, asked }: Opened): Promise<void> {
    const answer = new AnswerReader({
      sink: generation,
      clock: this.#environment.clock,
      bounds: { maxTokens: asked.maxTokens, contextSize: this.#contextSize },
      refusal: (status, body) => this.#refusal({ status, headers: exchange.headers, body }, request),
      logprobs: request.logprobs,
      onFinish: () => exchange.finish(),
      onUsageMissing: () => this.#warnOfUsage(),
    });
    try {
      const events = new SseReader((event) => answer.event(event));
      await exchange.read((chunk) => events.push(chunk));
      events.end();
      answer.end();
    } finally {
      answer.dispose();
    }
  }

  /** Asks again, without, where the server refuses something that it can do without. Any other refusal is the answer. */
  async #open(
    { request, generation, options: { promptTokensFirst = false } }: Run,
    { whole }: { readonly whole: boolean },
  ): Promise<Opened> {
    const dialect = this.#dialect ?? (await this.#speaks(generation.signal));
    let options = this.#bodyOptions(request, { dialect, whole, promptTokensFirst });
    let before = options;
    refuseBeyondTemplate(request, this.#props.current);
    for (;;) {
      const { path, body } = generateCall(request, options);
      const call = { method: 'POST', path, body } as const;
      const exchange = await this.#upstream.open(call, (held) => generation.hold(held));
      const { status, headers } = exchange;
      if (status === 200) {
        this.#saidKeyRefused = false;
        this.#learn(before, options);
        return { exchange, asked: options };
      }
      const answer = { status, headers, body: await readJson(exchange) };
      const adapted = adaptedOptions(options, { request, sent: body, answer });
      if (adapted === undefined) throw this.#refusal(answer, request);
      before = options;
      options = adapted;
    }
  }

  /** Only what has helped: a server's words may repeat what one client wrote, and all others would have to live with it. */
  #learn(before: BodyOptions, helped: BodyOptions): void {
    if (before.templateSwitch && !helped.templateSwitch) this.#templateSwitch = false;
    if (before.maxTokensName !== helped.maxTokensName) this.#maxTokensName = helped.maxTokensName;
  }

  #bodyOptions(
    { limits: { maxTokens } }: GenerationRequest,
    { dialect, whole, promptTokensFirst }: Pick<BodyOptions, 'dialect' | 'whole' | 'promptTokensFirst'>,
  ): BodyOptions {
    const { passed, supports } = this.#passing(dialect);
    return {
      dialect,
      whole,
      promptTokensFirst,
      model: this.#target.model,
      passed,
      supports,
      maxTokens,
      maxTokensName: this.#maxTokensName,
      contextSize: this.#contextSize,
      vocabularySize: this.#vocabularySize,
      templateSwitch: this.#templateSwitch,
      strictTools: true,
    };
  }

  #passing(dialect: Dialect): Passing {
    if (this.#passes?.dialect === dialect) return this.#passes;
    const passed = passedNames(dialect.flavor, this.#target.pass_fields ?? []);
    this.#passes = { dialect, passed, supports: [...dialect.supports, ...passedFeatures(passed)] };
    return this.#passes;
  }

  #refusal(answer: JsonAnswer, request?: GenerationRequest): ServingError {
    const { clock, log } = this.#environment;
    const isKeyRefused = answer.status === 401 || answer.status === 403;
    if (isKeyRefused && !this.#saidKeyRefused) {
      this.#saidKeyRefused = true;
      log.error('the server does not accept the api_key of this target', {
        url: this.#target.url,
        status: answer.status,
      });
    }
    return refusal(answer, { model: this.#target.model, wallNowMs: clock.wallNow(), request });
  }

  async #speaks(signal: AbortSignal): Promise<Dialect> {
    if (this.#dialect !== undefined) return this.#dialect;
    const detected = await detectDialect(this.#upstream, signal);
    this.#dialect = detected;
    return detected ?? DIALECTS.generic;
  }

  #warnOfWhole(): void {
    this.#wholeIsWorse = true;
    this.#environment.log.warn(
      'whole answers of this server lack usage, exceed max_tokens or arrive as streams: it is asked for streams from now on',
      { url: this.#target.url },
    );
  }

  #warnOfUsage(): void {
    if (this.#saidUsageMissing) return;
    this.#saidUsageMissing = true;
    this.#environment.log.warn(
      'the server reports no usage: pieces of text are counted as tokens, prompts as 0',
      {
        url: this.#target.url,
      },
    );
  }
}
