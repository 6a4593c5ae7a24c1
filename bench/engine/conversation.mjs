// A chat of ten turns, each of which has all turns before it in its prompt: how long the first token takes by turn, and
// how much of the prompt was there already.
import { longText } from './workload.mjs';

const TURNS = 10;
const TURN_TOKENS = 120;
const ANSWER_TOKENS = 24;

export async function measureConversation(side, { salt }) {
  let prompt = '';
  const turns = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    prompt += `User: ${longText({ tokens: TURN_TOKENS, salt: salt * 100 + turn })}\nAssistant:`;
    let firstTokenMs;
    const sentAt = performance.now();
    let text = '';
    const end = await side.streamOne({
      prompt,
      tokens: ANSWER_TOKENS,
      onToken: (at, data) => {
        firstTokenMs ??= at - sentAt;
        text += side.textOf(data);
      },
    });
    turns.push({ firstTokenMs, ...end });
    prompt += `${text}\n`;
  }
  return turns;
}
