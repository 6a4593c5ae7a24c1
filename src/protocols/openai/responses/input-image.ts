/** An image part: its picture comes along as a data: URL. */
import type { Image } from '../../../core/generation.ts';
import { parseDataImage } from '../data-image.ts';
import { notHere } from './refusals.ts';

export interface ImageFields {
  readonly image_url?: string;
  readonly file_id?: string;
}

export function parseImage({ image_url: url, file_id }: ImageFields, path: string): Omit<Image, 'at'> {
  if (file_id === undefined) return parseDataImage(url, `${path}.image_url`);
  throw notHere(
    `${path}.file_id`,
    `${path}.file_id is not supported: no files are kept here. Send the image in image_url, as data:image/png;base64,…`,
  );
}
