"""The contract's tables against what says the same for people: the .proto files and docs/protocol.md."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, ServiceDescriptor
from google.rpc import code_pb2

import tallystick.v1
from tallystick.client.exceptions import NotReached, Refusal
from tallystick.contract.methods import METHODS, Method
from tallystick.contract.reasons import BY_NAME, REASONS, Logged, Reason
from tallystick.contract.refusals import encode_status
from tallystick.contract.subjects import nobody
from tallystick.server.errors import Refusal as ServerRefusal
from tallystick.v1 import errors_pb2

ROOT = Path(__file__).parents[2]
FILES = [importlib.import_module(f"tallystick.v1.{each.name}") for each in pkgutil.iter_modules(tallystick.v1.__path__)]
SERVICES: list[ServiceDescriptor] = [
    each for file in FILES if file.__name__.endswith("_pb2") for each in file.DESCRIPTOR.services_by_name.values()
]
RPCS = {f"/{service.full_name}/{rpc.name}": rpc for service in SERVICES for rpc in service.methods}


def test_every_rpc_of_the_proto_files_is_in_the_table_with_its_types() -> None:
    assert sorted(METHODS) == sorted(RPCS)
    for path, rpc in RPCS.items():
        method = METHODS[path]
        assert (rpc.input_type, rpc.output_type) == (method.request.DESCRIPTOR, method.answer.DESCRIPTOR), path
        assert method.paged == rpc.server_streaming, path


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_a_method_that_names_a_subject_says_whom_it_is_about(method: Method) -> None:  # type: ignore[type-arg] # any of them
    names_one = "SubjectToken" in {each.name for each in _messages(method.request.DESCRIPTOR)}
    assert names_one == (method.about is not nobody) or method.name == "EraseSubject"


def _messages(message: Descriptor, seen: frozenset[str] = frozenset()) -> Iterator[Descriptor]:
    """The types of all messages inside a message."""
    for field in message.fields:
        inner = field.message_type
        if inner is not None and inner.full_name not in seen:
            yield inner
            yield from _messages(inner, seen | {inner.full_name})


def test_every_reason_of_the_enum_is_in_the_table() -> None:
    stated = [value for value in errors_pb2.ErrorReason.values() if value != errors_pb2.ERROR_REASON_UNSPECIFIED]
    assert [reason.value for reason in REASONS] == stated


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
def test_the_comment_in_errors_proto_says_the_same(reason: Reason) -> None:
    text = (ROOT / "proto/tallystick/v1/errors.proto").read_text("utf-8")
    match = re.search(rf"  // (\w+)(?:, with google\.rpc\.RetryInfo)?: (.*)\n  ERROR_REASON_{reason.name} = {reason.value};", text)
    assert match is not None
    assert match[1] == code_pb2.Code.Name(reason.code)
    endings = {Logged.NEVER: "Not logged.", Logged.IF_POSSIBLE: "Logged if possible.", Logged.SPARINGLY: "Logged once a minute."}
    said = next((logged for logged, ending in endings.items() if match[2].endswith(ending)), Logged.ALWAYS)
    assert said is reason.logged


def test_the_protocol_page_has_the_same_table_of_reasons() -> None:
    text = (ROOT / "docs/protocol.md").read_text("utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([A-Z_]+) \| ([a-z ]+) \| ([a-z ]+) \|$", text, re.MULTILINE)
    assert rows == [
        (each.name, code_pb2.Code.Name(each.code), each.logged.value, "yes" if each.retry else "no") for each in REASONS
    ]


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
def test_server_and_sdk_take_a_reason_alike(reason: Reason) -> None:
    refusal = Refusal(code_pb2.Code.Name(reason.code), "", encode_status(ServerRefusal(reason.value, "a text")))
    assert refusal.reason == reason.name
    assert refusal.must_be_logged == (reason.logged is Logged.ALWAYS)
    assert isinstance(refusal.to_exception(None), NotReached) == BY_NAME[reason.name].retry
