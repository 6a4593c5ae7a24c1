// A streamed chat with OpenAI's official client.
//   npm install openai      (in a clone of this repository it is installed already)
//   node examples/node/chat.mjs "What is the capital of France?"
import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: `${process.env.SERVER_URL ?? 'http://localhost:8000'}/v1`,
  apiKey: process.env.API_KEY ?? 'none',
});

const stream = await client.chat.completions.create({
  model: process.env.MODEL ?? 'smollm2',
  messages: [{ role: 'user', content: process.argv[2] ?? 'What is the capital of France?' }],
  max_tokens: 64,
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? '');
process.stdout.write('\n');
