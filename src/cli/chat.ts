/** `llm-serve chat [model]`: a conversation with a model of a running server, at a terminal or from a pipe. */
import { ReadStream, WriteStream } from 'node:tty';
import type { Command } from 'commander';
import { printableText } from '../core/log.ts';
import { type AnswerOptions, addAnswerOptions, answerOptionsOf } from './answer-options.ts';
import { AnswerPrinter, type Style, styleFor } from './answer-printer.ts';
import { ChatHistory, loadChat, saveChat } from './chat-files.ts';
import { askForAnswer, failureText, type Receipt, receiptText } from './chat-request.ts';
import { CHAT_COMMANDS, type ChatAction, ChatSession } from './chat-session.ts';
import { type ChatEntry, PipeEntry, TerminalEntry } from './chat-terminal.ts';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';
import { isCancelled, RemoteError, type RemoteServer } from './remote.ts';
import { isServed, requireServed, servedModels, unknownModelText } from './served-models.ts';

const EXIT_FAILURE = 1;

export function addChatCommand(program: Command, { withOwnServer, serverOf, exit }: CommandFrame): void {
  const command = program
    .command('chat')
    .helpGroup(COMMAND_GROUPS.use)
    .argument('[model]', 'a model of the server; default: the server’s default model')
    .description('Chat with a model.')
    .option('--no-history', 'do not keep what is entered for the arrow keys of the next chat');
  withOwnServer(addAnswerOptions(command)).action(async (model: string | undefined) => {
    const keepsHistory = command.getOptionValue('history') !== false;
    exit(await chat(await serverOf(command), { ...answerOptionsOf(command), model, keepsHistory }));
  });
}

export interface ChatOptions extends AnswerOptions {
  readonly model: string | undefined;
  readonly keepsHistory: boolean;
}

export async function chat(server: RemoteServer, options: ChatOptions): Promise<number> {
  if (options.model !== undefined) await requireServed(server, options.model);
  const served = await servedModels(server);
  const { stdin, stdout } = process;
  const isTerminal = stdin instanceof ReadStream && stdout instanceof WriteStream;
  const style = styleFor(stdout);
  const entry = isTerminal
    ? new TerminalEntry({
        input: stdin,
        output: stdout,
        history: new ChatHistory({ keeps: options.keepsHistory }),
        isRich: style.isRich,
        commands: CHAT_COMMANDS,
      })
    : new PipeEntry(stdin);
  const unread = new AbortController();
  const leave = () => unread.abort();
  // Its reader has seen enough, as `head` has.
  stdout.once('error', leave);
  const dialogue = new Dialogue({ server, entry, style, isTerminal, options, unread: unread.signal });
  if (isTerminal) dialogue.greet(served);
  try {
    return await dialogue.run();
  } finally {
    stdout.off('error', leave);
    entry.close();
  }
}

interface DialogueOptions {
  readonly server: RemoteServer;
  readonly entry: ChatEntry;
  readonly style: Style;
  readonly isTerminal: boolean;
  readonly options: ChatOptions;
  /** Nobody reads the answers any more: none is asked for, and the one under way is given up. */
  readonly unread: AbortSignal;
}

class Dialogue {
  readonly #server: RemoteServer;
  readonly #entry: ChatEntry;
  readonly #style: Style;
  readonly #isTerminal: boolean;
  readonly #options: ChatOptions;
  readonly #unread: AbortSignal;
  readonly #session: ChatSession;
  #receipt: Receipt | undefined;
  #hasFailed = false;

  constructor({ server, entry, style, isTerminal, options, unread }: DialogueOptions) {
    this.#server = server;
    this.#entry = entry;
    this.#style = style;
    this.#isTerminal = isTerminal;
    this.#options = options;
    this.#unread = unread;
    this.#session = new ChatSession(options);
  }

  greet(served: readonly string[]): void {
    const model = this.#session.model ?? (served.length === 1 ? served[0] : undefined);
    this.#say(`${model ?? 'The default model'} at ${this.#server.address} (/help, Ctrl-D leaves)`);
  }

