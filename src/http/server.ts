/**
 * The HTTP edge. The list of steps in `Edge` is the life of a request, in order: malformed, cross-origin, loop, access, rate-limit headers,
 * a stalled server, content type, rate limit, path and method; then its body and its route. An error thrown anywhere is rendered once, by `errors`.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { KeyRing } from '../access/key-ring.ts';
import type { Clock } from '../core/clock.ts';
import type { DoorName } from '../core/door-name.ts';
import { ServingError } from '../core/errors.ts';
import type { LiveFeed } from '../core/live-feed.ts';
import type { Log } from '../core/log.ts';
import type { Telemetry } from '../core/request-trace.ts';
import type { SharedLimits } from '../core/shared-limits.ts';
import type { LeaseState } from '../serving/lease-state.ts';
import type { Serving } from '../serving/serving.ts';
import type { WorkersState } from '../serving/workers-state.ts';
import type { UsageReader } from '../usage/usage-report.ts';
import { type Administration, accessStep } from './access.ts';
import { type ApiDescription, describeApi } from './api-description.ts';
import { checkContentType, hasBody, JsonBody } from './body.ts';
import { BodyBudget } from './body-limits.ts';
import { answerClientError, takeOverNodeAnswers } from './client-errors.ts';
import { type ConnectionGate, ConnectionLimit, ConnectionLimiter } from './connection-limit.ts';
import type { EdgeRoute, RequestContext, Step } from './context.ts';
import { ErrorRenderer } from './errors.ts';
import type { LimitGate } from './limit-gate.ts';
import { Listener } from './listener.ts';
import type { ListenAddress } from './listening.ts';
import { loopStep } from './loop-detection.ts';
import { type JoinTrace, OpenRequests } from './open-requests.ts';
import { crossOriginStep } from './origins.ts';
import { pages } from './pages.ts';
import { whenInTurn } from './pipelined-requests.ts';
import { ProxyHeaders } from './proxy-headers.ts';
import type { ReadingLines } from './reading-line.ts';
import { Router } from './router.ts';
import { ADMIN_PREFIX, type AdminOptions, adminRoutes } from './routes/admin.ts';
import { liveRoutes } from './routes/live.ts';
import { METRICS_PATH, metricsRoutes, operationsRoutes } from './routes/operations.ts';
import { protocolAt, protocolRoutes } from './routes/protocols.ts';
import type { QueryOptions } from './routes/queries.ts';
import { OWN_USAGE_PATH, usageRoutes } from './routes/usage.ts';
import { type EdgeSettings, settingsAt } from './settings.ts';
import { stalledStep } from './stalled.ts';
import type { WrongKeys } from './wrong-keys.ts';

interface ServerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly serving: Serving;
  readonly version: string;
  /** For GET /ready, of all workers. */
  readonly leases: () => LeaseState | undefined | Promise<LeaseState | undefined>;
  readonly sharedLimits: () => SharedLimits | undefined | Promise<SharedLimits | undefined>;
  /** Absent: this process is the only one. */
  readonly workers?: (() => WorkersState) | undefined;
  /** Of this process, to notice its own requests. */
  readonly instanceId: string;
  readonly settings: EdgeSettings;
  /** Those of the store. */
  readonly keys: KeyRing;
  readonly wrongKeys: WrongKeys;
  readonly bodyTimeoutSeconds: number;
  readonly bodyBudget: BodyBudget;
  readonly connectionLimit: ConnectionLimit;
  /** Absent: this process accepts the connections, within `connectionLimit`. */
  readonly connectionGate?: ((door: DoorName) => ConnectionGate) | undefined;
  readonly limitGate: LimitGate;
  readonly pull: QueryOptions['pull'];
  readonly admin: AdminOptions;
  /** Absent: administrators come in where everybody does. */
  readonly adminDoor?: AdminDoor | undefined;
  readonly live: LiveFeed;
  readonly usage: UsageReader;
  readonly readings: ReadingLines;
  /** Absent: no traces are made. */
  readonly joinTrace?: JoinTrace | undefined;
}

/** The address that administrators use (`admin.port`). */
export interface AdminDoor extends ListenAddress {
  /** Nobody else can reach it. */
  readonly onLoopback: boolean;
  /** GET /metrics is served there instead. */
  readonly hasMetrics: boolean;
}

interface HttpServer {
  /** Resolves with the URL, and that for administrators. */
  listen(address: ListenAddress): Promise<ListensAt>;
  /** Serves a connection that another process has accepted. */
  take(socket: Socket, door: DoorName): void;
  /** No new connections; resolves when the last has closed. */
  close(): Promise<void>;
  closeAllConnections(): void;
  describe(): ApiDescription;
}

export interface ListensAt {
  readonly url: string;
  /** Undefined: there is no `admin.port`. */
  readonly adminUrl: string | undefined;
}

