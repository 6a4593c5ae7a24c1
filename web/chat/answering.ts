/**
 * Asks the model and writes its answer into the conversation, a frame at a time. Stopping ends the request, and with it the work on
 * the server. A request that found no server is sent again when it is back; one that may have reached it is not.
 */

import { readEvents } from '../api/event-stream.ts';
import { ApiFailure, adviceFor, asFailure, connectionLost, mayBeGone } from '../api/failure.ts';
import { callApi } from '../api/request.ts';
import { leaving } from '../state/leaving.ts';
import { newId } from '../state/new-id.ts';
import { useStore } from '../state/store.ts';
import { type Answer, NO_ANSWER, withEvents } from './answer.ts';
import { chatBody } from './chat-body.ts';
import { abilities, announcement, answering, conversation, notice } from './chat-state.ts';
import { type Conversation, type Message, withChange, withMessage } from './conversation.ts';
import { loadModels } from './model-list.ts';
import { receiptOfHeaders } from './receipt.ts';
import { saver } from './saving.ts';
import { serverAnswers, serverIsBack } from './server-watch.ts';
import { problemsOf } from './settings.ts';
import { SilenceWatch } from './silence.ts';

const SAVED_WITHIN_MS = 4_000;
/** A model may think for longer: then the server is asked whether it is there. */
const SILENCE_MS = 15_000;
/** Longer answers are not read out whole. */
const READ_OUT_CHARACTERS = 600;

/** Why no answer can begin now, in words; undefined: one can. */
export function whyNoAnswer(): string | undefined {
  if (answering.get() !== undefined) return 'An answer is arriving. Stop it, or wait for its end.';
  const { model, settings } = conversation.get();
  if (model === '') return 'There is no model to ask yet.';
  if (abilities.get()?.chat === false)
    return `${model} makes vectors and does not answer. Choose another model.`;
  const [problem] = problemsOf(settings);
  return problem && `${problem} Correct it under Settings.`;
}

/** The same for a view, which is drawn again when it changes. */
export function useWhyNoAnswer(): string | undefined {
  useStore(answering);
  useStore(abilities);
  return useStore(conversation, () => whyNoAnswer());
}

/** Begins an answer after these messages. False: none can begin, which the person is told. */
export function answerAfter(path: readonly Message[]): boolean {
  const why = whyNoAnswer();
  if (why !== undefined) {
    notice.set(why);
    return false;
  }
  const current = conversation.get();
  const message: Message = {
    id: newId(),
    parent: path.at(-1)?.id,
    role: 'assistant',
    text: '',
    model: current.model,
    unfinished: true,
  };
  const abort = new AbortController();
  conversation.set(withMessage(current, message, Date.now()));
  answering.set({ conversationId: current.id, messageId: message.id, abort });
  notice.set(undefined);
  announcement.set('The model is answering.');
  saver.save(conversation.get(), 0);
  void run(new AnswerWriter(conversation.get(), message.id), path, abort.signal);
  return true;
}

export function stopAnswer(): void {
  answering.get()?.abort.abort();
}

async function run(writer: AnswerWriter, path: readonly Message[], signal: AbortSignal): Promise<void> {
  let answer = NO_ANSWER;
  let failure: ApiFailure | undefined;
  for (let atOnce = 0; ; ) {
    try {
      answer = await ask(writer, path, signal, (so) => {
        answer = so;
      });
      failure = answer.failure ?? (answer.isComplete ? undefined : connectionLost());
    } catch (thrown) {
      failure = signal.aborted ? undefined : asFailure(thrown);
    }
    const isUnsent = failure?.code === 'unreachable' && answer === NO_ANSWER;
    if (!isUnsent || signal.aborted) break;
    writer.write({ failure: failureFields(failure) });
    if (!(await serverIsBack(signal))) atOnce += 1;
    if (signal.aborted) break;
    writer.write({ failure: undefined });
    if (atOnce > 1) {
      failure = noAnswerToThis(failure?.proxyStatus);
      break;
    }
  }
  // Left for another page it was interrupted, and is saved as that already.
  if (failure?.status === 0) await leaving.pageStays();
  writer.finish({
    ...(signal.aborted && !answer.isComplete ? { stopped: true } : {}),
    failure: signal.aborted ? undefined : failureFields(failure),
  });
  answering.set(undefined);
  announcement.set(
    signal.aborted ? 'Stopped.' : failure ? `${failure.message} ${adviceFor(failure)}` : readOut(answer),
  );
  if (failure?.code === 'model_not_found') void loadModels();
  // The person sees that by the answer; the watch tells when the server is back.
  if (failure && mayBeGone(failure) && !signal.aborted) void serverIsBack(new AbortController().signal);
}

