/** What a person does in the Chat view. */
import { asFailure } from '../api/failure.ts';
import {
  deleteConversation,
  listConversations,
  loadAll,
  loadConversation,
  restoreConversation,
  saveConversation,
} from '../state/conversation-database.ts';
import { newId } from '../state/new-id.ts';
import { answerAfter, stopAnswer } from './answering.ts';
import { abilities, answering, conversation, models, notice, summaries } from './chat-state.ts';
import {
  type Conversation,
  type Message,
  newConversation,
  pathBefore,
  pathOf,
  showing,
  withMessage,
} from './conversation.ts';
import { abilitiesOf, listModels } from './models.ts';
import { serverIsBack } from './server-watch.ts';
import type { Settings } from './settings.ts';
import { exported, imported } from './transfer.ts';

const LAST_MODEL = 'llm-serve.model';

export function send(text: string, images: readonly string[]): void {
  const path = pathOf(conversation.get());
  addAndAnswer({ parent: path.at(-1)?.id, role: 'user', text, ...(images.length > 0 && { images }) }, path);
}

/** As another branch; the old one stays. */
export function resend(message: Message, text: string): void {
  const { images } = message;
  addAndAnswer(
    { parent: message.parent, role: 'user', text, ...(images && { images }) },
    pathBefore(conversation.get(), message),
  );
}

export function regenerate(message: Message): void {
  answerAfter(pathBefore(conversation.get(), message));
}

/** The results of an answer's calls, by the id of the call. */
export function sendToolResults(results: readonly { readonly id: string; readonly text: string }[]): void {
  let current = conversation.get();
  for (const { id, text } of results) {
    const parent = pathOf(current).at(-1)?.id;
    current = withMessage(current, { id: newId(), parent, role: 'tool', text, toolCallId: id }, Date.now());
  }
  change(current);
  answerAfter(pathOf(current));
}

function addAndAnswer(message: Omit<Message, 'id'>, path: readonly Message[]): void {
  if (answering.get() !== undefined) return;
  const added = { ...message, id: newId() };
  change(withMessage(conversation.get(), added, Date.now()));
  answerAfter([...path, added]);
}

export function showBranch(id: string): void {
  change(showing(conversation.get(), id));
}

export function changeSettings(settings: Settings): void {
  change({ ...conversation.get(), settings });
}

export function chooseModel(model: string): void {
  change({ ...conversation.get(), model });
  remember(model);
  void loadAbilities(model);
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
  const found = await loadConversation(id);
  if (found === undefined) return;
  const known = models.get()?.some((each) => each.id === found.model) ?? true;
  conversation.set(known ? found : { ...found, model: conversation.get().model });
  notice.set(undefined);
  void loadAbilities(conversation.get().model);
}

export async function renameConversation(id: string, title: string): Promise<void> {
  const found = id === conversation.get().id ? conversation.get() : await loadConversation(id);
  if (found === undefined) return;
  const renamed = { ...found, title: title.trim().slice(0, 200) };
  if (id === conversation.get().id) conversation.set(renamed);
  await save(renamed);
}

export async function removeConversation(id: string): Promise<void> {
  await deleteConversation(id);
  if (id === conversation.get().id) {
    stopAnswer();
    const { model, settings } = conversation.get();
    conversation.set(newConversation(newId(), Date.now(), model, settings));
  }
  await refreshList();
}

export async function exportConversations(only?: string): Promise<void> {
  const all = await loadAll();
  const chosen = only === undefined ? all : all.filter(({ id }) => id === only);
  const address = URL.createObjectURL(new Blob([exported(chosen)], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = only === undefined ? 'conversations.json' : `conversation-${only.slice(0, 8)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Those that are there already are replaced. */
export async function importConversations(file: Blob): Promise<void> {
  try {
    const all = imported(await file.text());
    for (const each of all) await restoreConversation(each);
    await refreshList();
    const [first] = all;
    if (first !== undefined) await openConversation(first.id, { again: true });
    notice.set(`${all.length} conversation${all.length === 1 ? '' : 's'} imported.`);
  } catch (thrown) {
    notice.set(`Not imported. ${thrown instanceof Error ? thrown.message : ''}`);
  }
}

export async function refreshList(): Promise<void> {
  summaries.set(await listConversations());
}

/** Waits for a server that is not there. */
export async function loadModels(): Promise<void> {
  for (;;) {
    try {
      const list = await listModels();
      models.set(list);
      const { model } = conversation.get();
      const wanted = model === '' ? remembered() : model;
      const chosen = list.find(({ id }) => id === wanted)?.id ?? list[0]?.id ?? '';
      if (chosen !== model) conversation.update((current) => ({ ...current, model: chosen }));
      if (chosen !== '') await loadAbilities(chosen);
      return;
    } catch (thrown) {
      const failure = asFailure(thrown);
      if (failure.status !== 0) {
        notice.set(failure.message);
        models.set([]);
        return;
      }
      await serverIsBack(new AbortController().signal);
    }
  }
}

async function loadAbilities(model: string): Promise<void> {
  abilities.set(undefined);
  const found = await abilitiesOf(model).catch(() => undefined);
  if (conversation.get().model === model) abilities.set(found);
}

function change(next: Conversation): void {
  conversation.set(next);
  // An empty one is not worth a place in the list.
  if (Object.keys(next.messages).length > 0) void save(next);
}

async function save(next: Conversation): Promise<void> {
  try {
    await saveConversation(next);
    await refreshList();
  } catch (thrown) {
    notice.set(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function remember(model: string): void {
  try {
    localStorage.setItem(LAST_MODEL, model);
  } catch {
    // Storage is off.
  }
}

function remembered(): string {
  try {
    return localStorage.getItem(LAST_MODEL) ?? '';
  } catch {
    return '';
  }
}
