/** The handler of every route that generates: parse, generate, answer whole or as a stream. Knows no protocol by name. */
import type { GenerationSink } from '../../core/backend.ts';
import { ServingError, toServingError } from '../../core/errors.ts';
import {
  type GenerationEvent,
  type GenerationResult,
  hasOwnBound,
  ResultBuilder,
} from '../../core/generation.ts';
import { type QueuePosition, type RequestTrace, timingsOf } from '../../core/request-trace.ts';
import type {
  AnswerContext,
  GenerationRoute,
  ParsedGeneration,
  StreamEncoder,
} from '../../protocols/protocol.ts';
import { type ChoicesSink, type Pausable, startChoices } from '../../serving/choices.ts';
import { onceAdmitted } from '../../serving/pending-admission.ts';
import { promptSizeOf } from '../../serving/prompt-size.ts';
import type { Serving } from '../../serving/serving.ts';
import type { RequestContext } from '../context.ts';
import {
  type ModelCall,
  type ModelRequestOptions,
  newModelRequestId,
  runModelRequest,
} from '../model-request.ts';
import { noteGeneration } from '../note-asked.ts';
import type { ReservedWork } from '../reserved-work.ts';
import { StreamWriter } from '../stream-writer.ts';

export function handleGeneration({
  route,
  context,
  options,
}: {
  readonly route: GenerationRoute;
  readonly context: RequestContext;
  readonly options: ModelRequestOptions;
}): Promise<void> {
  const { serving, clock } = options;
  const parsed = route.parse(context.body, {
    newRequestId: () => newModelRequestId('gen'),
    requireModel: (model, matching) => serving.targets.requireModel(model, matching, context.caller?.models),
    defaultMaxTokens: options.settings.defaultMaxTokens,
  });
  const fieldNames = { ...route.fieldNames, ...parsed.fieldNames };
  let streamed: StreamedAnswer | undefined;
  const onFailure = (error: ServingError) => streamed?.endWith(error);
  const work = workOf(parsed, serving);
  return runModelRequest({ context, options, fieldNames, hints: parsed, work, onFailure }, (call) => {
    const { trace } = call;
    if (parsed.dropped !== undefined) trace.droppedFields = [...parsed.dropped];
    const noting = noteGeneration(trace, parsed, options.settings);
    const answer: AnswerContext = {
      trace,
      createdAt: clock.wallNow(),
      timings: () => timingsOf(trace, trace.endedAt ?? clock.now()),
    };
    const delivery = { context, options, parsed, call, answer, noting };
    if (parsed.delivery === 'whole') return deliverWhole(delivery);
    streamed = new StreamedAnswer(delivery);
    return streamed.run();
  });
}

/** Each choice has the prompt once more, and an answer of its own. */
function workOf({ requests }: ParsedGeneration, serving: Serving): ReservedWork | undefined {
  const [first] = requests;
  if (first === undefined) return undefined;
  return {
    model: first.model,
    size: () => {
      let [promptTokens, answerTokens] = [0, 0];
      for (const request of requests) {
        promptTokens += promptSizeOf(request).tokens;
        answerTokens += serving.reservedAnswerTokens(request);
      }
      // All choices have the same limits.
      const { minTokens = 0 } = first.limits;
      return {
        promptTokens,
        answerTokens,
        guessed: hasOwnBound(first.limits)
          ? undefined
          : { askedAnswerTokens: minTokens * requests.length, answers: requests.length },
      };
    },
  };
}

interface Delivery {
  readonly context: RequestContext;
  readonly options: ModelRequestOptions;
  readonly parsed: ParsedGeneration;
  readonly call: ModelCall;
  readonly answer: AnswerContext;
  /** The sink that the answers go to, which may also keep them for the spans. */
  readonly noting: (sink: ChoicesSink) => ChoicesSink;
}

