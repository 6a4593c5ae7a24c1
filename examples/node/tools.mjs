// A tool that the model calls: the whole loop, with OpenAI's official client.
//   node examples/node/tools.mjs
// The default model calls a tool only because tool_choice forces it; qwen3-0.6b decides by itself.
import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: `${process.env.SERVER_URL ?? 'http://localhost:8000'}/v1`,
  apiKey: process.env.API_KEY ?? 'none',
});
const model = process.env.MODEL ?? 'smollm2';

const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'The weather of a city.',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
];
const messages = [{ role: 'user', content: 'How warm is it in Paris?' }];

const first = await client.chat.completions.create({ model, messages, tools, tool_choice: 'required' });
const { message } = first.choices[0];
messages.push(message);
for (const call of message.tool_calls ?? []) {
  const { city } = JSON.parse(call.function.arguments);
  process.stdout.write(`the model calls ${call.function.name} for ${city}\n`);
  messages.push({ role: 'tool', tool_call_id: call.id, content: '18 °C' });
}

const second = await client.chat.completions.create({ model, messages, tools, tool_choice: 'none' });
process.stdout.write(`${second.choices[0].message.content}\n`);
