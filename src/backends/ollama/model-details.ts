/** Facts of a model, from its entry in `/api/tags`. Pure. */
import { knownDetails, type ModelDetails } from '../../core/model-details.ts';
import { asArray, asCount, asObject, asText, type Loose } from '../../upstream/lenient.ts';

export function detailsOf(installed: Loose): ModelDetails {
  const details = asObject(installed.details);
  const families = asArray(details.families).flatMap((family) => asText(family) ?? []);
  return knownDetails({
    digest: asDigest(installed.digest),
    sizeBytes: asCount(installed.size),
    format: asText(details.format),
    family: asText(details.family),
    families: families.length === 0 ? undefined : families,
    parameterSize: asText(details.parameter_size),
    quantization: asText(details.quantization_level),
    trainedContextSize: asCount(details.context_length),
    embeddingLength: asCount(details.embedding_length),
  });
}

function asDigest(value: unknown): string | undefined {
  return /^(?:sha256:)?([0-9a-f]{64})$/.exec(asText(value) ?? '')?.[1];
}
