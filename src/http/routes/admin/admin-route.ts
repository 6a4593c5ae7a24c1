/** What the routes of administrators have in common: their prefix, bodies, refusals, and who it is that calls. */
import { Type } from 'typebox';
import type { AuditActor, AuditedAction } from '../../../access/audit-trail.ts';
import type { KeyActor } from '../../../access/audited-keys.ts';
import { ServingError } from '../../../core/errors.ts';
import { bodyReader } from '../../../protocols/body-reader.ts';
import { ErrorAnswer } from '../../../protocols/catalog.ts';
import type { EdgeRoute, RequestContext } from '../../context.ts';
import { json } from '../operations.ts';

export const ADMIN_PREFIX = '/admin/';

/** A body is refused, whatever it is. */
const NO_BODY = { bytes: 0, setting: 'this route takes no body' };
const SMALL_BODY = { bytes: 65_536, setting: '64 KiB on the routes under /admin' };

interface AdminRoute extends Pick<EdgeRoute, 'method' | 'path' | 'handle'> {
  /** In JSON. `optional`: a request may come without one. */
  readonly takesBody?: boolean | 'optional';
}

export function adminRoute({ method, path, handle, takesBody = false }: AdminRoute): EdgeRoute {
  return {
    method,
    path,
    handle,
    bodyLimit: takesBody === false ? NO_BODY : { ...SMALL_BODY, isOptional: takesBody === 'optional' },
    takesAnyType: takesBody === false,
    asksModel: false,
  };
}

/** Of every route under /admin. */
export const REFUSALS = { 401: json(ErrorAnswer), 403: json(ErrorAnswer), 429: json(ErrorAnswer) };
export const NOT_FOUND = { 404: json(ErrorAnswer) };
export const NOT_VALID = { 400: json(ErrorAnswer), 413: json(ErrorAnswer), 415: json(ErrorAnswer) };
export const NO_STORE = { 503: json(ErrorAnswer) };

/** What the `*` of its path matched. */
export function parameterOf({ match }: RequestContext): string {
  return match?.params['*'] ?? '';
}

export function actorOf({ caller, clientAddress }: RequestContext): AuditActor {
  return { actor: caller?.name ?? 'this machine', address: clientAddress };
}

/** Who calls, for an entry of the audit log about a key. */
export function keyActorOf(context: RequestContext): KeyActor {
  return { ...actorOf(context), facts: factsOf(context) };
}

/** What the caller of a route does, for the audit log. */
export function actionOf(
  context: RequestContext,
  action: string,
  subject: string,
  details: AuditedAction['details'] = {},
): AuditedAction {
  const { actor, address } = actorOf(context);
  return { actor, address, action, subject, details: { ...details, ...factsOf(context) } };
}

/** A name may be another key's later. */
function factsOf({ caller }: RequestContext): AuditedAction['details'] {
  return caller?.source === 'store' ? { by: caller.id } : {};
}

/** A whole number of the query, in a range. Throws `invalid_request`. */
export function numberFrom(
  { request }: RequestContext,
  name: string,
  { least, most, usual }: { readonly least: number; readonly most: number; readonly usual: number },
): number {
  const text = queryOf(request.url).get(name);
  if (text === null) return usual;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new ServingError('invalid_request', {
    message: `${name} is ${JSON.stringify(text.slice(0, 40))}, but must be a whole number from ${least} to ${most}.`,
    param: name,
  });
}

/** Throws `invalid_request`. */
export function flagFrom({ request }: RequestContext, name: string, usual: boolean): boolean {
  const text = queryOf(request.url).get(name);
  if (text === null) return usual;
  if (text === 'true' || text === 'false') return text === 'true';
  throw new ServingError('invalid_request', {
    message: `${name} is ${JSON.stringify(text.slice(0, 40))}, but must be true or false.`,
    param: name,
  });
}

export function queryOf(url = ''): URLSearchParams {
  const queryAt = url.indexOf('?');
  return new URLSearchParams(queryAt === -1 ? '' : url.slice(queryAt));
}

/** For routes whose clients send `{}` as well as nothing. Throws `invalid_request`. */
export function refuseFields({ body }: RequestContext): void {
  readNothing(body ?? {});
}

const readNothing = bodyReader(Type.Object({}, { additionalProperties: false }));
