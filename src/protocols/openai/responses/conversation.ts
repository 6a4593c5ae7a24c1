/**
 * The input items of a response become messages. What the assistant writes, thinks and calls between two other items is one
 * turn, so one message. As OpenAI insists: an output belongs to a call of the turn before it, and every call has its output
 * before the conversation goes on.
 */
import type { ServingError } from '../../../core/errors.ts';
import type { Image, Message, ToolCall } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../field-errors.ts';
import { listIds, ToolCallMatcher } from '../../tools.ts';
import { parseCallArguments, parseContent, parseDataImage } from '../content.ts';
import { unsupported } from '../errors.ts';
import type {
  CallOutputItem,
  ContentPart,
  InputItem,
  KnownItem,
  MessageItem,
  ReasoningItem,
} from './schema.ts';
import { modelNameOf, type OfferedTools } from './tools.ts';

export interface Conversation {
  readonly messages: readonly Message[];
  /** Kinds of items that were dropped, as X-Dropped-Parameters names them. */
  readonly dropped: readonly string[];
}

export function parseItems(items: readonly InputItem[], tools: OfferedTools): Conversation {
  const builder = new ConversationBuilder(tools);
  for (const [index, item] of items.entries()) builder.add(item, `input[${index}]`);
  return builder.finish();
}

/** What hosted tools left in the output of an earlier response: nothing here could read it. */
const HOSTED_ITEM =
  /^(web_search_call|file_search_call|code_interpreter_call|image_generation_call|computer_call|computer_call_output|mcp_list_tools|mcp_call|mcp_approval_request|mcp_approval_response|tool_search_call|tool_search_output)$/;

/** What the assistant has written, thought and called since the last item of another role. */
interface Turn {
  text: string | undefined;
  reasoning: string;
  readonly calls: { readonly call: ToolCall; readonly path: string }[];
}

class ConversationBuilder {
  readonly #tools: OfferedTools;
  readonly #messages: Message[] = [];
  readonly #calls = new ToolCallMatcher();
  readonly #dropped = new Set<string>();
  #turn = newTurn();

  constructor(tools: OfferedTools) {
    this.#tools = tools;
  }

