/**
 * What the Chat view shows: one store for the conversation, and small ones beside it that change apart from it. A page has one of each,
 * and they outlast the view, which may be left and shown again.
 */
import type { ApiFailure } from '../api/failure.ts';
import { newId } from '../state/new-id.ts';
import { createStore } from '../state/store.ts';
import { type Conversation, newConversation } from './conversation.ts';
import type { Summary } from './conversation-database.ts';
import type { Abilities, ModelEntry } from './models.ts';
import { rememberedImages, rememberedText, rememberedWritten } from './tab-memory.ts';

export const conversation = createStore<Conversation>(newConversation(newId(), Date.now(), ''));

/** The newest first. */
export const summaries = createStore<readonly Summary[]>([]);

/** Undefined: never read yet. Those that were read last stay while they are read again. */
export const models = createStore<readonly ModelEntry[] | undefined>(undefined);

/** Why the models could not be read the last time. */
export const modelsFailure = createStore<ApiFailure | undefined>(undefined);

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

/** The server does not answer; it is asked again until it does. */
export const serverGone = createStore(false);

/** What is written and not sent. */
export const draftText = createStore(rememberedText());
export const draftImages = createStore<readonly string[]>(rememberedImages());

/** Open edits by their message's id, and results of tools by `answer's id/call's id`: neither is sent yet. */
export const written = createStore<Readonly<Record<string, string>>>(rememberedWritten());

/** Undefined: nothing is written there any more. */
export function write(key: string, text: string | undefined): void {
  written.update(({ [key]: _, ...others }) => (text === undefined ? others : { ...others, [key]: text }));
}

/** One line for the person: what could not be done. */
export const notice = createStore<string | undefined>(undefined);

/** For screen readers: said once, not with every word. */
export const announcement = createStore('');
