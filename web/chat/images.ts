/** Images that are sent along: scaled down in the browser, so that a photograph does not fill the context or the body limit. */

export const MAX_IMAGES = 6;
const MAX_FILE_BYTES = 40_000_000;
const LONGEST_SIDE = 1536;
const JPEG_QUALITY = 0.86;
/** Kept as they are when they are small enough. */
const KEPT = ['image/png', 'image/jpeg', 'image/webp', 'image/gif'];
const KEPT_BYTES = 1_000_000;

/** A data: URL. Throws an Error for the person. */
export async function readImage(file: Blob): Promise<string> {
  if (!file.type.startsWith('image/')) throw new Error('Only images can be attached.');
  if (file.size > MAX_FILE_BYTES) throw new Error('The image is larger than 40 MB.');
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error('This browser cannot read the image.');
  }
  try {
    const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
    if (scale === 1 && file.size <= KEPT_BYTES && KEPT.includes(file.type)) return await asDataUrl(file);
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext('2d');
    if (context === null) throw new Error('This browser cannot scale images.');
    // JPEG has no transparency.
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL('image/jpeg', JPEG_QUALITY);
  } finally {
    bitmap.close();
  }
}

function asDataUrl(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(new Error('The image could not be read.'));
    reader.readAsDataURL(file);
  });
}