  /** Resolves with the exit code. From a pipe, the first failure ends it: the next line may build on its answer. */
  async run(): Promise<number> {
    for (;;) {
      const text = await this.#entry.next();
      if (text === undefined) return 0;
      const action = this.#session.enter(text);
      if (action.kind === 'leave') return 0;
      await this.#perform(action).catch((error: unknown) => this.#complain(failureText(error)));
      if (this.#unread.aborted) return 0;
      if (this.#hasFailed && !this.#isTerminal) return EXIT_FAILURE;
    }
  }

  async #perform(action: ChatAction): Promise<void> {
    switch (action.kind) {
      case 'ask':
        return this.#answer();
      case 'say':
        return this.#say(action.text);
      case 'complain':
        return this.#complain(action.text);
      case 'models':
        return this.#listModels();
      case 'model':
        return this.#changeModel(action.name);
      case 'stats':
        return this.#say(
          this.#receipt === undefined ? 'There is no answer yet.' : receiptText(this.#receipt),
        );
      case 'save':
        return this.#say(`Saved in ${saveChat(action.file, this.#session.saved())}.`);
      case 'load':
        this.#session.load(loadChat(action.file));
        return this.#say(`${this.#session.messages.length} messages are loaded.`);
    }
  }

  async #answer(): Promise<void> {
    const stopping = new AbortController();
    const printer = new AnswerPrinter({
      write: (text) => void process.stdout.write(text),
      isTerminal: this.#isTerminal,
      style: this.#style,
      hidesThinking: this.#options.hidesThinking,
    });
    const { resume } = this.#entry.answering(() => stopping.abort());
    printer.begin();
    try {
      const asking = {
        listener: printer,
        signal: AbortSignal.any([stopping.signal, this.#unread]),
        onStopped: (receipt: Receipt) => {
          this.#receipt = receipt;
        },
      };
      this.#receipt = await askForAnswer(this.#server, this.#session.request(), asking);
      printer.end();
      this.#session.answered(printer.answer);
      this.#tellEnd(this.#receipt, printer.answer);
    } catch (error) {
      printer.end();
      if (isCancelled(error)) {
        this.#session.answered(printer.answer);
        if (!this.#unread.aborted) this.#tellStop();
      } else this.#complain(failureText(error) + (this.#isTerminal ? nextStep(error) : ''));
    } finally {
      if (this.#isTerminal) process.stdout.write('\n');
      resume();
    }
  }

  #tellEnd(receipt: Receipt, answer: string): void {
    if (this.#options.showsStats) this.#say(receiptText(receipt));
    if (!this.#isTerminal) return;
    if (receipt.finishReason === 'length')
      this.#say('(cut off: the longest answer that is allowed, or that fits)');
    else if (answer === '') this.#say('(no text)');
    if (receipt.dropped !== undefined) this.#say(`(the model does not support ${receipt.dropped})`);
  }

  #tellStop(): void {
    this.#say('(stopped)');
    if (this.#options.showsStats && this.#receipt !== undefined) this.#say(receiptText(this.#receipt));
  }

  async #listModels(): Promise<void> {
    const current = this.#session.model ?? this.#receipt?.model;
    const names = await servedModels(this.#server);
    this.#say(names.map((name) => `${name === current ? '*' : ' '} ${name}`).join('\n'));
  }

  async #changeModel(name: string): Promise<void> {
    if (!(await isServed(this.#server, name)))
      return this.#complain(unknownModelText(name, await servedModels(this.#server)));
    this.#session.chooseModel(name);
    this.#say(`${name} answers from now on.`);
  }

  /** Words of the chat itself: never among the answers of a pipe. */
  #say(text: string): void {
    const line = `${this.#style.dim(printableText(text))}\n`;
    if (this.#isTerminal) process.stdout.write(line);
    else process.stderr.write(`${printableText(text)}\n`);
  }

  #complain(text: string): void {
    this.#hasFailed = true;
    if (this.#isTerminal) process.stdout.write(`${printableText(text)}\n`);
    else process.stderr.write(`llm-serve: ${printableText(text)}\n`);
  }
}

/** What a person can do about a question that failed. A key cannot be changed within a chat. */
function nextStep(error: unknown): string {
  const { status, code } = error instanceof RemoteError ? error : {};
  if (status === 401 || status === 403) return '';
  return code === 'model_not_found' ? ' /model lists those that there are.' : ' /retry asks again.';
}