  add(item: InputItem, path: string): void {
    // The schema allows other types too: they go to `default`.
    const known = item as KnownItem;
    switch (known.type) {
      case undefined:
      case 'message':
        this.#addMessage(known, path);
        break;
      case 'reasoning':
        this.#addReasoning(known);
        break;
      case 'function_call':
        this.#addCall(path, {
          id: known.call_id,
          name: modelNameOf(this.#tools, known),
          arguments: parseCallArguments(known.arguments, `${path}.arguments`),
        });
        break;
      case 'custom_tool_call':
        this.#addCall(path, {
          id: known.call_id,
          name: modelNameOf(this.#tools, known),
          arguments: JSON.stringify({ input: known.input }),
        });
        break;
      case 'local_shell_call':
      case 'shell_call':
      case 'apply_patch_call':
        this.#addCall(path, {
          id: known.call_id ?? known.id ?? '',
          name: known.type.slice(0, -'_call'.length),
          arguments: JSON.stringify(known.action ?? known.operation ?? {}),
        });
        break;
      case 'function_call_output':
      case 'custom_tool_call_output':
        this.#addOutput(known.call_id, known.output, path);
        break;
      case 'local_shell_call_output':
      case 'shell_call_output':
      case 'apply_patch_call_output': {
        const { call_id, id = '', output = '' } = known;
        this.#addOutput(call_id ?? id, typeof output === 'string' ? output : JSON.stringify(output), path);
        break;
      }
      // They are offered with the others, and are no message.
      case 'additional_tools':
        break;
      case 'item_reference':
        throw itemReference(path);
      default:
        this.#drop(item.type ?? '', `${path}.type`);
    }
  }

  finish(): Conversation {
    this.#endTurn();
    this.#rejectUnanswered();
    if (this.#messages.length === 0) throw invalid('input', 'input has no message. Send at least one.');
    return { messages: this.#messages, dropped: [...this.#dropped] };
  }

  #addMessage({ role, content }: MessageItem, path: string): void {
    const { text, images } = parseContent(content, `${path}.content`, (part, partPath) =>
      parsePart(part, partPath, role === 'user'),
    );
    if (role === 'assistant') {
      // A call must have its output before the next turn, so text after it belongs to the same.
      if (this.#turn.text !== undefined && this.#turn.calls.length === 0) this.#endTurn();
      this.#turn.text = (this.#turn.text ?? '') + text;
      return;
    }
    this.#endTurn();
    this.#rejectUnanswered();
    this.#calls.reset();
    if (role !== 'user') {
      this.#messages.push({ role: 'system', content: text });
      return;
    }
    this.#messages.push({ role, content: text, ...(images.length > 0 && { images }) });
  }

  #addReasoning({ content = [], summary = [] }: ReasoningItem): void {
    const texts = content.length > 0 ? content : summary;
    const text = texts.map((each) => each.text).join('\n');
    if (text === '') return;
    if (this.#turn.text !== undefined && this.#turn.calls.length === 0) this.#endTurn();
    const { reasoning } = this.#turn;
    this.#turn.reasoning = reasoning === '' ? text : `${reasoning}\n${text}`;
  }

  #addCall(path: string, call: ToolCall): void {
    this.#turn.calls.push({ call, path });
  }

  #addOutput(id: string, output: CallOutputItem['output'], path: string): void {
    this.#endTurn();
    const { text, images } = parseContent(output, `${path}.output`, (part, partPath) =>
      parsePart(part, partPath, true),
    );
    const toolCallId = this.#calls.match(id, {
      path,
      idPath: `${path}.call_id`,
      misplaced: {
        path: `${path}.call_id`,
        message: `${path}.call_id is ${JSON.stringify(id)}, but no function_call stands before it. Send the call too, right before its output.`,
      },
    });
    this.#messages.push({ role: 'tool', content: text, toolCallId, ...(images.length > 0 && { images }) });
  }

  #drop(type: string, path: string): void {
    if (!HOSTED_ITEM.test(type))
      throw unsupported(
        path,
        `is ${showValue(type)}, but must be one of "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning". Remove the item.`,
      );
    this.#dropped.add(`input.${type}`);
  }

  /** Reasoning that leads to no text and no call is dropped. */
  #endTurn(): void {
    const { text, reasoning, calls } = this.#turn;
    this.#turn = newTurn();
    if (text === undefined && calls.length === 0) return;
    this.#rejectUnanswered();
    this.#calls.begin(calls.map(({ call, path }) => ({ id: call.id, idPath: `${path}.call_id` })));
    this.#messages.push({
      role: 'assistant',
      content: text ?? '',
      ...(reasoning !== '' && { reasoning }),
      ...(calls.length > 0 && { toolCalls: calls.map(({ call }) => call) }),
    });
  }

  #rejectUnanswered(): void {
    const { unanswered } = this.#calls;
    if (unanswered.length === 0) return;
    throw invalid(
      'input',
      `input has calls without an output before the conversation goes on: ${listIds(unanswered)}. Each needs a function_call_output with its call_id.`,
    );
  }
}

export function itemReference(path: string): ServingError {
  return unsupported(
    path,
    'refers to an item by its id, but none is kept here. Send the item itself, as clients do that are told store: false.',
  );
}

function newTurn(): Turn {
  return { text: undefined, reasoning: '', calls: [] };
}

function parsePart(part: ContentPart, path: string, takesImages: boolean): string | Omit<Image, 'at'> {
  switch (part.type) {
    case 'input_text':
    case 'output_text':
      return part.text;
    case 'refusal':
      return part.refusal;
    case 'input_image':
      if (part.file_id !== undefined)
        throw unsupported(
          `${path}.file_id`,
          'is not supported: no files are kept here. Send the image in image_url, as data:image/png;base64,…',
        );
      if (!takesImages)
        throw invalid(
          path,
          `${path} is an image, but only a user’s message and a tool’s output may have images.`,
        );
      return parseDataImage(part.image_url, `${path}.image_url`);
    case 'input_file':
      throw unsupported(
        `${path}.type`,
        'is "input_file", but files are not read here. Send their text as input_text.',
      );
    default:
      throw part satisfies never;
  }
}
