"""One request by gRPC to a dedicated endpoint on Vertex AI: `python -m tests.smoke_grpc ENDPOINT TEXT`."""

import sys
from collections.abc import Sequence
from typing import Any

from seqline.serving import grpc_messages as messages


def predict(channel: Any, text: str, name: str = "model", metadata: Sequence[tuple[str, str]] = ()) -> str:
    """Sends one text to TensorFlow Serving's PredictionService."""
    request = messages.PredictRequest()
    request.model_spec.name = name
    tensor = request.inputs.add(key="text").value
    tensor.dtype, tensor.string_val[:] = messages.DT_STRING, [text.encode()]
    tensor.tensor_shape.dim.add(size=1)
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    answer = messages.PredictResponse.FromString(call(request.SerializeToString(), timeout=60, metadata=metadata))
    (translated,) = next(entry.value.string_val for entry in answer.outputs if entry.key == "text")
    return str(translated.decode())


def main(endpoint: str, text: str) -> None:
    """Looks the endpoint's DNS name up, and asks it.

    docs.cloud.google.com/vertex-ai/docs/predictions/using-dedicated-endpoints: gRPC needs x-vertex-ai-endpoint-id.
    """
    import google.auth
    import google.auth.transport.requests
    import grpc
    from google.cloud import aiplatform_v1

    region = endpoint.split("/")[3]
    options = {"api_endpoint": f"{region}-aiplatform.googleapis.com"}
    found = aiplatform_v1.EndpointServiceClient(client_options=options).get_endpoint(name=endpoint)
    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    credentials.refresh(google.auth.transport.requests.Request())
    metadata = [
        ("x-vertex-ai-endpoint-id", endpoint.rpartition("/")[2]),
        ("authorization", f"Bearer {credentials.token}"),
    ]
    host = found.dedicated_endpoint_dns.removeprefix("https://")
    with grpc.secure_channel(f"{host}:443", grpc.ssl_channel_credentials()) as channel:
        print(predict(channel, text, metadata=metadata))


if __name__ == "__main__":
    main(*sys.argv[1:])
