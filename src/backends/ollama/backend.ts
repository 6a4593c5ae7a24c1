/**
 * A model behind Ollama's native API. Cancelling closes the socket. Old releases ignore `truncate: false` and cut a long prompt:
 * the token count at the end of the answer reveals it, and the stream ends with an error instead of a finish.
 */
import { Type } from 'typebox';
import type {
  Backend,
  CallOptions,
  EmbeddingRequest,
  Embeddings,
  GenerateOptions,
  Generation,
  GenerationSink,
  TargetState,
  TargetStatus,
} from '../../core/backend.ts';
import type { ServingError } from '../../core/errors.ts';
import { asksNotToThink, type Feature, refuseUnsupported } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { RunningGeneration } from '../../core/sink.ts';
import { EmbeddingPieces } from '../../upstream/embedding-pieces.ts';
import { LineReader } from '../../upstream/stream-reader.ts';
import {
  type JsonResponse,
  readJson,
  Upstream,
  type UpstreamCall,
  URL_PATTERN,
  URL_RULE,
} from '../../upstream/upstream.ts';
import { type BackendEnvironment, defineBackend } from '../backend-definition.ts';
import { LogprobsBuffer, OllamaAnswerReader } from './answer-reader.ts';
import {
  CapabilityCache,
  dependsOnCapabilities,
  rejectUnsupported,
  supportsThinking,
} from './capabilities.ts';
import {
  cannotStopThinking,
  type ErrorContext,
  isEmbeddingModel,
  logprobsUnsupported,
  responseError,
} from './errors.ts';
import { ModelPresence, ModelProbe, supportsMirostat, supportsShift } from './probe.ts';
import {
  callIdsOf,
  embedCall,
  generateCall,
  loadCall,
  loadEmbedderCall,
  type ModelSettings,
  readEmbeddings,
} from './requests.ts';

export const ollama = defineBackend({
  name: 'ollama',
  summary: 'A model that an Ollama server serves, over its native API.',
  keys: {
    url: Type.String({
      pattern: URL_PATTERN,
      title: URL_RULE,
      default: 'http://127.0.0.1:11434',
      description: 'Address of the server.',
    }),
    context_size: Type.Optional(
      Type.Integer({
        minimum: 16,
        description:
          'Tokens per slot, sent as num_ctx. Unset: the server decides. Ollama reloads the model when another client asks for another context size.',
      }),
    ),
    keep_alive: Type.Union(
      [Type.Integer(), Type.String({ pattern: '^-?([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$' })],
      {
        default: -1,
        description:
          'How long the model stays loaded when idle: seconds, or a duration such as 10m; negative: for ever.',
      },
    ),
  },
  defaultSlots: 4,
  embedded: false,
  create: (target, environment) => {
    const { model, slots } = target;
    // The server does not report how many requests it runs at once. Any others wait there, where we cannot schedule them.
    environment.log.info(
      `Set OLLAMA_NUM_PARALLEL to ${slots} on the Ollama server (its default is 1), or change slots to its value`,
      { model, slots },
    );
    return new OllamaBackend(target, environment);
  },
});

/** The configuration lets the model leave memory when idle. */
function mayUnload(keepAlive: number | string): boolean {
  return typeof keepAlive === 'number' ? keepAlive >= 0 : !keepAlive.startsWith('-');
}

export interface OllamaTarget {
  readonly model: string;
  readonly url: string;
  readonly context_size?: number;
  readonly keep_alive: number | string;
  readonly connect_timeout_ms: number;
}

/** After these, another model or another release of the server may have the same name. */
const GONE: ReadonlySet<TargetState> = new Set(['not_found', 'unreachable', 'unloaded']);

const SUPPORTED: readonly Feature[] = [
  'json',
  'json-schema',
  'top-k',
  'min-p',
  'repeat-penalty',
  'repeat-last-n',
  'typical-p',
  'keep-tokens',
  // If the model itself supports them (capabilities.ts).
  'tools',
  'tool-messages',
  'images',
  'think',
  // Old releases ignore them, which their answers reveal.
  'logprobs',
];

const SUPPORTED_WITH_MIROSTAT: readonly Feature[] = [...SUPPORTED, 'mirostat'];

const INSTALLED: ReadonlySet<TargetState> = new Set(['ready', 'unloaded']);

export class OllamaBackend implements Backend {
  readonly #upstream: Upstream;
  readonly #settings: ModelSettings;
  readonly #clock: BackendEnvironment['clock'];
  readonly #presence = new ModelPresence();
  readonly #pieces = new EmbeddingPieces();
  readonly #modelProbe: ModelProbe;
  readonly #capabilities = new CapabilityCache((signal) => this.#show(signal));
  /** By the last probe. */
  #found: { readonly state: TargetState; readonly digest: string | undefined } | undefined;
  #contextSize: number | undefined;
  #loads = 0;

