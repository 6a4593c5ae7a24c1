// LangChain: a chat model, and an answer that follows a schema.
//   npm install @langchain/openai @langchain/core zod      (in a clone of this repository they are installed already)
//   node examples/langchain/structured.mjs
import { ChatOpenAI } from '@langchain/openai';
import { z } from 'zod';

const model = new ChatOpenAI({
  model: process.env.MODEL ?? 'smollm2',
  apiKey: process.env.API_KEY ?? 'none',
  maxTokens: 128,
  configuration: { baseURL: `${process.env.SERVER_URL ?? 'http://localhost:8000'}/v1` },
});

process.stdout.write('streamed: ');
for await (const chunk of await model.stream('Name three colours.')) process.stdout.write(chunk.text);

const Person = z.object({ name: z.string(), age: z.number().int() });
const person = await model
  .withStructuredOutput(Person, { method: 'jsonSchema' })
  .invoke('Ada Lovelace was 36 years old. Write her name and her age as JSON.');
process.stdout.write(`\nstructured: ${JSON.stringify(person)}\n`);
