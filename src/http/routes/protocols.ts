/** Every route of every protocol in the catalogue, with the handler of its kind; the handler of embedding routes is here. */
import { timingsOf } from '../../core/request-trace.ts';
import { PROTOCOLS } from '../../protocols/catalog.ts';
import type { EmbeddingRoute, Protocol, Route } from '../../protocols/protocol.ts';
import { embeddingSizeOf } from '../../serving/prompt-size.ts';
import type { EdgeRoute, RequestContext } from '../context.ts';
import { type ModelRequestOptions, newModelRequestId, runModelRequest } from '../model-request.ts';
import { noteEmbedding } from '../note-asked.ts';
import type { EdgeSettings } from '../settings.ts';
import { handleGeneration } from './generation.ts';
import { handleQuery, type QueryOptions } from './queries.ts';

/** What bounds a body, read with each of them. */
function bodyLimits(settings: EdgeSettings): Readonly<Record<Protocol['bodyLimit'], EdgeRoute['bodyLimit']>> {
  return {
    text: {
      get bytes() {
        return settings.bodyLimitBytes;
      },
      setting: 'server.body_limit_bytes',
    },
    media: {
      get bytes() {
        return settings.mediaBodyLimitBytes;
      },
      setting: 'server.media_body_limit_bytes',
    },
  };
}

export function protocolRoutes(options: QueryOptions): readonly EdgeRoute[] {
  const limits = bodyLimits(options.settings);
  return PROTOCOLS.flatMap((protocol) => {
    const { bodyLimit, contentTypes, requestIdHeader } = protocol;
    return protocol.routes.map((route): EdgeRoute => {
      const handler = handlerOf(route, options);
      return {
        method: route.method,
        path: route.path,
        bodyLimit: limits[bodyLimit],
        asksModel: route.kind !== 'query',
        takesAnyType: contentTypes === 'any',
        handle: (context) => {
          context.requestIdHeader = requestIdHeader;
          return handler(context);
        },
      };
    });
  });
}

function handlerOf(route: Route, options: QueryOptions): (context: RequestContext) => Promise<void> {
  switch (route.kind) {
    case 'generation':
      return (context) => handleGeneration({ route, context, options });
    case 'embedding':
      return (context) => handleEmbedding({ route, context, options });
    case 'query':
      return (context) => handleQuery({ route, context, options });
    default:
      throw route satisfies never;
  }
}

/** The protocol of a path: the one with a route there, else the one with the longest matching prefix. */
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

const NO_VECTORS = { vectors: [], promptTokens: 0 };

/** The handler of every route that embeds: parse, embed, answer. Knows no protocol by name. */
async function handleEmbedding({
  route,
  context,
  options,
}: {
  readonly route: EmbeddingRoute;
  readonly context: RequestContext;
  readonly options: ModelRequestOptions;
}): Promise<void> {
  const { serving, clock } = options;
  const parsed = route.parse(context.body, {
    requireModel: (model, matching) => serving.targets.requireModel(model, matching, context.caller?.models),
  });
  const { fieldNames } = route;
  const { model, inputs } = parsed.request;
  const size = () => ({ promptTokens: embeddingSizeOf(inputs).tokens, answerTokens: 0 });
  const work = inputs.length > 0 ? { model, size } : undefined;
  const answer = await runModelRequest(
    { context, options, fieldNames, hints: parsed, work },
    async (call) => {
      const { trace } = call;
      if (parsed.dropped !== undefined) trace.droppedFields = [...parsed.dropped];
      noteEmbedding(trace, parsed.request, options.settings);
      const asksModel = parsed.request.inputs.length > 0;
      const embeddings = asksModel ? await serving.embed({ request: parsed.request, ...call }) : NO_VECTORS;
      trace.endedAt = clock.now();
      return parsed.render(embeddings, {
        id: newModelRequestId('emb'),
        trace,
        createdAt: clock.wallNow(),
        timings: () => timingsOf(trace, trace.endedAt ?? clock.now()),
      });
    },
  );
  context.answerJson(200, answer);
}