  constructor(target: OllamaTarget, { clock, instanceId }: Pick<BackendEnvironment, 'clock' | 'instanceId'>) {
    this.#clock = clock;
    this.#contextSize = target.context_size;
    this.#settings = { model: target.model, keepAlive: target.keep_alive, contextSize: target.context_size };
    this.#upstream = new Upstream({
      url: target.url,
      connectTimeoutMs: target.connect_timeout_ms,
      instanceId,
      clock,
    });
    this.#modelProbe = new ModelProbe({
      upstream: this.#upstream,
      clock,
      model: target.model,
      contextSize: target.context_size,
      mayUnload: mayUnload(target.keep_alive),
      presence: this.#presence,
      isLoading: () => this.#loads > 0,
    });
  }

  generate(request: GenerationRequest, sink: GenerationSink, options: GenerateOptions): Generation {
    return new RunningGeneration(sink, (generation) => this.#run(request, generation, options));
  }

  async embed(request: EmbeddingRequest, { signal, along }: CallOptions): Promise<Embeddings> {
    return this.#pieces.embed(request.inputs, async (inputs) => {
      const asked = { ...request, inputs };
      const { path, body } = embedCall(asked, this.#settings);
      const answer = await this.#upstream.json({ method: 'POST', path, body, along, signal });
      if (answer.status !== 200) throw this.#responseError(answer);
      this.#presence.noteAnswered(this.#clock.now());
      return { ...readEmbeddings(answer.body, asked), sizeBytes: answer.sizeBytes ?? 0 };
    });
  }

  async probe({ signal }: CallOptions): Promise<TargetStatus> {
    const status = await this.#modelProbe.status(signal);
    this.#contextSize = status.contextSize ?? this.#contextSize;
    this.#forgetIfReplaced({ state: status.state, digest: this.#modelProbe.digest });
    if (INSTALLED.has(status.state)) await this.#capabilities.learnOnce(signal);
    const { abilities } = this.#capabilities;
    const { details } = this.#modelProbe;
    return { ...status, ...(abilities && { abilities }), ...(details && { details }) };
  }

  async warmUp({ signal }: CallOptions): Promise<void> {
    this.#loads += 1;
    try {
      const load = (call: Pick<UpstreamCall, 'path' | 'body'>) =>
        this.#upstream.json({ method: 'POST', ...call, signal });
      const generating = await load(loadCall(this.#settings));
      const answer = isEmbeddingModel(generating) ? await load(loadEmbedderCall(this.#settings)) : generating;
      if (answer.status !== 200) throw this.#responseError(answer);
      this.#presence.noteAnswered(this.#clock.now());
      await this.#capabilities.learn(signal);
    } finally {
      this.#loads -= 1;
    }
  }

  async close(): Promise<void> {
    await this.#upstream.close();
  }

  async #run(
    request: GenerationRequest,
    generation: RunningGeneration,
    { onMalformedEvent, along }: GenerateOptions,
  ): Promise<void> {
    // What the model lacks is reported first: without tools, for example, a format may be used.
    const { known } = this.#capabilities;
    if (known !== undefined) rejectUnsupported(request, known);
    const { version } = this.#modelProbe;
    const sendsMirostat = supportsMirostat(version);
    const supports = sendsMirostat ? SUPPORTED_WITH_MIROSTAT : SUPPORTED;
    refuseUnsupported(request, { backend: 'ollama', supports });
    if (request.logprobs && this.#capabilities.ignoresLogprobs) throw logprobsUnsupported();
    const capabilities = dependsOnCapabilities(request)
      ? await this.#capabilities.learn(generation.signal)
      : undefined;
    rejectUnsupported(request, capabilities);
    if (this.#capabilities.alwaysThinks && asksNotToThink(request)) throw cannotStopThinking('this model');
    const think = supportsThinking(capabilities) ? request.thinking : undefined;
    const { path, body } = generateCall(request, this.#settings, {
      think,
      sendsShift: supportsShift(version),
      sendsMirostat,
      contextSize: this.#contextSize,
    });
    const exchange = await this.#upstream.open({ method: 'POST', path, body, along }, (held) =>
      generation.hold(held),
    );
    const { status, headers } = exchange;
    if (status !== 200) throw this.#responseError({ status, headers, body: await readJson(exchange) });
    this.#presence.noteAnswered(this.#clock.now());
    const answer = new OllamaAnswerReader({
      sink: generation,
      context: this.#errorContext(),
      logprobs: request.logprobs && new LogprobsBuffer(() => this.#capabilities.noteIgnoredLogprobs()),
      usedCallIds: request.input.kind === 'chat' ? callIdsOf(request.input.messages) : new Set(),
      onFinish: () => exchange.finish(),
      onMalformedEvent,
    });
    const lines = new LineReader((line) => answer.line(line));
    await exchange.read((chunk) => lines.push(chunk));
    lines.end();
    answer.end();
  }

  #responseError(answer: JsonResponse): ServingError {
    const error = responseError(answer, this.#errorContext());
    if (error.code === 'model_not_found') this.#presence.noteMissing(this.#clock.now());
    return error;
  }

  /** What was learned belongs to one model. */
  #forgetIfReplaced(found: { readonly state: TargetState; readonly digest: string | undefined }): void {
    const before = this.#found;
    this.#found = found;
    const isGone = GONE.has(found.state) && found.state !== before?.state;
    if (isGone || (before && found.digest !== before.digest)) this.#capabilities.forget();
  }

  async #show(signal: AbortSignal): Promise<unknown> {
    const body = { model: this.#settings.model };
    const answer = await this.#upstream.json({ method: 'POST', path: '/api/show', body, signal });
    if (answer.status !== 200) throw this.#responseError(answer);
    return answer.body;
  }

  #errorContext(): ErrorContext {
    return { model: this.#settings.model, contextSize: this.#contextSize, clock: this.#clock };
  }
}
