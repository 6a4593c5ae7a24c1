/** What a person does in the Chat view. */
import { apiKey } from '../state/api-key.ts';
import { leaving } from '../state/leaving.ts';
import { newId } from '../state/new-id.ts';
import { plural } from '../ui/amounts.ts';
import { answerAfter, stopAnswer, whyNoAnswer } from './answering.ts';
import {
  conversation,
  draftImages,
  draftText,
  models,
  notice,
  serverGone,
  summaries,
  written,
} from './chat-state.ts';
import {
  type Conversation,
  type Message,
  newConversation,
  pathBefore,
  pathOf,
  showing,
  withMessage,
} from './conversation.ts';
import { database } from './conversation-database.ts';
import { chooseModel, fitModel, loadModels } from './model-list.ts';
import { flushWhenLeft, saver } from './saving.ts';
import type { Settings } from './settings.ts';
import { rememberedOpen, rememberImages, rememberOpen, rememberText, rememberWritten } from './tab-memory.ts';
import { exported, imported } from './transfer.ts';

/** They change with each key. */
const SETTINGS_WITHIN_MS = 400;

/** Of the actions that ask the model: false where no answer can begin, which the person is told; then nothing has changed. */
type Taken = boolean;

export function send(text: string, images: readonly string[]): Taken {
  const path = pathOf(conversation.get());
  return ask({ parent: path.at(-1)?.id, role: 'user', text, ...(images.length > 0 && { images }) }, path);
}

/** As another branch; the old one stays. */
export function resend(message: Message, text: string): Taken {
  const { images } = message;
  return ask(
    { parent: message.parent, role: 'user', text, ...(images && { images }) },
    pathBefore(conversation.get(), message),
  );
}

export function regenerate(message: Message): Taken {
  return answerAfter(pathBefore(conversation.get(), message));
}

/** What was asked and has no answer. */
export function answerLast(): Taken {
  return answerAfter(pathOf(conversation.get()));
}

/** The results of an answer's calls, by the id of the call. */
export function sendToolResults(results: readonly { readonly id: string; readonly text: string }[]): Taken {
  if (!mayAnswer()) return false;
  let current = conversation.get();
  for (const { id, text } of results) {
    const parent = pathOf(current).at(-1)?.id;
    current = withMessage(current, { id: newId(), parent, role: 'tool', text, toolCallId: id }, Date.now());
  }
  conversation.set(current);
  return answerAfter(pathOf(current));
}

function ask(message: Omit<Message, 'id'>, path: readonly Message[]): Taken {
  if (message.text.trim() === '' && (message.images ?? []).length === 0) return false;
  if (!mayAnswer()) return false;
  const added = { ...message, id: newId() };
  conversation.set(withMessage(conversation.get(), added, Date.now()));
  return answerAfter([...path, added]);
}

function mayAnswer(): boolean {
  const why = whyNoAnswer();
  if (why !== undefined) notice.set(why);
  return why === undefined;
}

export function showBranch(id: string): void {
  change(showing(conversation.get(), id), 0);
}

export function changeSettings(settings: Settings): void {
  change({ ...conversation.get(), settings }, SETTINGS_WITHIN_MS);
}

/** From the next answer on. */
export function pickModel(model: string): void {
  chooseModel(model);
  change(conversation.get(), 0);
}

export function startConversation(): void {
  stopAnswer();
  const { model, settings, messages } = conversation.get();
  if (Object.keys(messages).length === 0) return;
  // The next one is likely about the same: system prompt and parameters stay.
  conversation.set(newConversation(newId(), Date.now(), model, settings));
  notice.set(undefined);
}

/** `again`: what is stored may be another than what is shown. */
export async function openConversation(id: string, { again = false } = {}): Promise<void> {
  if (id === conversation.get().id && !again) return;
  stopAnswer();
  saver.flush();
  const found = await told(database.load(id));
  if (found === undefined) return;
  conversation.set(found);
  notice.set(undefined);
  const list = models.get();
  if (list !== undefined) await fitModel(list);
}

export async function renameConversation(id: string, title: string): Promise<void> {
  const found = id === conversation.get().id ? conversation.get() : await told(database.load(id));
  if (found === undefined) return;
  const renamed = { ...found, title: title.trim().slice(0, 200) };
  if (id === conversation.get().id) conversation.set(renamed);
  saver.save(renamed, 0);
}

export async function removeConversation(id: string): Promise<void> {
  saver.forget(id);
  await told(database.delete(id));
  summaries.update((all) => all.filter((each) => each.id !== id));
  if (id !== conversation.get().id) return;
  stopAnswer();
  const { model, settings } = conversation.get();
  conversation.set(newConversation(newId(), Date.now(), model, settings));
}

export async function exportConversations(): Promise<void> {
  saver.flush();
  const all = await told(database.loadAll());
  if (all === undefined) return;
  const address = URL.createObjectURL(new Blob([exported(all)], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = 'conversations.json';
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Those that are there already are replaced. */
export async function importConversations(file: Blob): Promise<void> {
  try {
    const all = imported(await file.text());
    for (const each of all) await database.restore(each);
    summaries.set(await database.list());
    const [first] = all;
    if (first !== undefined) await openConversation(first.id, { again: true });
    notice.set(`${plural(all.length, 'conversation')} imported.`);
  } catch (thrown) {
    notice.set(`Not imported. ${thrown instanceof Error ? thrown.message : ''}`);
  }
}

/** Once for a page: what this tab had before it was loaded again, the conversations of this browser, the models of the server. */
export async function beginChat(): Promise<void> {
  const open = rememberedOpen();
  if (open !== undefined) {
    // An empty one is another in each tab, also in a tab that was made a copy of this one: by its own new id.
    conversation.update(({ id, model }) => newConversation(id, Date.now(), model, open.settings));
    if (open.settings === undefined) await openConversation(open.id, { again: true });
  }
  conversation.subscribe(() => rememberOpen(conversation.get()));
  draftText.subscribe(() => rememberText(draftText.get()));
  written.subscribe(() => rememberWritten(written.get()));
  draftImages.subscribe(() => rememberImages(draftImages.get()));
  flushWhenLeft();
  leaving.watch();
  // A server that comes back, and one that knows the person by another key, may have other models.
  serverGone.subscribe(() => serverGone.get() || void loadModels());
  apiKey.subscribe(() => void loadModels());
  summaries.set((await told(database.list())) ?? []);
  await loadModels();
}

/** Saved within so many milliseconds. */
function change(next: Conversation, withinMs: number): void {
  conversation.set(next);
  // An empty one is not worth a place in the list.
  if (Object.keys(next.messages).length > 0) saver.save(next, withinMs);
}

/** Undefined where it failed, which the person is told. */
async function told<Value>(promise: Promise<Value>): Promise<Value | undefined> {
  try {
    return await promise;
  } catch (thrown) {
    notice.set(thrown instanceof Error ? thrown.message : String(thrown));
    return undefined;
  }
}
