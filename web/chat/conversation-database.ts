/** Conversations, in this browser's IndexedDB and nowhere else. Without it (private windows of some browsers) they last as long as the page. */
import { createStore } from '../state/store.ts';
import { type Conversation, textOf, titleOf } from './conversation.ts';

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

export function summaryOf(conversation: Conversation): Summary {
  const { id, updatedAt } = conversation;
  return { id, title: titleOf(conversation), updatedAt, text: textOf(conversation, SEARCHED_CHARACTERS) };
}

type StoreName = 'conversations' | 'summaries';

/** Whether conversations outlast the page, as far as is known. */
export const keepsConversations = createStore(true);

/** Methods reject with words for the person. */
class ConversationDatabase {
  #opened: Promise<IDBDatabase> | undefined;
  /** Where there is no database. */
  readonly #inMemory = new Map<string, Conversation>();
  /** An answer that ends after its conversation was deleted does not bring it back. */
  readonly #deleted = new Set<string>();

  /** The newest first. */
  async list(): Promise<readonly Summary[]> {
    const stored = await this.#read<Summary[]>('summaries', (store) => store.getAll());
    const all = stored ?? [...this.#inMemory.values()].map(summaryOf);
    return all.toSorted((one, other) => other.updatedAt - one.updatedAt);
  }

  async load(id: string): Promise<Conversation | undefined> {
    const stored = await this.#read<Conversation | undefined>('conversations', (store) => store.get(id));
    return stored ?? this.#inMemory.get(id);
  }

  async loadAll(): Promise<readonly Conversation[]> {
    const stored = await this.#read<Conversation[]>('conversations', (store) => store.getAll());
    return stored ?? [...this.#inMemory.values()];
  }

  /** False: it was deleted, and stays so. */
  async save(conversation: Conversation): Promise<boolean> {
    if (this.#deleted.has(conversation.id)) return false;
    const summary = summaryOf(conversation);
    await this.#write(
      (stores) => {
        stores.conversations.put(conversation);
        stores.summaries.put(summary);
      },
      () => this.#inMemory.set(conversation.id, conversation),
    );
    return true;
  }

  async delete(id: string): Promise<void> {
    this.#deleted.add(id);
    await this.#write(
      (stores) => {
        stores.conversations.delete(id);
        stores.summaries.delete(id);
      },
      () => this.#inMemory.delete(id),
    );
  }

  /** Saves one that may have been deleted before. */
  async restore(conversation: Conversation): Promise<void> {
    this.#deleted.delete(conversation.id);
    await this.save(conversation);
  }

  /** Undefined: there is no database. */
  async #read<Result>(
    name: StoreName,
    ask: (store: IDBObjectStore) => IDBRequest<Result>,
  ): Promise<Result | undefined> {
    const transaction = await this.#transaction('readonly');
    if (transaction === undefined) return undefined;
    const request = ask(transaction.objectStore(name));
    return new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(new Error('The conversations of this browser could not be read.'));
    });
  }

  async #write(
    change: (stores: Record<StoreName, IDBObjectStore>) => void,
    otherwise: () => void,
  ): Promise<void> {
    const transaction = await this.#transaction('readwrite');
    if (transaction === undefined) {
      otherwise();
      return;
    }
    change({
      conversations: transaction.objectStore('conversations'),
      summaries: transaction.objectStore('summaries'),
    });
    // At once: a page that is being left does not live to see its requests succeed.
    transaction.commit();
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(new Error(wordsOf(transaction.error)));
    });
  }

  /** Of a new connection where the browser closed the old one, as when the site's data were cleared. */
  async #transaction(mode: IDBTransactionMode): Promise<IDBTransaction | undefined> {
    for (let tries = 0; tries < 2; tries += 1) {
      const database = await this.#open().catch(() => undefined);
      keepsConversations.set(database !== undefined);
      if (database === undefined) return undefined;
      try {
        return database.transaction(['conversations', 'summaries'], mode);
      } catch {
        this.#opened = undefined;
      }
    }
    throw new Error('The conversations of this browser cannot be reached. Load the page again.');
  }

  #open(): Promise<IDBDatabase> {
    this.#opened ??= new Promise<IDBDatabase>((resolve, reject) => {
      const forget = () => {
        this.#opened = undefined;
      };
      const request = indexedDB.open(NAME, VERSION);
      request.onupgradeneeded = () => {
        request.result.createObjectStore('conversations', { keyPath: 'id' });
        request.result.createObjectStore('summaries', { keyPath: 'id' });
      };
      request.onsuccess = () => {
        const database = request.result;
        database.onclose = forget;
        // A page of a later version, in another tab, waits for this one.
        database.onversionchange = () => {
          forget();
          database.close();
        };
        resolve(database);
      };
      request.onerror = () => {
        forget();
        reject(request.error);
      };
    });
    return this.#opened;
  }
}

export const database = new ConversationDatabase();

function wordsOf(error: DOMException | null): string {
  return error?.name === 'QuotaExceededError'
    ? 'This browser has no more room for conversations. Export and delete some.'
    : 'The conversation could not be saved in this browser.';
}
