import { describe, expect, it } from 'vitest';
import { engineTokenizer } from '../../../../src/backends/llama-cpp/engine-tokenizer.ts';
import { Flights } from '../../../../src/backends/llama-cpp/flights.ts';
import type { ToEngine } from '../../../../src/backends/llama-cpp/messages.ts';
import { ServingError } from '../../../../src/core/errors.ts';

const GONE = new ServingError('client_gone');
const TEXT = { kind: 'text', prompt: 'ab' } as const;

function start() {
  const flights = new Flights();
  const sent: ToEngine[] = [];
  const send = (message: ToEngine) => void sent.push(message);
  const controller = new AbortController();
  const tokenizer = engineTokenizer((question, sink) => {
    const id = flights.addQuestion(question, sink);
    return { abort: () => flights.abort(id, send) };
  });
  return { flights, sent, send, controller, tokenizer, options: { signal: controller.signal } };
}

describe('the tokenizer of the engine', () => {
  it('gives the tokens of what is asked', async () => {
    const { flights, sent, send, tokenizer, options } = start();
    const outcome = tokenizer.encode({ input: TEXT, addSpecial: false }, options);
    flights.sendNew(send);
    expect(sent).toEqual([{ type: 'tokenize', id: 1, input: TEXT, addSpecial: false }]);
    flights.deliver({ id: 1, event: { type: 'tokenized', tokens: [1, 2] } });
    expect(await outcome).toEqual([1, 2]);
    expect(flights.hasWork).toBe(false);
  });

  it('gives the text of tokens', async () => {
    const { flights, sent, send, tokenizer, options } = start();
    const outcome = tokenizer.decode([1, 2], options);
    flights.sendNew(send);
    expect(sent).toEqual([{ type: 'detokenize', id: 1, tokens: [1, 2] }]);
    flights.deliver({ id: 1, event: { type: 'detokenized', text: 'ab' } });
    expect(await outcome).toBe('ab');
  });

  it('fails as the engine says, and with the engine that had it', async () => {
    const { flights, send, tokenizer, options } = start();
    const refused = tokenizer.decode([99], options);
    const lost = tokenizer.decode([1], options);
    flights.sendNew(send);
    flights.deliver({
      id: 1,
      event: { type: 'failed', code: 'invalid_request', param: 'tokens', message: 'no' },
    });
    flights.sendQuestion(send);
    await expect(refused).rejects.toMatchObject({ code: 'invalid_request', param: 'tokens' });
    flights.failSent(new ServingError('backend_error'));
    await expect(lost).rejects.toMatchObject({ code: 'backend_error' });
  });

  it('refuses pictures, which the engine does not see, before anything is sent', async () => {
    const { flights, tokenizer, options, sent, send } = start();
    const image = { mediaType: 'image/png', base64: '', at: 0 };
    const messages = [{ role: 'user', content: 'Look.', images: [image] }] as const;
    const outcome = tokenizer.encode({ input: { kind: 'chat', messages } }, options);
    await expect(outcome).rejects.toMatchObject({
      code: 'unsupported_parameter',
      param: 'messages[0].images',
    });
    flights.sendNew(send);
    expect(sent).toEqual([]);
  });

  it('rejects at an abort at once, whether the engine has the question or not', async () => {
    const { flights, controller, send, tokenizer, options } = start();
    const asked = tokenizer.decode([1], options);
    flights.sendNew(send);
    const waiting = tokenizer.decode([2], options);
    await Promise.resolve();
    controller.abort(GONE);
    await expect(asked).rejects.toBe(GONE);
    await expect(waiting).rejects.toBe(GONE);
    await expect(tokenizer.decode([3], options)).rejects.toBe(GONE);
    // An answer that comes nevertheless is nobody’s.
    flights.deliver({ id: 1, event: { type: 'detokenized', text: 'a' } });
    expect(flights.hasWork).toBe(false);
  });

  it('asks one question at a time, and another only once that is answered', async () => {
    const { flights, sent, send, controller, tokenizer } = start();
    const outcomes = [1, 2].map((token) =>
      tokenizer.decode([token], { signal: new AbortController().signal }),
    );
    const given = tokenizer.decode([3], { signal: controller.signal });
    const last = tokenizer.decode([4], { signal: new AbortController().signal });
    const ids = () => sent.map((message) => ('id' in message ? message.id : undefined));
    flights.sendNew(send);
    flights.sendNew(send);
    expect(ids()).toEqual([1]);
    flights.deliver({ id: 1, event: { type: 'detokenized', text: 'a' } });
    flights.sendQuestion(send);
    expect(ids()).toEqual([1, 2]);
    controller.abort(GONE);
    await expect(given).rejects.toBe(GONE);
    flights.deliver({ id: 2, event: { type: 'detokenized', text: 'b' } });
    flights.sendQuestion(send);
    expect(ids()).toEqual([1, 2, 4]);
    flights.deliver({ id: 4, event: { type: 'detokenized', text: 'd' } });
    expect(await Promise.all([...outcomes, last])).toEqual(['a', 'b', 'd']);
  });

  it('takes no more questions than a few megabytes, and any that comes alone', () => {
    const { flights } = start();
    const asked = (length: number) =>
      ({ type: 'tokenize', input: { kind: 'text', prompt: 'a'.repeat(length) } }) as const;
    const sink = { answered() {}, failed() {}, freed() {} };
    expect(flights.refusalOf(asked(5_000_000))).toBeUndefined();
    const id = flights.addQuestion(asked(4_000_000), sink);
    expect(flights.refusalOf(asked(100))).toBeUndefined();
    expect(flights.refusalOf(asked(500_000))).toMatchObject({ code: 'queue_full', retryAfterSeconds: 1 });
    flights.deliver({ id, event: { type: 'tokenized', tokens: [] } });
    expect(flights.refusalOf(asked(500_000))).toBeUndefined();
  });
});
