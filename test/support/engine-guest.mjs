/**
 * A process of its own that uses an engine: connects to the address, generates `count` answers of `maxTokens` tokens at once, and tells
 * its parent the text of each that has ended, and when the first piece has come.
 */
import { connect } from 'node:net';

const [address, count, maxTokens] = process.argv.slice(2);
const socket = connect(address);
const sampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
};
const limits = { stop: [], maxTokens: Number(maxTokens), ignoreEos: true };
const messages = Array.from({ length: Number(count) }, (_, at) => ({
  type: 'generate',
  generation: {
    id: at + 1,
    input: { kind: 'text', prompt: `Story ${at + 1}: once upon a time` },
    sampling,
    limits,
  },
}));
socket.write(`${JSON.stringify(messages)}\n`);
socket.setEncoding('utf8');
const texts = new Map();
let rest = '';
socket.on('data', (text) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop();
  for (const line of lines) {
    for (const { events } of JSON.parse(line)) {
      for (const { id, event } of events) {
        if (event.type === 'text') {
          if (texts.size === 0) process.send({ type: 'first' });
          texts.set(id, (texts.get(id) ?? '') + event.text);
        } else if (event.type !== 'start')
          process.send({ type: 'ended', id, how: event.type, text: texts.get(id) });
      }
    }
  }
});
