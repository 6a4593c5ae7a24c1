/** Which addresses of a model's text become links or images. Pure. */

const LINK_SCHEMES = ['http:', 'https:', 'mailto:'];
/** Without SVG, which is a document. */
const IMAGE = /^(?:data:image\/(?:png|jpe?g|gif|webp);base64,[a-z\d+/=]+|blob:.+)$/i;

/** As the browser would read it; undefined for what is no whole address, or has another scheme. */
export function safeLink(href: string): string | undefined {
  if (!URL.canParse(href)) return undefined;
  const url = new URL(href);
  return LINK_SCHEMES.includes(url.protocol) ? url.href : undefined;
}

export function isSafeImage(href: string): boolean {
  return IMAGE.test(href);
}
