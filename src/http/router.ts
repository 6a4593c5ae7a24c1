/**
 * Finds the route of a request: by a map of exact paths, and a short list of paths with a `*`, which matches any text there, slashes
 * included. Case and a trailing slash matter; a GET route answers HEAD as well. Pure.
 */

export interface RoutePlace {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** One `*` in it matches any text: at the end also none, before its end at least one character. */
  readonly path: string;
}

/** A route, as found for one request. */
export interface RouteMatch<Route> {
  readonly route: Route;
  /** `*`: what it matches, decoded. */
  readonly params: Readonly<Record<string, string>>;
}

interface OfMethod<Route> {
  readonly exact: Map<string, RouteMatch<Route>>;
  /** The longest first. */
  readonly patterns: Pattern<Route>[];
}

/** A path with a `*`. */
interface Pattern<Route> {
  readonly prefix: string;
  /** Behind the `*`. */
  readonly suffix: string;
  readonly route: Route;
}

const NO_PARAMS = {};
/** What `decodeURI` leaves encoded, since it would change the structure of a path. */
const RESERVED = /%(?:2[3-6BCF]|3[ABDF]|40)/gi;
const HTTP_URL = /^https?:\/\//i;

export class Router<Route extends RoutePlace> {
  readonly #methods = new Map<string, OfMethod<Route>>();
  /** By path as it is written in the route. */
  readonly #allowed = new Map<string, string[]>();
  /** Of any method, the longest first. */
  readonly #patterns: Pattern<Route>[] = [];

  add(route: Route): void {
    const methods = route.method === 'GET' ? ['GET', 'HEAD'] : [route.method];
    for (const method of methods) this.#addTo(method, route);
    const allowed = new Set([...(this.#allowed.get(route.path) ?? []), ...methods]);
    this.#allowed.set(route.path, [...allowed].sort());
    if (route.path.includes('*')) insert(this.#patterns, route);
  }

  #addTo(method: string, route: Route): void {
    const routes: OfMethod<Route> = this.#methods.get(method) ?? { exact: new Map(), patterns: [] };
    this.#methods.set(method, routes);
    if (route.path.includes('*')) insert(routes.patterns, route);
    else routes.exact.set(route.path, { route, params: NO_PARAMS });
  }

  /** Undefined where there is no route; `malformed` where the path is not validly encoded. */
  find(method: string, url: string): RouteMatch<Route> | 'malformed' | undefined {
    const routes = this.#methods.get(method);
    // Nearly every request.
    const asItIs = routes?.exact.get(url);
    if (asItIs !== undefined) return asItIs;
    const path = decodedPath(url);
    if (path === undefined) return 'malformed';
    if (routes === undefined) return undefined;
    const exact = routes.exact.get(path);
    if (exact !== undefined) return exact;
    const found = routes.patterns.find((pattern) => matches(pattern, path));
    if (found === undefined) return undefined;
    const { prefix, suffix, route } = found;
    const matched = path.slice(prefix.length, path.length - suffix.length);
    return { route, params: { '*': matched.replace(RESERVED, decodeURIComponent) } };
  }

  /** The methods of a path, in order; undefined for an unknown path. */
  allowedAt(path: string): readonly string[] | undefined {
    const exact = this.#allowed.get(path);
    if (exact !== undefined) return exact;
    const pattern = this.#patterns.find((each) => isPathOf(each, path));
    return pattern && this.#allowed.get(pattern.route.path);
  }
}

/** As `matches`, but what is below the name at the end of a path is another path. */
function isPathOf(pattern: Pattern<unknown>, path: string): boolean {
  if (!matches(pattern, path)) return false;
  return pattern.suffix !== '' || !path.slice(pattern.prefix.length).includes('/');
}

function insert<Route extends RoutePlace>(patterns: Pattern<Route>[], route: Route): void {
  const [prefix = '', suffix = ''] = route.path.split('*');
  patterns.push({ prefix, suffix, route });
  patterns.sort((one, other) => lengthOf(other) - lengthOf(one));
}

function lengthOf({ prefix, suffix }: Pattern<unknown>): number {
  return prefix.length + suffix.length;
}

function matches({ prefix, suffix }: Pattern<unknown>, path: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return suffix === '' || (path.endsWith(suffix) && path.length > prefix.length + suffix.length);
}

/**
 * Without query and, of a whole URL, without what comes before the path. Characters that would divide a path stay
 * encoded. Undefined for what is not validly encoded.
 */
function decodedPath(url: string): string | undefined {
  const target = url.startsWith('/') ? url : pathOfUrl(url);
  if (target === undefined) return undefined;
  const end = target.search(/[?#]/);
  const path = end > 0 ? target.slice(0, end) : target;
  if (!path.includes('%')) return path;
  try {
    return decodeURI(path.replaceAll('%25', '%2525'));
  } catch {
    return undefined;
  }
}

/** As proxies are asked: `http://host/path`. What is no such URL is returned as it is, and found nowhere. */
function pathOfUrl(url: string): string | undefined {
  if (!HTTP_URL.test(url)) return url;
  if (url.includes('#') || !URL.canParse(url)) return undefined;
  const afterScheme = url.indexOf('://') + 3;
  const authority = url.slice(afterScheme).search(/[/?]/);
  if (authority === 0) return undefined;
  const rest = authority === -1 ? '' : url.slice(afterScheme + authority);
  return rest.startsWith('/') ? rest : `/${rest}`;
}
