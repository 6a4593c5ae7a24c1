/**
 * Finds the route of a request: by a map of exact paths, and a short list of paths that end in `*`, which matches the rest, slashes
 * included. Case and a trailing slash matter; a GET route answers HEAD as well. Pure.
 */

export interface RoutePlace {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** A `*` at the end matches the rest. */
  readonly path: string;
}

/** A route, as found for one request. */
export interface RouteMatch<Route> {
  readonly route: Route;
  /** `*`: the rest of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
}

interface OfMethod<Route> {
  readonly exact: Map<string, RouteMatch<Route>>;
  /** The longest prefix first. */
  readonly prefixes: { readonly prefix: string; readonly route: Route }[];
}

const NO_PARAMS = {};
/** What `decodeURI` leaves encoded, since it would change the structure of a path. */
const RESERVED = /%(?:2[3-6BCF]|3[ABDF]|40)/gi;
const HTTP_URL = /^https?:\/\//i;

export class Router<Route extends RoutePlace> {
  readonly #methods = new Map<string, OfMethod<Route>>();
  /** By path as it is written in the route. */
  readonly #allowed = new Map<string, string[]>();

  add(route: Route): void {
    const methods = route.method === 'GET' ? ['GET', 'HEAD'] : [route.method];
    for (const method of methods) this.#addTo(method, route);
    const allowed = new Set([...(this.#allowed.get(route.path) ?? []), ...methods]);
    this.#allowed.set(route.path, [...allowed].sort());
  }

  #addTo(method: string, route: Route): void {
    const routes: OfMethod<Route> = this.#methods.get(method) ?? { exact: new Map(), prefixes: [] };
    this.#methods.set(method, routes);
    if (!route.path.endsWith('*')) {
      routes.exact.set(route.path, { route, params: NO_PARAMS });
      return;
    }
    routes.prefixes.push({ prefix: route.path.slice(0, -1), route });
    routes.prefixes.sort((one, other) => other.prefix.length - one.prefix.length);
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
    const found = routes.prefixes.find(({ prefix }) => path.startsWith(prefix));
    if (found === undefined) return undefined;
    const rest = path.slice(found.prefix.length).replace(RESERVED, decodeURIComponent);
    return { route: found.route, params: { '*': rest } };
  }

  /** The methods of a path, in order; undefined for an unknown path. */
  allowedAt(path: string): readonly string[] | undefined {
    return this.#allowed.get(path);
  }
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
