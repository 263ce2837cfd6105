"""Runs in an environment with the package kserve, whose protobuf is older than ours: its clients, and its models.

The task is JSON on standard input, the result the last line of standard output.
"""

import asyncio
import json
import re
import sys
from typing import Any

import kserve
import kubernetes.client
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def problems(kind: str, value: Any, path: str) -> list[str]:
    """What the generated models do not know, by their declared types."""
    if kind in PLAIN:
        return [] if isinstance(value, PLAIN[kind]) else [f"{path} is no {kind}"]
    if found := re.fullmatch(r"list\[(.+)\]", kind):
        return [one for index, item in enumerate(value) for one in problems(found[1], item, f"{path}.{index}")]
    if found := re.fullmatch(r"dict\(str, (.+)\)", kind):
        return [one for key, item in value.items() for one in problems(found[1], item, f"{path}.{key}")]
    model = getattr(kserve, kind, None) or getattr(kubernetes.client, kind, None)
    if model is None or not hasattr(model, "openapi_types"):
        return []  # an int-or-string
    attributes = {written: attribute for attribute, written in model.attribute_map.items()}
    unknown = [f"{path}.{name} is unknown" for name in value if name not in attributes]
    known = {attributes[name]: item for name, item in value.items() if name in attributes}
    model(**known)  # raises for a required field that is missing
    return unknown + [
        one for name, item in known.items() for one in problems(model.openapi_types[name], item, f"{path}.{name}")
    ]


def asked(name: str, binary: bool, **parameters: Any) -> InferRequest:
    text = InferInput("text", [2], "BYTES")
    text.set_data_from_numpy(np.array(["grüße", "b"], dtype=object), binary_data=binary)
    return InferRequest(name, [text], parameters=parameters or None)


async def rest(url: str, name: str) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    found: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model": await client.is_model_ready(url, name),
    }
    response = await client.infer(url, asked(name, False, sampling=True, temperature=0.5), model_name=name)
    found["outputs"] = {output.name: output.as_numpy().tolist() for output in response.outputs}
    for case, request, model in (
        ("binary", asked(name, True), name),
        ("unknown", asked("other", False), "other"),
    ):
        try:
            await client.infer(url, request, model_name=model)
        except Exception as error:  # noqa: PERF203 (each is a case of its own)
            found[case] = str(error)
    await client.close()
    return found


async def grpc(address: str, name: str) -> dict[str, Any]:
    async with InferenceGRPCClient(address) as client:
        found: dict[str, Any] = {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model": await client.is_model_ready(name),
        }
        for form, binary in (("raw", True), ("typed", False)):
            response = await client.infer(asked(name, binary, sampling=True, temperature="0.5"))
            found[form] = {
                output.name: [
                    value.decode() if isinstance(value, bytes) else value for value in output.as_numpy().tolist()
                ]
                for output in response.outputs
            }
        try:
            await client.infer(asked("other", False))
        except Exception as error:
            found["unknown"] = f"{error.code().name} {error.details()}"  # type: ignore[attr-defined]
        return found


def main() -> None:
    task = json.load(sys.stdin)
    print(
        json.dumps(
            {
                "problems": [
                    one for made in task["objects"] for one in problems("V1beta1InferenceService", made, "object")
                ],
                "rest": asyncio.run(rest(task["url"], task["name"])),
                "grpc": asyncio.run(grpc(task["grpc"], task["name"])),
            }
        )
    )


main()
