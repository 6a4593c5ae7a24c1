/** Conversations, in this browser's IndexedDB and nowhere else. Without it (private windows of some browsers) they last as long as the page. */
import { type Conversation, textOf, titleOf } from '../chat/conversation.ts';

/** What the list shows and the search reads. */
export interface Summary {
  readonly id: string;
  readonly title: string;
  readonly updatedAt: number;
  /** Its beginning, for the search. */
  readonly text: string;
}

const NAME = 'llm-serve';
const VERSION = 1;
const SEARCHED_CHARACTERS = 40_000;

let opened: Promise<IDBDatabase> | undefined;
const inMemory = new Map<string, Conversation>();
/** An answer that ends after its conversation was deleted does not bring it back. */
const deleted = new Set<string>();

export function summaryOf(conversation: Conversation): Summary {
  const { id, updatedAt } = conversation;
  return { id, title: titleOf(conversation), updatedAt, text: textOf(conversation, SEARCHED_CHARACTERS) };
}

/** The newest first. */
export async function listConversations(): Promise<readonly Summary[]> {
  const stored = await read<Summary[]>('summaries', (store) => store.getAll());
  const all = stored ?? [...inMemory.values()].map(summaryOf);
  return all.toSorted((one, other) => other.updatedAt - one.updatedAt);
}

export async function loadConversation(id: string): Promise<Conversation | undefined> {
  return (
    (await read<Conversation | undefined>('conversations', (store) => store.get(id))) ?? inMemory.get(id)
  );
}

export async function loadAll(): Promise<readonly Conversation[]> {
  return (await read<Conversation[]>('conversations', (store) => store.getAll())) ?? [...inMemory.values()];
}

/** Rejects with words for the person where the browser has no room. */
export async function saveConversation(conversation: Conversation): Promise<void> {
  if (deleted.has(conversation.id)) return;
  await write(
    (stores) => {
      stores.conversations.put(conversation);
      stores.summaries.put(summaryOf(conversation));
    },
    () => inMemory.set(conversation.id, conversation),
  );
}

export async function deleteConversation(id: string): Promise<void> {
  deleted.add(id);
  await write(
    (stores) => {
      stores.conversations.delete(id);
      stores.summaries.delete(id);
    },
    () => inMemory.delete(id),
  );
}

/** As saved, even if it was deleted before. */
export async function restoreConversation(conversation: Conversation): Promise<void> {
  deleted.delete(conversation.id);
  await saveConversation(conversation);
}

type StoreName = 'conversations' | 'summaries';

/** Undefined: there is no database. */
async function read<Result>(
  name: StoreName,
  ask: (store: IDBObjectStore) => IDBRequest<Result>,
): Promise<Result | undefined> {
  const database = await open().catch(() => undefined);
  if (database === undefined) return undefined;
  return done(ask(database.transaction(name).objectStore(name)));
}

async function write(
  change: (stores: Record<StoreName, IDBObjectStore>) => void,
  otherwise: () => void,
): Promise<void> {
  const database = await open().catch(() => undefined);
  if (database === undefined) {
    otherwise();
    return;
  }
  const transaction = database.transaction(['conversations', 'summaries'], 'readwrite');
  change({
    conversations: transaction.objectStore('conversations'),
    summaries: transaction.objectStore('summaries'),
  });
  await new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(new Error(wordsOf(transaction.error)));
  });
}

function wordsOf(error: DOMException | null): string {
  return error?.name === 'QuotaExceededError'
    ? 'This browser has no more room for conversations. Export and delete some.'
    : 'The conversation could not be saved in this browser.';
}

function open(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('conversations', { keyPath: 'id' });
      request.result.createObjectStore('summaries', { keyPath: 'id' });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

function done<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
