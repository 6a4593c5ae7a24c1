/** What the Chat view shows: one store for the conversation, and small ones beside it that change apart from it. */

import type { Summary } from '../state/conversation-database.ts';
import { newId } from '../state/new-id.ts';
import { createStore } from '../state/store.ts';
import { type Conversation, newConversation } from './conversation.ts';
import type { Abilities, ModelEntry } from './models.ts';

export const conversation = createStore<Conversation>(newConversation(newId(), Date.now(), ''));

/** The newest first. */
export const summaries = createStore<readonly Summary[]>([]);

/** Undefined: not loaded yet. */
export const models = createStore<readonly ModelEntry[] | undefined>(undefined);

/** Of the chosen model; undefined: the server does not tell. */
export const abilities = createStore<Abilities | undefined>(undefined);

export interface Answering {
  readonly conversationId: string;
  readonly messageId: string;
  /** Ends it. */
  readonly abort: AbortController;
}

/** One answer at a time. */
export const answering = createStore<Answering | undefined>(undefined);

/** The server does not answer: since when, and the next try. */
export const serverGone = createStore<{ readonly since: number } | undefined>(undefined);

/** One line for the person: what could not be done. */
export const notice = createStore<string | undefined>(undefined);

/** For screen readers: said once, not with every word. */
export const announcement = createStore('');
