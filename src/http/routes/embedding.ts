/** One handler for every route that embeds: parse, embed, answer. Knows no protocol by name. */
import { timingsOf } from '../../core/receipt.ts';
import type { EmbeddingRoute } from '../../protocols/embedding-route.ts';
import type { RequestContext } from '../context.ts';
import { type ModelRequestOptions, newModelRequestId, runModelRequest } from '../model-request.ts';

const NO_VECTORS = { vectors: [], promptTokens: 0 };

export async function handleEmbedding(exchange: {
  readonly route: EmbeddingRoute;
  readonly context: RequestContext;
  readonly options: ModelRequestOptions;
}): Promise<void> {
  const { route, context, options } = exchange;
  const { serving, clock } = options;
  const parsed = route.parse(context.body, {
    requireModel: (model, matching) => serving.requireModel(model, matching),
  });
  const answer = await runModelRequest({ context, options, route, wishes: parsed }, async (terms) => {
    const { receipt } = terms;
    if (parsed.dropped !== undefined) receipt.droppedFields = [...parsed.dropped];
    const asksModel = parsed.request.inputs.length > 0;
    const embeddings = asksModel ? await serving.embed({ request: parsed.request, ...terms }) : NO_VECTORS;
    receipt.endedAt = clock.now();
    return parsed.render(embeddings, {
      id: newModelRequestId('emb'),
      receipt,
      createdAt: clock.wallNow(),
      timings: () => timingsOf(receipt, clock.now()),
    });
  });
  context.answerJson(200, answer);
}
