/** One handler for every route that embeds: parse, embed, answer. Knows no protocol by name. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { timingsOf } from '../../core/receipt.ts';
import type { EmbeddingRoute } from '../../protocols/embedding-route.ts';
import { type ModelRequestOptions, newModelRequestId, runModelRequest } from '../model-request.ts';
import { describeModelRoute } from '../plugins/api-docs.ts';

export interface EmbeddingOptions extends ModelRequestOptions {
  readonly routes: readonly EmbeddingRoute[];
}

export function addEmbeddingRoutes(server: FastifyInstance, options: EmbeddingOptions): void {
  for (const route of options.routes) {
    server.route({
      method: route.method,
      url: route.path,
      schema: describeModelRoute(route),
      handler: (request, reply) => handle({ route, request, reply, options }),
    });
  }
}

async function handle(exchange: {
  readonly route: EmbeddingRoute;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly options: EmbeddingOptions;
}): Promise<unknown> {
  const { route, request, reply, options } = exchange;
  const { serving, clock } = options;
  const parsed = route.parse(request.body, {
    defaultModel: serving.defaultModel,
    requireModel: (model) => serving.requireModel(model),
  });
  return runModelRequest({ request, reply, options, wishes: parsed }, async (terms) => {
    const { receipt } = terms;
    const embeddings = await serving.embed({ request: parsed.request, ...terms });
    receipt.endedAt = clock.now();
    return route.render(embeddings, {
      id: newModelRequestId('emb'),
      request: parsed.request,
      receipt,
      timings: () => timingsOf(receipt, clock.now()),
    });
  });
}
