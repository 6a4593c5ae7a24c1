/** The size of a prompt before it is tokenized: an estimate of its tokens, and the bytes that the request holds while it waits. */
import type { EmbeddingInput } from '../core/backend.ts';
import { OUTPUT_EXTRAS } from '../core/features.ts';
import type { GenerationRequest, Message, OutputFormat, ToolUse } from '../core/generation.ts';
import { imagesOf } from '../core/tool-images.ts';

/** Of English and most code; of other scripts within a factor of two. The settlement corrects it with the real number. */
const BYTES_PER_TOKEN = 4;
/** What a chat template puts around each message. */
const TOKENS_PER_MESSAGE = 4;
/** Models use a few hundred to a few thousand. */
const TOKENS_PER_IMAGE = 800;
/** What an embedding model puts before and after each text. */
const TOKENS_PER_TEXT = 2;

export interface PromptSize {
  readonly tokens: number;
  readonly bytes: number;
}

export function promptSizeOf({
  input,
  tools,
  output,
  extras,
}: Pick<GenerationRequest, 'input' | 'tools' | 'output' | 'extras'>): PromptSize {
  let promptBytes = 0;
  let messages = 0;
  let images = 0;
  let imageBytes = 0;
  if (input.kind === 'text') {
    promptBytes = Buffer.byteLength(input.prompt);
  } else if (input.kind === 'tokens') {
    promptBytes = input.tokens.length * BYTES_PER_TOKEN;
  } else {
    for (const message of input.messages) {
      promptBytes += messageBytes(message);
      for (const { base64 } of imagesOf(message) ?? []) {
        images += 1;
        imageBytes += base64.length;
      }
    }
    messages = input.messages.length;
    promptBytes += toolBytes(tools);
  }
  if (extras !== undefined) promptBytes += extraBytes(extras);
  return {
    tokens:
      Math.ceil(promptBytes / BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * messages + TOKENS_PER_IMAGE * images,
    // A schema or grammar is held, but is no part of the prompt.
    bytes: promptBytes + imageBytes + outputBytes(output),
  };
}

/** Every input is a prompt of its own. */
export function embeddingSizeOf(inputs: readonly EmbeddingInput[]): PromptSize {
  let bytes = 0;
  for (const input of inputs)
    bytes += typeof input === 'string' ? Buffer.byteLength(input) : input.length * BYTES_PER_TOKEN;
  return { bytes, tokens: Math.ceil(bytes / BYTES_PER_TOKEN) + TOKENS_PER_TEXT * inputs.length };
}

function messageBytes(message: Message): number {
  let bytes = Buffer.byteLength(message.content);
  if (message.role !== 'assistant') return bytes;
  if (message.reasoning !== undefined) bytes += Buffer.byteLength(message.reasoning);
  for (const call of message.toolCalls ?? [])
    bytes += Buffer.byteLength(call.name) + Buffer.byteLength(call.arguments);
  return bytes;
}

/** Templates write the definitions into the prompt, most of them as JSON. */
function toolBytes(tools: ToolUse | undefined): number {
  return tools === undefined ? 0 : Buffer.byteLength(JSON.stringify(tools.tools));
}

/**
 * A template may write any of them into the prompt (`documents`, `chat_template_kwargs`), and which ones does not show here. Numbers and
 * switches are settings, and what constrains the answer is no part of the prompt.
 */
function extraBytes(extras: Readonly<Record<string, unknown>>): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(extras)) {
    if (OUTPUT_EXTRAS.some((constraint) => constraint === name)) continue;
    if (typeof value === 'string') bytes += Buffer.byteLength(value);
    else if (typeof value === 'object') bytes += Buffer.byteLength(JSON.stringify(value));
  }
  return bytes;
}

function outputBytes(output: OutputFormat | undefined): number {
  switch (output?.kind) {
    case 'json-schema':
      return Buffer.byteLength(JSON.stringify(output.schema));
    case 'grammar':
      return Buffer.byteLength(output.grammar);
    case 'regex':
      return Buffer.byteLength(output.regex);
    case 'choice':
      return output.choices.reduce((bytes, choice) => bytes + Buffer.byteLength(choice), 0);
    default:
      return 0;
  }
}
