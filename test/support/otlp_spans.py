"""Reads exports with the published classes of OTLP: a line of base64 each, answered by a line of JSON with the spans in it."""

import base64
import json
import struct
import sys

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def value_of(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return ["list", [value_of(each) for each in value.array_value.values]]
    if kind == "double_value":
        return ["double", struct.pack(">d", value.double_value).hex()]
    return [kind.removesuffix("_value"), str(getattr(value, kind))]


def attributes_of(attributes):
    return [[each.key, value_of(each.value)] for each in attributes]


for line in sys.stdin:
    export = ExportTraceServiceRequest()
    export.ParseFromString(base64.b64decode(line))
    [resource] = export.resource_spans
    [scope] = resource.scope_spans
    print(
        json.dumps(
            {
                "resource": attributes_of(resource.resource.attributes),
                "scope": [scope.scope.name, scope.scope.version],
                "spans": [
                    {
                        "traceId": span.trace_id.hex(),
                        "spanId": span.span_id.hex(),
                        "parentSpanId": span.parent_span_id.hex(),
                        "tracestate": span.trace_state,
                        "name": span.name,
                        "kind": Span.SpanKind.Name(span.kind),
                        "startedAt": str(span.start_time_unix_nano),
                        "endedAt": str(span.end_time_unix_nano),
                        "attributes": attributes_of(span.attributes),
                        "status": Status.StatusCode.Name(span.status.code),
                        "flags": span.flags,
                    }
                    for span in scope.spans
                ],
            }
        ),
        flush=True,
    )
