/** Registers every route of every protocol in the catalogue, each with the handler of its kind. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { PROTOCOLS } from '../../protocols/catalog.ts';
import type { Protocol, Route } from '../../protocols/protocol.ts';
import { describeRoute } from '../plugins/api-docs.ts';
import { handleEmbedding } from './embedding.ts';
import { type GenerationOptions, handleGeneration } from './generation.ts';
import { handleQuery, type QueryOptions } from './queries.ts';

export interface ProtocolOptions extends GenerationOptions, QueryOptions {
  readonly bodyLimits: Readonly<Record<Protocol['bodyLimit'], number>>;
}

export function addProtocolRoutes(server: FastifyInstance, options: ProtocolOptions): void {
  for (const protocol of PROTOCOLS) {
    for (const route of protocol.routes) {
      const handler = handlerOf(route, options);
      server.route({
        method: route.method,
        url: route.path,
        schema: describeRoute(route, protocol),
        bodyLimit: options.bodyLimits[protocol.bodyLimit],
        handler: (request, reply) => {
          request.scope.requestIdHeader = protocol.requestIdHeader;
          return handler(request, reply);
        },
      });
    }
  }
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

function handlerOf(route: Route, options: ProtocolOptions): Handler {
  switch (route.kind) {
    case 'generation':
      return (request, reply) => handleGeneration({ route, request, reply, options });
    case 'embedding':
      return (request, reply) => handleEmbedding({ route, request, reply, options });
    case 'query':
      return (request, reply) => handleQuery({ route, request, reply, options });
    default:
      throw route satisfies never;
  }
}

/** The protocol that speaks at a path: the one whose route it is, else the one with the longest prefix that fits. */
export function protocolAt(path: string): Protocol {
  return (
    PROTOCOL_OF_ROUTE.get(path) ?? PREFIXES.find(({ prefix }) => path.startsWith(prefix))?.protocol ?? first()
  );
}

const PROTOCOL_OF_ROUTE: ReadonlyMap<string, Protocol> = new Map(
  PROTOCOLS.flatMap((protocol) => protocol.routes.map(({ path }) => [path, protocol] as const)),
);

const PREFIXES = PROTOCOLS.flatMap((protocol) =>
  protocol.pathPrefixes.map((prefix) => ({ prefix, protocol })),
).sort((one, other) => other.prefix.length - one.prefix.length);

function first(): Protocol {
  const [protocol] = PROTOCOLS;
  if (protocol === undefined) throw new Error('the catalogue lists no protocol');
  return protocol;
}