export function buildServer(options: ServerOptions): HttpServer {
  const { adminDoor } = options;
  const openRequests = new OpenRequests({ ...options, draining: () => options.serving.drain.draining });
  const main = listenerOf(options, openRequests, {
    routes: mainRoutes(options),
    administration: adminDoor === undefined ? 'here' : 'elsewhere',
    door: 'main',
  });
  const admin = adminDoor && adminListenerOf(options, openRequests, adminDoor);
  const listeners = admin === undefined ? [main] : [main, admin];
  return {
    listen: async (address) => {
      // First the one that fewer need: where it can't be had, nothing is served.
      const adminUrl = adminDoor && (await admin?.listen(adminDoor));
      return { url: await main.listen(address), adminUrl };
    },
    take: (socket, door) => (door === 'admin' && admin !== undefined ? admin : main).take(socket),
    close: async () => void (await Promise.all(listeners.map((listener) => listener.close()))),
    closeAllConnections: () => {
      for (const listener of listeners) listener.closeAllConnections();
    },
    describe: () => describeApi(options),
  };
}

/** With bounds of its own: what is too much for the others does not keep administrators out. */
function adminListenerOf(options: ServerOptions, openRequests: OpenRequests, door: AdminDoor): Listener {
  const settings = settingsAt(options.settings, door);
  const own = {
    ...options,
    settings,
    connectionLimit: new ConnectionLimit(settings),
    bodyBudget: new BodyBudget(settings),
  };
  const routes = adminDoorRoutes(own, door);
  return listenerOf(own, openRequests, { routes, administration: 'only', door: 'admin' });
}

interface Served {
  readonly routes: readonly EdgeRoute[];
  readonly administration: Administration;
  readonly door: DoorName;
}

function listenerOf(options: ServerOptions, openRequests: OpenRequests, served: Served): Listener {
  const { clock, log, telemetry, serving, settings } = options;
  const requestTimeoutMs = options.bodyTimeoutSeconds * 1000;
  const gate =
    options.connectionGate?.(served.door) ??
    new ConnectionLimiter({
      limit: options.connectionLimit,
      log,
      onRefused: (bound) => telemetry.connectionRefused(bound),
    });
  const edge = new Edge(options, openRequests, served);
  return new Listener({
    onRequest: edge.serve,
    requestTimeoutMs,
    proxyHeaders: new ProxyHeaders({
      clock,
      log,
      settings,
      timeoutMs: requestTimeoutMs,
      moveTo: (socket, address, stays) => gate.moveTo(socket, address, stays),
      onRefused: () => telemetry.connectionRefused('proxy_protocol'),
    }),
    prepare: (server: Server) => {
      takeOverNodeAnswers(server);
      server.on('connection', (socket) => serving.drain.connectionOpened(socket));
      server.on(
        'clientError',
        answerClientError({ clock, telemetry, openRequests, protocolAt, requestTimeoutMs }),
      );
      gate.watch(server);
    },
  });
}

class Edge {
  readonly #openRequests: OpenRequests;
  readonly #router: Router<EdgeRoute>;
  readonly #steps: readonly Step[];
  readonly #body: JsonBody;
  readonly #errors: ErrorRenderer;
  readonly #administration: Administration;

