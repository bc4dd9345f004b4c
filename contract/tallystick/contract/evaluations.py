"""Evaluating blinded elements, and what is wrong with a request to do so."""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.contract.limits import MAX_ELEMENTS, MAX_VIOLATIONS
from tallystick.contract.refusals import Refusal, refuse_violations
from tallystick.contract.violations import Violation
from tallystick.crypto import ElementError, check_element, oprf
from tallystick.v1 import errors_pb2, subject_token_service_pb2


def check_evaluation(message: subject_token_service_pb2.EvaluateTokensRequest, *, epoch_id: bytes, sequence: int) -> None:
    """Raises Refusal. `epoch_id` and `sequence` are those of the key epoch in force.

    Whether its elements are any is found when they are evaluated."""
    if message.epoch_id != epoch_id:
        raise Refusal.of_field(
            errors_pb2.ERROR_REASON_TOKEN_EPOCH_MISMATCH,
            "epoch_id",
            f"the key epoch in force is number {sequence}",
        )
    if not message.blinded_elements:
        raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_REQUIRED, "blinded_elements", "give at least one")
    if len(message.blinded_elements) > MAX_ELEMENTS:
        raise Refusal.of_field(
            errors_pb2.ERROR_REASON_BATCH_TOO_LARGE,
            "blinded_elements",
            f"at most {MAX_ELEMENTS} at once; split the batch",
        )


def evaluated(private_key: bytes, public_key: bytes, elements: Sequence[bytes]) -> tuple[list[bytes], bytes]:
    """The evaluated elements and the proof over them. Raises Refusal that names the elements that are none.

    The arithmetic finds them: looking at each before would take a twentieth of an evaluation's time."""
    try:
        return oprf.evaluate(private_key, public_key, elements)
    except ElementError:
        _refuse_elements(elements)
        raise


def _refuse_elements(elements: Sequence[bytes]) -> None:
    violations = []
    for i, element in enumerate(elements):
        try:
            check_element(element)
        except ElementError:
            text = "must be a ristretto255 element of 32 bytes in canonical form, and not the identity"
            violations.append(Violation(f"blinded_elements[{i}]", "ELEMENT_INVALID", text))
            if len(violations) == MAX_VIOLATIONS:
                break
    if violations:
        raise refuse_violations(violations)
