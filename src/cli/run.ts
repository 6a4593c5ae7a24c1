/** `llm-serve run MODEL "prompt"`: one answer on standard output, and nothing else there. Without a prompt at a terminal, a chat. */
import { fstatSync, readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { ConfigError } from '../config/config-error.ts';
import { printableText } from '../core/log.ts';
import { addAnswerOptions, answerOptionsOf } from './answer-options.ts';
import { AnswerPrinter, styleFor } from './answer-printer.ts';
import { chat } from './chat.ts';
import {
  askForAnswer,
  type ChatRequest,
  type ContentPart,
  failureText,
  type Receipt,
  receiptText,
} from './chat-request.ts';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';
import { isCancelled, type RemoteServer } from './remote.ts';
import { isServed, servedModels, unknownModelText } from './served-models.ts';
import { EXIT_INTERRUPTED } from './terminal.ts';

const EXIT_FAILURE = 1;

export function addRunCommand(program: Command, { withOwnServer, serverOf, exit }: CommandFrame): void {
  const command = program
    .command('run')
    .helpGroup(COMMAND_GROUPS.use)
    .argument('[model]', 'a model of the server; default: the server’s default model')
    .argument('[prompt...]', 'what to ask; what comes from a pipe follows it')
    .description('Ask once, print the answer.')
    .option('-m, --model <name>', 'the model; all words are the prompt then')
    .option('--format <json|file>', 'json, or a file with the JSON Schema that the answer is to follow')
    .option('--image <file>', 'show the model an image; may be repeated', collect)
    .addOption(new Option('--json', 'print the whole answer as JSON, with tokens and timings'));
  withOwnServer(addAnswerOptions(command))
    .allowExcessArguments(true)
    .action(async () => exit(await run(await serverOf(command), command)));
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function run(server: RemoteServer, command: Command): Promise<number> {
  const answerOptions = answerOptionsOf(command);
  const { model, words } = await readWords(server, command);
  const piped = await readPipe();
  const prompt = [words.join(' '), piped].filter((text) => text !== '').join('\n\n');
  if (prompt === '') {
    if (process.stdin.isTTY === true) return chat(server, { ...answerOptions, model, keepsHistory: true });
    throw new ConfigError('There is no prompt: give it as an argument, or by a pipe.');
  }
  const { system } = answerOptions;
  const images = (command.getOptionValue('image') ?? []) as readonly string[];
  const request = {
    model,
    messages: [
      ...(system === undefined ? [] : [{ role: 'system', content: system } as const]),
      { role: 'user', content: images.length === 0 ? prompt : withImages(prompt, images) } as const,
    ],
    parameters: { ...answerOptions.parameters, ...formatOf(command.getOptionValue('format')) },
  };
  const asJson = command.getOptionValue('json') === true;
  return asJson ? printWhole(server, request) : printPieces(server, request, answerOptions);
}

/**
 * The first word is the model, unless it has a space in it: a quoted prompt is for the default model. A word that is no model is wrong
 * usage, so that a misspelt model does not become a part of the prompt.
 */
async function readWords(
  server: RemoteServer,
  command: Command,
): Promise<{ readonly model: string | undefined; readonly words: readonly string[] }> {
  const named = command.getOptionValue('model') as string | undefined;
  const [first, ...rest] = command.args;
  const model = named ?? first;
  if (model === undefined) return { model, words: [] };
  if (named === undefined && /\s/.test(model)) return { model: undefined, words: command.args };
  if (await isServed(server, model)) return { model, words: named === undefined ? rest : command.args };
  const served = await servedModels(server);
  const hint =
    named === undefined && served[0] !== undefined && !LOOKS_LIKE_MODEL.test(model)
      ? ` If it begins the prompt, name the model before it: llm-serve run ${served[0]} ${JSON.stringify(command.args.join(' '))}`
      : '';
  throw new ConfigError(`${unknownModelText(model, served)}${hint}`);
}

const LOOKS_LIKE_MODEL = /[:/]/;
const NOTE_READING_AFTER_MS = 2000;

/** Nothing where no pipe or file is connected. */
async function readPipe(): Promise<string> {
  try {
    const stat = fstatSync(process.stdin.fd);
    if (!stat.isFIFO() && !stat.isFile() && !stat.isSocket()) return '';
  } catch {
    return '';
  }
  // A pipe that stays open, as of a remote shell, would look like a server that does not answer.
  const noting = setTimeout(
    () => note('Standard input is read to its end first; "< /dev/null" gives none.'),
    NOTE_READING_AFTER_MS,
  );
  let text = '';
  for await (const piece of process.stdin.setEncoding('utf8')) text += String(piece);
  clearTimeout(noting);
  return text.trimEnd();
}

interface Shown {
  readonly hidesThinking: boolean;
  readonly showsStats: boolean;
}

async function printPieces(server: RemoteServer, request: ChatRequest, shown: Shown): Promise<number> {
  const { stdout } = process;
  const printer = new AnswerPrinter({
    write: (text) => void stdout.write(text),
    isTerminal: stdout.isTTY === true,
    style: styleFor(stdout),
    hidesThinking: shown.hidesThinking,
  });
  printer.begin();
  return untilInterrupted(async (signal) => {
    try {
      const receipt = await askForAnswer(server, request, { listener: printer, signal });
      printer.end();
      tellEnd(receipt, shown.showsStats);
    } finally {
      printer.end();
    }
  });
}

function tellEnd(receipt: Receipt, showsStats: boolean): void {
  const { finishReason, dropped } = receipt;
  if (finishReason === 'length') note('The answer was cut off: the longest that is allowed, or that fits.');
  if (dropped !== undefined) note(`The model does not support ${dropped}.`);
  if (showsStats) process.stderr.write(`${printableText(receiptText(receipt))}\n`);
}

async function printWhole(server: RemoteServer, request: ChatRequest): Promise<number> {
  let answer = '';
  let thoughts = '';
  const listener = {
    text: (text: string) => {
      answer += text;
    },
    reasoning: (text: string) => {
      thoughts += text;
    },
  };
  return untilInterrupted(async (signal) => {
    const receipt = await askForAnswer(server, request, { listener, signal });
    process.stdout.write(
      `${printableText(JSON.stringify(wholeAnswer(receipt, { answer, thoughts }), null, 2))}\n`,
    );
  });
}

function wholeAnswer(
  { model, target, finishReason, usage, timings }: Receipt,
  { answer, thoughts }: { readonly answer: string; readonly thoughts: string },
) {
  return {
    model: model ?? null,
    target: target ?? null,
    text: answer,
    ...(thoughts !== '' && { reasoning: thoughts }),
    finish_reason: finishReason ?? null,
    usage:
      usage === undefined
        ? null
        : {
            prompt_tokens: usage.promptTokens,
            cached_tokens: usage.cachedTokens,
            completion_tokens: usage.completionTokens,
          },
    timings: timings ?? null,
  };
}

/** Ctrl-C, or a reader of the output that has enough (`head`), cancels the answer on the server too. */
async function untilInterrupted(ask: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const stopping = new AbortController();
  let exitCode = 0;
  const interrupt = () => {
    exitCode = EXIT_INTERRUPTED;
    stopping.abort();
  };
  const unread = () => stopping.abort();
  process.once('SIGINT', interrupt);
  process.stdout.once('error', unread);
  try {
    await ask(stopping.signal);
  } catch (error) {
    if (!isCancelled(error)) {
      note(failureText(error));
      return EXIT_FAILURE;
    }
  } finally {
    process.off('SIGINT', interrupt);
    process.stdout.off('error', unread);
  }
  return exitCode;
}

function note(text: string): void {
  process.stderr.write(`llm-serve: ${printableText(text)}\n`);
}

function formatOf(format: string | undefined): { readonly response_format?: unknown } {
  if (format === undefined) return {};
  if (format === 'json') return { response_format: { type: 'json_object' } };
  const text = readFile('--format', format).toString('utf8');
  try {
    const schema: unknown = JSON.parse(text);
    return {
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } },
    };
  } catch {
    throw new ConfigError(`--format is ${JSON.stringify(format)}, but that file holds no JSON.`);
  }
}

/** How the files of each type begin. */
const IMAGE_TYPES: readonly (readonly [type: string, magic: RegExp])[] = [
  ['image/png', /^\x89PNG/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/gif', /^GIF8/],
  ['image/webp', /^RIFF[\s\S]{4}WEBP/],
];

function withImages(prompt: string, files: readonly string[]): readonly ContentPart[] {
  const images = files.map((file): ContentPart => {
    const bytes = readFile('--image', file);
    const head = bytes.subarray(0, 16).toString('latin1');
    const [type] = IMAGE_TYPES.find(([, magic]) => magic.test(head)) ?? [];
    if (type === undefined)
      throw new ConfigError(`--image is ${JSON.stringify(file)}, but must be a PNG, JPEG, GIF or WebP file.`);
    return { type: 'image_url', image_url: { url: `data:${type};base64,${bytes.toString('base64')}` } };
  });
  return [{ type: 'text', text: prompt }, ...images];
}

function readFile(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ConfigError(
      `${option} is ${JSON.stringify(file)}, but that file cannot be read: ${(error as Error).message}`,
    );
  }
}
