/**
 * Headers that keep browsers strict: some on every answer, more on pages. `Strict-Transport-Security` is not among them: the server
 * speaks plain HTTP, where browsers ignore it; it belongs in the proxy that has the certificate.
 */

/**
 * Names and values, alternating, of every answer. No answer is taken for another type than it says, and none is loaded into a page of
 * another site as an image, script or frame; pages of `server.cors_origins` use fetch, to which that does not apply.
 */
export const EVERY_ANSWER = [
  'x-content-type-options',
  'nosniff',
  'cross-origin-resource-policy',
  'same-origin',
] as const;

/** Of pages and their files, beside their Content-Security-Policy. */
const PAGE: readonly (readonly [string, string])[] = [
  ['referrer-policy', 'no-referrer'],
  // A window that opens the page, or that it opens, has no hold on it.
  ['cross-origin-opener-policy', 'same-origin'],
  ['permissions-policy', 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()'],
];

interface Answer {
  setHeader(name: string, value: string): void;
}

export function setPageHeaders(answer: Answer, contentSecurityPolicy: string): void {
  answer.setHeader('content-security-policy', contentSecurityPolicy);
  for (const [name, value] of PAGE) answer.setHeader(name, value);
}
