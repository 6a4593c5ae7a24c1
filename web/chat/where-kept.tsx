/** Says where conversations are kept, as it is in this browser. */
import { useStore } from '../state/store.ts';
import { keepsConversations } from './conversation-database.ts';

export function WhereKept() {
  return useStore(keepsConversations)
    ? 'Conversations are kept in this browser.'
    : 'This browser keeps no conversations: they last until this page is left. Export what you need.';
}
