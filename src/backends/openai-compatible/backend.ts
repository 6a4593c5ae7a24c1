/**
 * A model behind a server that speaks the OpenAI API. Cancelling closes the socket. It owns what it has learned of the server: its
 * dialect, the context's size, what its chat template supports, and how it wants to be asked.
 */
import type {
  Along,
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
import { EmbeddingPieces } from '../../upstream/embedding-pieces.ts';
import type { Exchange } from '../../upstream/exchange.ts';
import { EventReader } from '../../upstream/stream-reader.ts';
import { type JsonResponse, readJson, Upstream } from '../../upstream/upstream.ts';
import type { BackendEnvironment } from '../backend-definition.ts';
import { OpenAiAnswerReader } from './answer-reader.ts';
import {
  type Dialect,
  dialectsOf,
  type Flavor,
  passedFeatures,
  passedNames,
  type ReasoningSetting,
} from './dialect.ts';
import {
  dimensionsUnsupported,
  embeddedStatus,
  embeddingsUnsupported,
  modelNotFound,
  namesEffort,
  responseError,
} from './errors.ts';
import { Listing } from './listing.ts';
import { LoadReader, noteLoad, serverRoot, withLoad } from './load.ts';
import {
  ACCEPTED_AT_FIRST,
  acceptedAfter,
  type BodyOptions,
  EMBEDDINGS_PATH,
  embedBody,
  generateCall,
  optionsForRetry,
} from './request-body.ts';
import { type RouterSettings, routerHeaders } from './router-headers.ts';
import {
  detectFlavor,
  MissingModel,
  PropsCache,
  probeServer,
  rejectUnsupportedByTemplate,
  unreachableStatus,
  withProps,
} from './server-probe.ts';
import { serverTokenizer } from './tokenizer.ts';
import { canBeWhole, readEmbeddings, readWholeAnswer } from './whole-answer.ts';

/** vLLM gives the request to this data-parallel rank, instead of choosing one. */
const RANK_HEADER = 'x-data-parallel-rank';

export interface OpenAiCompatibleTarget extends RouterSettings {
  readonly model: string;
  readonly url: string;
  readonly api_key?: string;
  readonly flavor: 'auto' | Flavor;
  readonly context_size?: number;
  readonly pass_fields?: readonly string[];
  readonly reasoning_field?: ReasoningSetting;
  readonly whole_answers?: 'auto' | 'streamed';
  readonly check_listed?: 'auto' | 'yes' | 'no';
  readonly data_parallel_rank?: number;
  readonly connect_timeout_ms: number;
}

type RemoteEnvironment = Pick<BackendEnvironment, 'clock' | 'log' | 'instanceId'>;

interface GenerationRun {
  readonly request: GenerationRequest;
  readonly generation: RunningGeneration;
  readonly options: GenerateOptions;
}

/** What is passed on to a server of this dialect. */
type PassThrough = Pick<BodyOptions, 'dialect' | 'passed' | 'supports'>;

/** A response with status 200, and the options with which it was requested in the end. */
interface OpenedAnswer {
  readonly exchange: Exchange;
  readonly requested: BodyOptions;
}

export class OpenAiCompatibleBackend implements Backend {
  /** Rejects if the server has no such routes, which may be known only when it is asked. */
  readonly tokenizer: Tokenizer;
  readonly #target: OpenAiCompatibleTarget;
  readonly #upstream: Upstream;
  readonly #environment: RemoteEnvironment;
  readonly #dialects: Readonly<Record<Flavor, Dialect>>;
  #dialect: Dialect | undefined;
  #contextSize: number | undefined;
  #vocabularySize: number | undefined;
  #passes: PassThrough | undefined;
  #accepted = ACCEPTED_AT_FIRST;
  readonly #props = new PropsCache();
  readonly #listing = new Listing();
  readonly #pieces = new EmbeddingPieces();
  readonly #load: LoadReader | undefined;
  #streamsOnly = false;
  #missingUsageLogged = false;
  readonly #missing = new MissingModel();
  /** Until the server accepts the key again. */
  #keyRejectionLogged = false;

  constructor(target: OpenAiCompatibleTarget, environment: RemoteEnvironment) {
    this.#target = target;
    this.#environment = environment;
    this.#contextSize = target.context_size;
    this.#dialects = dialectsOf(target.reasoning_field);
    this.#dialect = target.flavor === 'auto' ? undefined : this.#dialects[target.flavor];
    this.#upstream = new Upstream({
      url: serverRoot(target.url),
      connectTimeoutMs: target.connect_timeout_ms,
      headers: {
        ...(target.api_key !== undefined && { authorization: `Bearer ${target.api_key}` }),
        ...(target.data_parallel_rank !== undefined && {
          [RANK_HEADER]: String(target.data_parallel_rank),
        }),
      },
      instanceId: environment.instanceId,
      clock: environment.clock,
    });
    // Behind a router it would be the load of whichever engine answers.
    this.#load =
      target.router === undefined
        ? new LoadReader({
            upstream: this.#upstream,
            clock: environment.clock,
            rank: target.data_parallel_rank,
          })
        : undefined;
    this.tokenizer = serverTokenizer({
      upstream: this.#upstream,
      model: target.model,
      findDialect: (signal) => this.#findDialect(signal),
      responseError: (answer) => this.#responseError(answer),
    });
  }

  generate(request: GenerationRequest, sink: GenerationSink, options: GenerateOptions): Generation {
    const { whole_answers } = this.#target;
    const isWhole = options.delivery === 'whole' && whole_answers !== 'streamed' && canBeWhole(request);
    return new RunningGeneration(sink, (generation) => {
      const run = { request, generation, options };
      return isWhole && !this.#streamsOnly ? this.#runWhole(run) : this.#runStream(run);
    });
  }

  async embed(request: EmbeddingRequest, { signal, along }: CallOptions): Promise<Embeddings> {
    const { embeddingFormat: format } = await this.#findDialect(signal);
    return this.#pieces.embed(request.inputs, async (inputs) => {
      const asked = { ...request, inputs };
      const body = embedBody(asked, { model: this.#target.model, format });
      const headers = this.#routerHeaders(along);
      const call = { method: 'POST', path: EMBEDDINGS_PATH, body, along, headers, signal } as const;
      const answer = await this.#upstream.json(call);
      if (answer.status !== 200)
        throw embeddingsUnsupported(answer) ?? dimensionsUnsupported(answer) ?? this.#responseError(answer);
      this.#keyRejectionLogged = false;
      this.#missing.noteServed();
      return { ...readEmbeddings(answer.body, asked), sizeBytes: answer.sizeBytes ?? 0 };
    });
  }

  async probe({ signal }: CallOptions): Promise<TargetStatus> {
    try {
      const { clock } = this.#environment;
      const now = clock.now();
      // Which server it is, its list tells too.
      const dialect = await this.#findDialect(signal);
      const { model, context_size: contextSize } = this.#target;
      const probe = {
        upstream: this.#upstream,
        model,
        dialect,
        contextSize,
        mustBeListed: this.#missing.isDecidedByList(this.#target.check_listed, dialect, now),
        listing: this.#listing,
        now,
        wallNowMs: clock.wallNow(),
      };
      const loading = this.#load?.read(dialect, signal);
      const { status: found, vocabularySize, identity } = await probeServer(probe, signal);
      const status = withLoad(found, await loading);
      this.#contextSize = status.contextSize ?? this.#contextSize;
      this.#vocabularySize = vocabularySize;
      if (dialect.propsPath === undefined || identity === undefined) return status;
      const about = { upstream: this.#upstream, path: dialect.propsPath, identity };
      return withProps(status, await this.#props.learn(about, signal));
    } catch (thrown) {
      // The next server at this address may be another one.
      if (this.#target.flavor === 'auto') this.#dialect = undefined;
      this.#accepted = ACCEPTED_AT_FIRST;
      this.#streamsOnly = false;
      this.#props.forget();
      this.#listing.forget();
      this.#load?.forget();
      return unreachableStatus(thrown, signal);
    }
  }

  /** These servers load their model before they listen: nothing to do but to look. */
  async warmUp({ signal }: CallOptions): Promise<void> {
    const { state, detail } = await this.probe({ signal });
    if (signal.aborted) throw signal.reason;
    if (state === 'ready') return;
    if (state === 'not_found') throw modelNotFound(this.#target.model);
    const cause = new Error(detail);
    throw state === 'loading'
      ? new ServingError('model_loading', { retryAfterSeconds: 1, cause })
      : new ServingError('no_backend_available', { retryAfterSeconds: 1, failure: 'unreachable', cause });
  }

  async close(): Promise<void> {
    await this.#upstream.close();
  }

  async #runWhole(run: GenerationRun): Promise<void> {
    const { request, generation, options } = run;
    options.onUnstreamed?.();
    const opened = await this.#open(run, { whole: true });
    const { headers } = opened.exchange;
    noteLoad(headers, options);
    if (String(headers['content-type']).startsWith('text/event-stream')) {
      this.#warnOfUnstreamed();
      return this.#readStream(run, opened);
    }
    const body = await readJson(opened.exchange);
    const status = embeddedStatus(body);
    if (status !== undefined) throw this.#responseError({ status, headers, body }, request);
    const { events, isDegraded } = readWholeAnswer(body, request.limits.maxTokens);
    if (isDegraded) this.#warnOfUnstreamed();
    for (const event of events) generation.event(event);
  }

  async #runStream(run: GenerationRun): Promise<void> {
    await this.#readStream(run, await this.#open(run, { whole: false }));
  }

  async #readStream(
    { request, generation, options }: GenerationRun,
    { exchange, requested }: OpenedAnswer,
  ): Promise<void> {
    const answer = new OpenAiAnswerReader({
      sink: generation,
      clock: this.#environment.clock,
      bounds: { maxTokens: requested.maxTokens, contextSize: this.#contextSize },
      responseError: (status, body) =>
        this.#responseError({ status, headers: exchange.headers, body }, request),
      logprobs: request.logprobs,
      onFinish: () => exchange.finish(),
      onUsageMissing: () => this.#warnOfUsage(),
      onMalformedEvent: options.onMalformedEvent,
    });
    try {
      const events = new EventReader((event) => answer.event(event), {
        onMalformed: (line) => answer.malformed(line),
      });
      await exchange.read((chunk) => events.push(chunk));
      events.end();
      answer.end();
    } finally {
      answer.dispose();
    }
  }

  /** Tries again without what the server rejects but does not need. Any other error response is the result. */
  async #open(
    { request, generation, options: { promptTokensFirst = false, along } }: GenerationRun,
    { whole }: { readonly whole: boolean },
  ): Promise<OpenedAnswer> {
    const dialect = this.#dialect ?? (await this.#findDialect(generation.signal));
    let options = this.#bodyOptions(request, { dialect, whole, promptTokensFirst });
    let before = options;
    rejectUnsupportedByTemplate(request, this.#props.current);
    for (;;) {
      const { path, body } = generateCall(request, options);
      const asking = whole ? this.#load?.headersToAsk(dialect) : undefined;
      const call = {
        method: 'POST',
        path,
        body,
        along,
        headers: asking ?? this.#routerHeaders(along),
      } as const;
      const exchange = await this.#upstream.open(call, (held) => generation.hold(held));
      const { status, headers } = exchange;
      if (status === 200) {
        this.#keyRejectionLogged = false;
        this.#missing.noteServed();
        this.#accepted = acceptedAfter(this.#accepted, before, options);
        return { exchange, requested: options };
      }
      const answer = { status, headers, body: await readJson(exchange) };
      const adapted = optionsForRetry(options, { request, sent: body, answer });
      if (adapted === undefined) throw this.#responseError(answer, request);
      // The next body is refused here: no answer will show that it has helped.
      if (!adapted.effortNone && namesEffort(answer))
        this.#accepted = { ...this.#accepted, effortNone: false };
      before = options;
      options = adapted;
    }
  }

  #routerHeaders(along: Along | undefined): readonly string[] {
    return routerHeaders(this.#target, along, this.#environment.clock.now());
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
      contextSize: this.#contextSize,
      vocabularySize: this.#vocabularySize,
      strictTools: true,
      ...this.#accepted,
    };
  }

  #passing(dialect: Dialect): PassThrough {
    if (this.#passes?.dialect === dialect) return this.#passes;
    const passed = passedNames(dialect.flavor, this.#target.pass_fields ?? []);
    this.#passes = { dialect, passed, supports: [...dialect.supports, ...passedFeatures(passed)] };
    return this.#passes;
  }

  #responseError(answer: JsonResponse, request?: GenerationRequest): ServingError {
    const { clock, log } = this.#environment;
    const isKeyRejected = answer.status === 401 || answer.status === 403;
    if (isKeyRejected && !this.#keyRejectionLogged) {
      this.#keyRejectionLogged = true;
      log.error('The server rejects the api_key of this target', {
        url: this.#target.url,
        status: answer.status,
      });
    }
    const error = responseError(answer, { model: this.#target.model, wallNowMs: clock.wallNow(), request });
    if (error.code === 'model_not_found') this.#missing.noteMissing(clock.now());
    return error;
  }

  async #findDialect(signal: AbortSignal): Promise<Dialect> {
    if (this.#dialect !== undefined) return this.#dialect;
    if (this.#listing.isPaused(this.#environment.clock.now())) return this.#dialects.generic;
    const detected = await detectFlavor(this.#upstream, signal);
    this.#dialect = detected && this.#dialects[detected];
    return this.#dialect ?? this.#dialects.generic;
  }

  #warnOfUnstreamed(): void {
    this.#streamsOnly = true;
    this.#environment.log.warn(
      'Unstreamed answers of this server lack usage, exceed max_tokens or arrive as streams: answers are streamed from now on',
      { url: this.#target.url },
    );
  }

  #warnOfUsage(): void {
    if (this.#missingUsageLogged) return;
    this.#missingUsageLogged = true;
    this.#environment.log.warn(
      'The server reports no usage: each piece of text counts as a token, prompts as 0 tokens',
      { url: this.#target.url },
    );
  }
}