async function ask(
  writer: AnswerWriter,
  path: readonly Message[],
  signal: AbortSignal,
  onAnswer: (answer: Answer) => void,
): Promise<Answer> {
  const { settings, model } = writer.conversation;
  const gone = new AbortController();
  const silence = new SilenceWatch({
    afterMs: SILENCE_MS,
    isThere: serverAnswers,
    onGone: () => gone.abort(connectionLost()),
  });
  const end = AbortSignal.any([signal, gone.signal]);
  try {
    const response = await callApi('v1/chat/completions', {
      method: 'POST',
      body: { ...chatBody(path, settings, model), stream: true, stream_options: { include_usage: true } },
      accept: 'text/event-stream',
      signal: end,
    });
    let answer: Answer = { ...NO_ANSWER, receipt: receiptOfHeaders(response.headers) };
    for await (const events of readEvents(response, end)) {
      silence.heard();
      answer = withEvents(answer, events);
      onAnswer(answer);
      writer.answer(answer);
    }
    return answer;
  } finally {
    silence.end();
  }
}

/** The server is there, and yet the request meets nobody: sending it on and on would not end. */
function noAnswerToThis(proxyStatus: number | undefined): ApiFailure {
  return new ApiFailure({
    status: 0,
    code: 'no_answer',
    message:
      proxyStatus === undefined
        ? 'The server is there, but the connection ended before it answered.'
        : `The server is there, but a proxy before it answered this request with ${proxyStatus}.`,
  });
}

function failureFields(failure: ApiFailure | undefined): Message['failure'] {
  return failure && { code: failure.code, message: failure.message, advice: adviceFor(failure) };
}

function readOut({ text, toolCalls }: Answer): string {
  if (toolCalls.length > 0) return `The model calls ${toolCalls.map(({ name }) => name).join(', ')}.`;
  return text.length <= READ_OUT_CHARACTERS ? `Answer: ${text}` : 'The answer is complete.';
}

/** Writes one answer into its conversation, which need not be the one that is shown any more. */
class AnswerWriter {
  conversation: Conversation;
  readonly #messageId: string;
  #pending: Answer | undefined;
  #frame: number | undefined;

  constructor(current: Conversation, messageId: string) {
    this.conversation = current;
    this.#messageId = messageId;
  }

  /** Shown with the next frame; in a hidden tab there are none, and a timer does as well. */
  answer(answer: Answer): void {
    this.#pending = answer;
    if (this.#frame !== undefined) return;
    const show = () => {
      this.#frame = undefined;
      this.#show();
    };
    this.#frame = document.hidden ? window.setTimeout(show, 200) : requestAnimationFrame(show);
  }

  write(change: { readonly [Key in keyof Message]?: Message[Key] | undefined }): void {
    const shown = conversation.get();
    // The person may have changed it meanwhile, as by another branch.
    const base = shown.id === this.conversation.id ? shown : this.conversation;
    this.conversation = withChange(base, this.#messageId, change as Partial<Message>);
    if (shown.id === this.conversation.id) conversation.set(this.conversation);
  }

  finish(change: { readonly [Key in keyof Message]?: Message[Key] | undefined }): void {
    this.#show();
    this.write({ ...change, unfinished: undefined });
    saver.save(this.conversation, 0);
  }

  #show(): void {
    const answer = this.#pending;
    if (answer === undefined) return;
    this.#pending = undefined;
    const { text, reasoning, toolCalls, finishReason, receipt } = answer;
    this.write({
      text,
      receipt,
      ...(reasoning !== '' && { reasoning }),
      ...(toolCalls.length > 0 && { toolCalls }),
      ...(finishReason !== undefined && { finishReason }),
    });
    saver.save(this.conversation, SAVED_WITHIN_MS);
  }
}
