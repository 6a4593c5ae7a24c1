/**
 * Images in the results of tools, as servers take them: the APIs of the servers behind have only text there, and so have most chat
 * templates. The images are shown with what the user says next, or in a message of their own. Pure.
 */
import type { Image, Message } from './generation.ts';

/** Undefined: it has none. */
export function imagesOf(message: Message): readonly Image[] | undefined {
  return message.role === 'user' || message.role === 'tool' ? message.images : undefined;
}

/** Messages of other roles stay what they are, the same objects. */
export function withToolImagesShown(messages: readonly Message[]): readonly Message[] {
  if (!messages.some((message) => message.role === 'tool' && message.images !== undefined)) return messages;
  const shown: Message[] = [];
  let pending: readonly Image[] = [];
  for (const message of messages) {
    if (message.role === 'tool') {
      const { images = [], ...result } = message;
      pending = [...pending, ...images.map((image) => ({ ...image, at: 0 }))];
      shown.push(result);
      continue;
    }
    if (message.role === 'user' && pending.length > 0)
      shown.push({ ...message, images: [...pending, ...(message.images ?? [])] });
    else shown.push(...messageOf(pending), message);
    pending = [];
  }
  return [...shown, ...messageOf(pending)];
}

function messageOf(images: readonly Image[]): readonly Message[] {
  return images.length === 0 ? [] : [{ role: 'user', content: '', images }];
}
