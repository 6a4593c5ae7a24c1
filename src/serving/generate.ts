/**
 * The way of one generation from queue to end: wait for a slot, run the backend, pass its events on, give the slot back.
 * Invariant: a slot that was granted is released exactly once, on every path, and only when the backend is really
 * free of the request (or a second after its end).
 */
import type { CacheIsolation, GenerateOptions } from '../core/backend.ts';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { withoutMootFormat } from '../core/features.ts';
import type { GenerationEvent, GenerationRequest } from '../core/generation.ts';
import type { Receipt } from '../core/receipt.ts';
import type { Outcome, Settlement } from '../scheduling/decision.ts';
import { fingerprintOf } from '../scheduling/prefix-fingerprint.ts';
import { leavingAway } from './leaving-away.ts';
import { ProgressWatch, silenceLimits } from './progress-watch.ts';
import { promptSizeOf } from './prompt-size.ts';
import { deadlineError, type SlotCall, type SlotServices, waitForSlot } from './slot-call.ts';
import { causeOfEnd, isBackendFault, releaseWhenFree } from './slot-end.ts';
import type { Target } from './target.ts';
import { TokenCount } from './token-count.ts';

export interface GenerationCall extends SlotCall, Pick<GenerateOptions, 'delivery' | 'promptTokensFirst'> {
  readonly request: GenerationRequest;
}

export interface GenerationServices extends SlotServices {
  findTarget(model: string, id: string): Target;
  /** Undefined where none of the model's targets caches prefixes for the scheduler to see to. */
  cacheIsolationOf(model: string): CacheIsolation | undefined;
  /** A backend failed a request: look at it now rather than at the next probe. */
  onBackendFailure(target: Target, error: ServingError): void;
  /** What a backend cannot honour is left away rather than refused. */
  readonly lenient: boolean;
  /** Between two tokens of one generation. */
  onTokenGap(model: string, gapMs: Milliseconds): void;
}

/** Normally a token each: between them lies the inter-token latency. */
const PIECES: ReadonlySet<GenerationEvent['type']> = new Set(['text', 'tool-arguments']);

export async function* generate(
  call: GenerationCall,
  services: GenerationServices,
): AsyncGenerator<GenerationEvent, void> {
  const { request, receipt, cancellation, deadlineAt } = call;
  const { clock, onBackendFailure, onTokenGap } = services;
  const { signal } = cancellation;
  const promptSize = promptSizeOf(request);
  const used = new TokenCount();
  const prefix = prefixOf(call, services.cacheIsolationOf(request.model));
  const grant = await waitForSlot(call, { promptSize, prefix }, services);
  const target = services.findTarget(request.model, grant.target);
  const deadline = clock.schedule(deadlineAt - clock.now(), () => cancellation.abort(deadlineError()));
  const limits = silenceLimits(request, target);
  const watch = new ProgressWatch({ clock, limits, onSilence: (error) => cancellation.abort(error) });
  let outcome: Outcome = 'cancelled';
  let lastTokenAt: Milliseconds | undefined;
  let events: AsyncIterator<GenerationEvent> | undefined;
  try {
    signal.throwIfAborted();
    used.begin(promptSize.tokens);
    const onAskedWhole = () => {
      receipt.askedWhole = true;
      watch.expectWhole(target.answerTimeoutMs);
    };
    const options = { ...optionsFor(target, call), onAskedWhole };
    const start = (asked: GenerationRequest) =>
      target.backend.generate(withoutMootFormat(asked), options)[Symbol.asyncIterator]();
    const droppable = services.lenient ? 'settings' : 'optional';
    events = leavingAway({ request, receipt, droppable, start });
    for (;;) {
      watch.waiting();
      const next = await events.next();
      if (next.done) {
        // It ended by itself: nothing is held any more.
        events = undefined;
        break;
      }
      const isBeyondLimit = !target.embedded && exceedsLimit(next.value, used, request);
      const event = isBeyondLimit ? endAtLimit(used) : next.value;
      watch.answered({ isToken: event.type !== 'start' });
      used.note(event);
      note(event, receipt, clock);
      if (PIECES.has(event.type)) {
        const now = clock.now();
        if (lastTokenAt !== undefined) onTokenGap(request.model, now - lastTokenAt);
        lastTokenAt = now;
      }
      if (event.type === 'finish') outcome = 'completed';
      yield event;
      // The backend is left in the middle of its answer.
      if (isBeyondLimit) break;
    }
    if (outcome !== 'completed')
      throw new ServingError('backend_error', { message: 'The backend ended without a finish reason.' });
  } catch (thrown) {
    const error = causeOfEnd(thrown, signal);
    if (outcome !== 'completed' && isBackendFault(error)) outcome = 'failed';
    if (isBackendFault(error)) onBackendFailure(target, error);
    throw error;
  } finally {
    deadline.cancel();
    watch.stop();
    const free = events?.return?.();
    releaseWhenFree({ grant, settlement: settle(outcome, used, receipt), free, clock });
  }
}

/** Other software may ignore `maxTokens`: it is stopped there. */
function exceedsLimit(event: GenerationEvent, used: TokenCount, { limits }: GenerationRequest): boolean {
  if (event.type === 'start' || event.type === 'finish') return false;
  return limits.maxTokens !== undefined && used.answerTokens >= limits.maxTokens;
}

/** With the usage as far as it is known: its own count would have come at the end. */
function endAtLimit({ promptTokens, cachedTokens, answerTokens }: TokenCount): GenerationEvent {
  return {
    type: 'finish',
    reason: 'length',
    usage: { promptTokens, cachedTokens, completionTokens: answerTokens },
  };
}

function optionsFor(
  { cacheIsolation }: Target,
  { client, cancellation: { signal }, delivery = 'stream', promptTokensFirst = false }: GenerationCall,
): GenerateOptions {
  const options = { signal, delivery, promptTokensFirst };
  return cacheIsolation === 'client' ? { ...options, cacheScope: client } : options;
}

function prefixOf({ request, client }: GenerationCall, isolation: CacheIsolation | undefined) {
  if (isolation === undefined) return undefined;
  // Templates write the tools in front of everything.
  const tools = request.tools === undefined ? '' : JSON.stringify(request.tools.tools);
  const scope = isolation === 'client' ? `${client} ${tools}` : tools;
  return fingerprintOf(request.input, scope === '' ? undefined : scope);
}

/** The first token is a piece of text, of thought or of a call; a generation without any has its end as its first. */
function note(event: GenerationEvent, receipt: Receipt, clock: Clock): void {
  if (event.type === 'start') return;
  receipt.firstTokenAt ??= clock.now();
  if (event.type !== 'finish') return;
  receipt.finishReason = event.reason;
  receipt.usage = event.usage;
}

function settle(
  outcome: Outcome,
  { promptTokens, cachedTokens, answerTokens }: TokenCount,
  { dispatchedAt, firstTokenAt, askedWhole = false }: Receipt,
): Settlement {
  const isTimed = dispatchedAt !== undefined && firstTokenAt !== undefined && !askedWhole;
  return {
    outcome,
    promptTokens,
    cachedTokens,
    answerTokens,
    firstTokenMs: isTimed ? firstTokenAt - dispatchedAt : undefined,
  };
}
