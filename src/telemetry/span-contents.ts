/**
 * Prompts and answers as attributes of a span, in the JSON of OpenTelemetry's conventions for generative AI. Pure; used only with
 * `tracing.content: true`. Long texts are cut, and images are named by type and size only, so that a span stays small.
 */
import type { TracedContents } from '../core/asked-of-model.ts';
import type { GenerationInput, GenerationResult, Image, Message, ToolCall } from '../core/generation.ts';

/** Of all texts of one attribute. */
const MAX_CHARACTERS = 32_768;
const CUT = '… (cut)';

type Part = Readonly<Record<string, unknown>>;

interface ContentAttributes {
  readonly attributes: Readonly<Record<string, string>>;
  /** Characters of all of them. */
  readonly length: number;
}

export function contentAttributes({ inputs, tools, results }: TracedContents): ContentAttributes {
  const attributes: Record<string, string> = {
    'gen_ai.input.messages': messagesOf(inputs),
  };
  if (results.length > 0) attributes['gen_ai.output.messages'] = answersOf(results);
  if (tools !== undefined) {
    const definitions = new Texts();
    const shown = tools.tools.map(({ name, description, parameters }) => ({
      type: 'function',
      name,
      ...(description !== undefined && { description: definitions.cut(description) }),
      ...(parameters !== undefined && { parameters: definitions.json(parameters) }),
    }));
    attributes['gen_ai.tool.definitions'] = JSON.stringify(shown);
  }
  const length = Object.values(attributes).reduce((sum, text) => sum + text.length, 0);
  return { attributes, length };
}

/** Cuts what goes beyond the bound of one attribute. */
class Texts {
  #left = MAX_CHARACTERS;

  cut(text: string): string {
    const room = this.#left;
    this.#left = Math.max(0, room - text.length);
    return text.length <= room ? text : text.slice(0, room) + CUT;
  }

  /** Whole, or as text that is cut. */
  json(value: unknown): unknown {
    const text = JSON.stringify(value) ?? 'null';
    const cut = this.cut(text);
    return cut === text ? value : cut;
  }

  part(content: string): Part {
    return { type: 'text', content: this.cut(content) };
  }

  call({ id, name, arguments: text }: ToolCall): Part {
    return { type: 'tool_call', id, name, arguments: this.cut(text) };
  }
}

function messagesOf(inputs: readonly GenerationInput[]): string {
  const texts = new Texts();
  return JSON.stringify(inputs.flatMap((input) => messagesOfInput(input, texts)));
}

function messagesOfInput(input: GenerationInput, texts: Texts): readonly Part[] {
  switch (input.kind) {
    case 'text':
      return [{ role: 'user', parts: [texts.part(input.prompt)] }];
    case 'tokens':
      return [{ role: 'user', parts: [{ type: 'tokens', count: input.tokens.length }] }];
    case 'chat':
      return input.messages.map((message) => ({ role: message.role, parts: partsOf(message, texts) }));
    default:
      return input satisfies never;
  }
}

function partsOf(message: Message, texts: Texts): readonly Part[] {
  const { content } = message;
  switch (message.role) {
    case 'tool':
      return [
        { type: 'tool_call_response', id: message.toolCallId, response: texts.cut(content) },
        ...(message.images ?? []).map(imagePart),
      ];
    case 'user':
      return [...(content === '' ? [] : [texts.part(content)]), ...(message.images ?? []).map(imagePart)];
    case 'assistant':
      return [
        ...(message.reasoning ? [{ type: 'reasoning', content: texts.cut(message.reasoning) }] : []),
        ...(content === '' ? [] : [texts.part(content)]),
        ...(message.toolCalls ?? []).map((call) => texts.call(call)),
      ];
    case 'system':
      return [texts.part(content)];
    default:
      return message satisfies never;
  }
}

function imagePart({ mediaType, base64 }: Image): Part {
  return { type: 'image', mime_type: mediaType, size_bytes: Math.floor((base64.length * 3) / 4) };
}

/** Choices that have not finished are left out. */
function answersOf(results: readonly GenerationResult[]): string {
  const texts = new Texts();
  const answers = results.flatMap((result) => {
    if (result === undefined) return [];
    const { text, reasoning, toolCalls, finishReason } = result;
    const parts = [
      ...(reasoning === '' ? [] : [{ type: 'reasoning', content: texts.cut(reasoning) }]),
      ...(text === '' ? [] : [texts.part(text)]),
      ...toolCalls.map((call) => texts.call(call)),
    ];
    return [{ role: 'assistant', parts, finish_reason: finishReason }];
  });
  return JSON.stringify(answers);
}