/** Starts a generation for each choice that the request asks for. */
function startGenerations(
  { options, parsed, call, noting }: Delivery,
  delivered: ChoicesSink,
  onQueuePosition?: (position: QueuePosition) => void,
): Pausable {
  const { requests, delivery, promptTokensFirst = false } = parsed;
  const { trace, cancellation, client, priority, deadlineAt, along, admission } = call;
  const sink = noting(delivered);
  const choices = requests.length;
  // All of them hold one body.
  const heldBytes = Math.ceil((call.heldBytes ?? 0) / Math.max(1, choices));
  const start = (choice: number, own: RequestTrace, choiceSink: GenerationSink) => {
    const request = requests[choice];
    if (request === undefined) throw new Error(`there is no request ${choice}`);
    // Every field by its name: each that follows a spread costs a microsecond on Node 20 (decision 0036).
    const generationCall = {
      request,
      trace: own,
      client,
      priority,
      cancellation,
      deadlineAt,
      heldBytes,
      along,
      admission,
      onQueuePosition,
      delivery,
      promptTokensFirst,
    };
    return options.serving.generate(generationCall, choiceSink);
  };
  if (choices === 1) return start(0, trace, new OnlyChoice(sink));
  return startChoices({ choices, trace, cancellation, start }, sink);
}

class OnlyChoice implements GenerationSink {
  readonly #sink: ChoicesSink;

  constructor(sink: ChoicesSink) {
    this.#sink = sink;
  }

  event(event: GenerationEvent): void {
    this.#sink.event(event, 0);
    if (event.type === 'finish') this.#sink.done();
  }

  fail(error: ServingError): void {
    this.#sink.fail(error);
  }
}

function deliverWhole(delivery: Delivery): Promise<void> {
  const { context, options, parsed, answer } = delivery;
  const builders = parsed.requests.map(() => new ResultBuilder());
  const results: GenerationResult[] = [];
  return new Promise((resolve, reject) => {
    startGenerations(delivery, {
      event: (event, choice) => {
        const result = builders[choice]?.add(event);
        if (result !== undefined) results[choice] = result;
      },
      done: () => {
        answer.trace.endedAt = options.clock.now();
        try {
          context.answerJson(200, parsed.renderer.whole(results, answer));
          resolve();
        } catch (thrown) {
          reject(thrown);
        }
      },
      fail: reject,
    });
  });
}

/** A streamed answer, between the generations and the socket: each event is written in the turn in which it came. */
class StreamedAnswer implements ChoicesSink {
  readonly #delivery: Delivery;
  readonly #encoder: StreamEncoder;
  readonly #writer: StreamWriter;
  #generations: Pausable | undefined;
  #resolve = (): void => {};
  #reject = (_error: ServingError): void => {};

  constructor(delivery: Delivery) {
    const { context, options, parsed, answer, call } = delivery;
    const encoder = parsed.renderer.stream(answer);
    this.#delivery = delivery;
    this.#encoder = encoder;
    this.#writer = new StreamWriter({
      context,
      clock: options.clock,
      contentType: encoder.contentType,
      heartbeat: () => encoder.heartbeat(),
      heartbeatMs: options.settings.heartbeatMs,
      bufferBytes: options.settings.streamBufferBytes,
      onFull: () => this.#generations?.pause(),
      onDrained: () => this.#generations?.resume(),
      onStalled: () =>
        call.cancellation.cancel(new ServingError('client_gone', { message: 'The client stopped reading.' })),
    });
  }

  /** Where it rejects, `endWith` has to follow. */
  run(): Promise<void> {
    const encoder = this.#encoder;
    const { headers } = this.#delivery.context.request;
    const wantsPosition = encoder.queuePosition !== undefined && headers['x-queue-events'] === '1';
    const onPosition = (position: QueuePosition) =>
      this.#writer.write(encoder.queuePosition?.(position) ?? '');
    const ended = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Before its limits are known, nothing is sent.
    onceAdmitted(this.#delivery.call.admission, () => this.#writer.start());
    this.#generations = startGenerations(this.#delivery, this, wantsPosition ? onPosition : undefined);
    return ended;
  }

  event(event: GenerationEvent, choice: number): void {
    const { answer, options, call } = this.#delivery;
    if (event.type === 'finish') answer.trace.endedAt = options.clock.now();
    try {
      const encoded = this.#encoder.encode(event, choice);
      if (encoded !== undefined) this.#writer.write(encoded);
    } catch (thrown) {
      call.cancellation.cancel(toServingError(thrown));
    }
  }

  done(): void {
    this.#writer.end(this.#encoder.end());
    this.#resolve();
  }

  fail(error: ServingError): void {
    this.#writer.stop();
    this.#reject(error);
  }

  /** Ends the stream with an error event if it has committed; if not, the error gets a response of its own. */
  endWith(error: ServingError): void {
    if (!this.#writer.committed) return;
    this.#writer.end(this.#encoder.error(error, this.#delivery.answer.trace.requestId));
  }
}
