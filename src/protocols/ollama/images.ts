/** Pictures of a message: base64 without a `data:` in front. What they are is told by their first bytes. */
import { Type } from 'typebox';
import type { Image } from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { invalid } from '../invalid.ts';

export const imageList = Type.Array(Type.String({ minLength: 1 }), {
  maxItems: 64,
  description: 'Pictures (PNG, JPEG, GIF or WebP) in base64. Addresses are refused: nothing is fetched.',
});

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** Of base64: the twelve bytes that tell the kind. */
const TELLING_CHARACTERS = 16;

const KINDS: readonly { readonly mediaType: string; is(bytes: string): boolean }[] = [
  { mediaType: 'image/png', is: (bytes) => bytes.startsWith('\x89PNG\r\n\x1a\n') },
  { mediaType: 'image/jpeg', is: (bytes) => bytes.startsWith('\xff\xd8\xff') },
  { mediaType: 'image/gif', is: (bytes) => bytes.startsWith('GIF87a') || bytes.startsWith('GIF89a') },
  { mediaType: 'image/webp', is: (bytes) => bytes.startsWith('RIFF') && bytes.startsWith('WEBP', 8) },
];

/** All stand in front of the text. */
export function parseImages(images: readonly string[], path: string): readonly Image[] {
  return images.map((base64, index) => {
    const place = `${path}[${index}]`;
    if (!BASE64.test(base64) || base64.length % 4 !== 0)
      throw invalid(
        place,
        `${place} is ${showValue(base64)}, but must be base64 without line breaks and without "data:" in front. Nothing is fetched from addresses.`,
      );
    return { mediaType: mediaTypeOf(base64, place), base64, at: 0 };
  });
}

function mediaTypeOf(base64: string, place: string): string {
  const firstBytes = atob(base64.slice(0, TELLING_CHARACTERS));
  const kind = KINDS.find(({ is }) => is(firstBytes));
  if (kind !== undefined) return kind.mediaType;
  throw invalid(
    place,
    `${place} is no picture that is known here. It must be a PNG, JPEG, GIF or WebP file.`,
  );
}
