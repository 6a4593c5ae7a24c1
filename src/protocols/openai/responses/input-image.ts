/** An image that the client sent along as a data: URL. Anything that would have to be fetched is refused. */
import type { Image } from '../../../core/generation.ts';
import { showValue } from '../../../schema/violation.ts';
import { invalid } from '../../invalid.ts';
import { notHere } from './refusals.ts';

const MEDIA_TYPE = /^image\/[a-z0-9.+-]+$/;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const DATA_URL = 'data:image/png;base64,…';

export interface ImageFields {
  readonly image_url?: string;
  readonly file_id?: string;
}

export function parseImage({ image_url: url, file_id }: ImageFields, path: string): Omit<Image, 'at'> {
  if (file_id !== undefined)
    throw notHere(
      `${path}.file_id`,
      `${path}.file_id is not supported: no files are kept here. Send the image in image_url, as ${DATA_URL}`,
    );
  const urlPath = `${path}.image_url`;
  if (url === undefined) throw invalid(urlPath, `${urlPath} is missing. It must be a data: URL, ${DATA_URL}`);
  if (/^https?:/i.test(url))
    throw invalid(
      urlPath,
      `${urlPath} is ${showValue(url)}, but nothing is fetched for a client here. Send the image itself, as ${DATA_URL}`,
    );
  const comma = url.indexOf(',');
  const [mediaType = '', ...parameters] = url
    .slice('data:'.length, Math.max(0, comma))
    .toLowerCase()
    .split(';');
  const base64 = url.slice(comma + 1);
  const isDataUrl = /^data:/i.test(url) && comma !== -1 && parameters.at(-1) === 'base64';
  if (isDataUrl && MEDIA_TYPE.test(mediaType) && BASE64.test(base64)) return { mediaType, base64 };
  throw invalid(
    urlPath,
    `${urlPath} is ${showValue(url)}, but must be an image in base64 as a data: URL, ${DATA_URL}`,
  );
}
