import { describe, expect, it } from 'vitest';
import type { Image, Message } from '../../../src/core/generation.ts';
import { withToolImagesShown } from '../../../src/core/tool-images.ts';

describe('images in the results of tools', () => {
  const image = (base64: string, at = 0): Image => ({ mediaType: 'image/png', base64, at });
  const asks: Message = { role: 'user', content: 'so?', images: [image('DD==', 2)] };
  const calls: Message = { role: 'assistant', content: 'I look.' };
  const first: Message = { role: 'tool', content: 'one', toolCallId: 'a', images: [image('AA==', 3)] };
  const second: Message = { role: 'tool', content: '', toolCallId: 'b', images: [image('BB==')] };
  const results: readonly Message[] = [
    { role: 'tool', content: 'one', toolCallId: 'a' },
    { role: 'tool', content: '', toolCallId: 'b' },
  ];
  const images = [image('AA=='), image('BB==')];

  it('are shown with what the user says next, before it', () => {
    expect(withToolImagesShown([calls, first, second, asks])).toEqual([
      calls,
      ...results,
      { role: 'user', content: 'so?', images: [...images, image('DD==', 2)] },
    ]);
  });

  it('are a message of their own where another says something next, or nobody', () => {
    const shown = { role: 'user', content: '', images };
    expect(withToolImagesShown([calls, first, second])).toEqual([calls, ...results, shown]);
    expect(withToolImagesShown([first, second, calls, asks])).toEqual([...results, shown, calls, asks]);
    const reminder: Message = { role: 'system', content: 'be brief' };
    expect(withToolImagesShown([first, second, reminder, asks])).toEqual([...results, shown, reminder, asks]);
  });

  it('are not looked for twice: a conversation without them stays as it is', () => {
    const messages: readonly Message[] = [asks, calls, { role: 'tool', content: 'x' }];
    expect(withToolImagesShown(messages)).toBe(messages);
  });
});
