/**
 * A model behind Ollama's native API. Cancelling is closing the socket. Old releases ignore `truncate: false` and cut a
 * long prompt: then the answer's own count shows it at the end, and the stream ends with an error instead of a finish.
 */
import type {
  Backend,
  EmbeddingRequest,
  Embeddings,
  GenerateOptions,
  TargetState,
  TargetStatus,
} from '../../core/backend.ts';
import { type Feature, refuseUnsupported } from '../../core/features.ts';
import type { GenerationEvent, GenerationRequest, ThinkingWish } from '../../core/generation.ts';
import { type EventSink, EventStream } from '../../upstream/event-stream.ts';
import { asArray, asObject } from '../../upstream/lenient.ts';
import { LineReader } from '../../upstream/line-reader.ts';
import { pump } from '../../upstream/pump.ts';
import { readJson, Upstream, type UpstreamCall } from '../../upstream/upstream.ts';
import type { BackendEnvironment } from '../backend-definition.ts';
import { AnswerReader } from './answer-reader.ts';
import { embedCall, readEmbeddings } from './embedding.ts';
import { mayUnload } from './keep-alive.ts';
import { ModelProbe } from './model-probe.ts';
import { generateCall, loadCall, type ModelSettings } from './request-body.ts';
import { cannotThink, type ErrorContext, refusal, refusesToGenerate } from './upstream-error.ts';

export interface OllamaTarget {
  readonly model: string;
  readonly url: string;
  readonly context_size?: number;
  readonly keep_alive: number | string;
  readonly connect_timeout_ms: number;
}

/** After these another model, or another release of the server, may answer to the same name. */
const GONE: ReadonlySet<TargetState> = new Set(['not_found', 'unreachable', 'unloaded']);

const SUPPORTED: readonly Feature[] = [
  'json',
  'json-schema',
  'top-k',
  'min-p',
  'repeat-penalty',
  // Asked of the model itself.
  'think',
];

export class OllamaBackend implements Backend {
  readonly #upstream: Upstream;
  readonly #settings: ModelSettings;
  readonly #clock: BackendEnvironment['clock'];
  readonly #modelProbe: ModelProbe;
  /** Whether the model can think; unknown until asked, and again once the model was gone. */
  #thinks: boolean | undefined;
  #contextSize: number | undefined;
  #loads = 0;

  constructor(target: OllamaTarget, { clock }: Pick<BackendEnvironment, 'clock'>) {
    this.#clock = clock;
    this.#contextSize = target.context_size;
    this.#settings = { model: target.model, keepAlive: target.keep_alive, contextSize: target.context_size };
    this.#upstream = new Upstream({ url: target.url, connectTimeoutMs: target.connect_timeout_ms, clock });
    this.#modelProbe = new ModelProbe({
      upstream: this.#upstream,
      clock,
      model: target.model,
      contextSize: target.context_size,
      mayUnload: mayUnload(target.keep_alive),
      isLoading: () => this.#loads > 0,
    });
  }

  generate(request: GenerationRequest, { signal }: GenerateOptions): AsyncIterable<GenerationEvent> {
    return new EventStream<GenerationEvent>(signal, (sink, inner) => this.#run(request, sink, inner));
  }

  async embed({ inputs }: EmbeddingRequest, { signal }: GenerateOptions): Promise<Embeddings> {
    const { path, body } = embedCall(inputs, this.#settings);
    const answer = await this.#upstream.json({ method: 'POST', path, body, signal });
    if (answer.status !== 200) throw refusal(answer, this.#errorContext());
    return readEmbeddings(answer.body, inputs.length);
  }

  async probe({ signal }: GenerateOptions): Promise<TargetStatus> {
    const status = await this.#modelProbe.status(signal);
    this.#contextSize = status.contextSize ?? this.#contextSize;
    if (GONE.has(status.state)) this.#thinks = undefined;
    return status;
  }

  async warmUp({ signal }: GenerateOptions): Promise<void> {
    this.#loads += 1;
    try {
      const load = (call: Pick<UpstreamCall, 'path' | 'body'>) =>
        this.#upstream.json({ method: 'POST', ...call, signal });
      const generating = await load(loadCall(this.#settings));
      const embedsOnly = refusesToGenerate(generating);
      const answer = embedsOnly ? await load(embedCall([], this.#settings)) : generating;
      if (answer.status !== 200) throw refusal(answer, this.#errorContext());
      await this.#canThink(signal);
    } finally {
      this.#loads -= 1;
    }
  }

  async close(): Promise<void> {
    await this.#upstream.close();
  }

  async #run(
    request: GenerationRequest,
    sink: EventSink<GenerationEvent>,
    signal: AbortSignal,
  ): Promise<void> {
    refuseUnsupported(request, { backend: 'ollama', supports: SUPPORTED });
    const think = await this.#thinkOption(request.thinking, signal);
    const { path, body } = generateCall(request, this.#settings, think);
    const exchange = await this.#upstream.open({ method: 'POST', path, body, signal });
    const { status, headers } = exchange;
    if (status !== 200)
      throw refusal({ status, headers, body: await readJson(exchange) }, this.#errorContext());
    sink.push({ type: 'start' });
    const answer = new AnswerReader({
      sink,
      context: this.#errorContext(),
      onFinish: () => exchange.finish(),
    });
    await pump(exchange, new LineReader((line) => answer.line(line)), sink);
    answer.end();
  }

  async #thinkOption(wish: ThinkingWish | undefined, signal: AbortSignal): Promise<ThinkingWish | undefined> {
    if (wish === undefined || (await this.#canThink(signal))) return wish;
    if (wish !== false) throw cannotThink();
    return undefined;
  }

  /** Asked once for as long as it is there: a model that can think does so unless it is told not to, and one that cannot refuses the word. */
  async #canThink(signal: AbortSignal): Promise<boolean> {
    if (this.#thinks !== undefined) return this.#thinks;
    const body = { model: this.#settings.model };
    const answer = await this.#upstream.json({ method: 'POST', path: '/api/show', body, signal });
    if (answer.status !== 200) throw refusal(answer, this.#errorContext());
    this.#thinks = asArray(asObject(answer.body).capabilities).includes('thinking');
    return this.#thinks;
  }

  #errorContext(): ErrorContext {
    return { model: this.#settings.model, contextSize: this.#contextSize, clock: this.#clock };
  }
}