  constructor(options: ServerOptions, openRequests: OpenRequests, { routes, administration }: Served) {
    const { clock, log, settings, limitGate } = options;
    this.#openRequests = openRequests;
    this.#router = new Router<EdgeRoute>();
    for (const route of routes) this.#router.add(route);
    this.#administration = administration;
    this.#errors = new ErrorRenderer({ clock, log, protocolAt });
    this.#body = new JsonBody({ clock, budget: options.bodyBudget });
    this.#steps = [
      refuseMalformed,
      crossOriginStep(settings),
      forbidStoring,
      loopStep(options.instanceId),
      accessStep({ ...options, administration }),
      limitGate.announce,
      ...(options.workers === undefined ? [] : [stalledStep(options.workers)]),
      checkContentType,
      limitGate.check,
      (context) => this.#refuseUnknownPath(context),
    ];
  }

  /** Serves one request: in one turn up to its route, if there is nothing to wait for. */
  readonly serve = (request: IncomingMessage, response: ServerResponse): void => {
    const context = this.#openRequests.open(request, response);
    const match = this.#router.find(request.method ?? '', request.url ?? '');
    if (match === 'malformed') {
      this.#errors.answerUndecodable(context, UNDECODABLE_PATH);
      return;
    }
    context.match = match;
    this.#runSteps(context, 0);
  };

  /** From that step on. One that waits, as for a decision of a shared store, is followed by the rest. */
  #runSteps(context: RequestContext, first: number): void {
    try {
      for (let index = first; index < this.#steps.length; index += 1) {
        const waited = this.#steps[index]?.(context);
        if (waited !== undefined) {
          waited.then(
            () => this.#runSteps(context, index + 1),
            (thrown: unknown) => this.#errors.answer(context, thrown),
          );
          return;
        }
        if (context.isAnswered) return;
      }
      // Its client has left while a step waited.
      if (!context.isClosed) this.#readBody(context);
    } catch (thrown) {
      this.#errors.answer(context, thrown);
    }
  }

  #isElsewhere(path: string): boolean {
    return this.#administration === 'elsewhere' && (path.startsWith(ADMIN_PREFIX) || path === METRICS_PATH);
  }

  #readBody(context: RequestContext): void {
    const failed = (thrown: unknown) => {
      // The client may still send the rest of it, which must not be read as a request. After a refusal by limits Node reads it, as where
      // they refuse before a byte of it was read.
      if (
        context.limits?.refusal === undefined &&
        context.bodyBytes === undefined &&
        hasBody(context.request)
      )
        context.setHeader('connection', 'close');
      this.#errors.answer(context, thrown);
    };
    const done = (value: unknown) => {
      context.body = value;
      // The others wait for nobody but this process, and cost no slot: one after another, they cost a client's own connection only.
      if (context.match?.route.asksModel === true) this.#route(context);
      else whenInTurn(context, () => this.#route(context));
    };
    try {
      this.#body.read(context, { done, failed });
    } catch (thrown) {
      failed(thrown);
    }
  }

  #route(context: RequestContext): void {
    try {
      context.match?.route.handle(context)?.catch((thrown: unknown) => this.#errors.answer(context, thrown));
    } catch (thrown) {
      this.#errors.answer(context, thrown);
    }
  }

  /** A known path with another method is a 405 that lists its methods; an unknown one is a 404. The body is not read. */
  #refuseUnknownPath({ match, path, request }: RequestContext): void {
    if (match !== undefined) return;
    const methods = this.#router.allowedAt(path);
    if (methods === undefined)
      throw new ServingError('not_found', {
        message: this.#isElsewhere(path)
          ? `${path} is not served here, but at the address of admin.port.`
          : `The path ${path} does not exist. GET /docs lists all paths.`,
      });
    const allow = methods.join(', ');
    throw new ServingError('method_not_allowed', {
      message: `${path} does not support ${request.method}. Allowed: ${allow}.`,
      allow,
    });
  }
}

const UNDECODABLE_PATH = new ServingError('malformed_http', {
  message: 'The path of the URL is not validly encoded.',
});

function mainRoutes(options: ServerOptions): readonly EdgeRoute[] {
  const { clock, serving, telemetry, version, settings, adminDoor } = options;
  return [
    ...protocolRoutes({
      clock,
      serving,
      settings,
      version,
      startedAt: clock.wallNow(),
      pull: options.pull,
      limitGate: options.limitGate,
    }),
    ...operationsRoutes(options),
    ...(adminDoor?.hasMetrics === true ? [] : metricsRoutes({ telemetry })),
    ...pages(options),
    ...liveRoutes(options),
    ...usageRoutes(options).filter((route) => !isForAdministrators(route)),
    ...(adminDoor === undefined ? routesOfAdministrators(options) : []),
  ];
}

/** All but what asks a model, and what a key has of its own. */
function adminDoorRoutes(options: ServerOptions, { hasMetrics }: AdminDoor): readonly EdgeRoute[] {
  const { telemetry } = options;
  return [
    ...operationsRoutes(options),
    ...(hasMetrics ? metricsRoutes({ telemetry }) : []),
    ...pages(options),
    ...liveRoutes(options),
    ...routesOfAdministrators(options),
  ];
}

function routesOfAdministrators(options: ServerOptions): readonly EdgeRoute[] {
  return [...adminRoutes(options.admin), ...usageRoutes(options).filter(isForAdministrators)];
}

function isForAdministrators({ path }: EdgeRoute): boolean {
  return path.startsWith(ADMIN_PREFIX);
}

/** Answers for the one who asks, which may have a secret in them, such as a new key, are kept by no browser and no proxy. */
function forbidStoring(context: RequestContext): void {
  const path = context.routePath;
  if (path.startsWith(ADMIN_PREFIX) || path === OWN_USAGE_PATH)
    context.setHeader('cache-control', 'no-store');
}

/**
 * Rejects requests that Node's parser accepts and that are not valid. HTTP/1.0 is allowed: load balancers still use it for health checks.
 * Two Host headers could mean one thing to a proxy in front and another here.
 */
function refuseMalformed(context: RequestContext): void {
  const message = malformedBy(context.request);
  if (message === undefined) return;
  // Whatever follows on the connection cannot be trusted either.
  context.setHeader('connection', 'close');
  throw new ServingError('malformed_http', { message });
}

function malformedBy({ httpVersion, rawHeaders }: IncomingMessage): string | undefined {
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    return `HTTP/${httpVersion} is not supported. Use HTTP/1.1.`;
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  if (hosts > 1) return 'The request has more than one Host header.';
  return hosts === 0 && httpVersion === '1.1' ? 'The request has no Host header.' : undefined;
}
