"""What the package offers is a promise: a name is added here on purpose, and taken away hardly ever."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tallystick import crypto

PUBLIC = """
AUDIENCE_KEY DIGEST_KEY EMPTY_ROOT INPUT_KEY MAX_LIFETIME MODE_OPRF MODE_VOPRF RFC_SUITE SIGNATURE_KEY SUITE Blinded
Checkpoint CompactRange CryptoError ElementError Identity IdentityError MerkleError NoteError NoteVerifier ProofError
ReceiptError RequestSignature SignatureFormatError SignatureVerificationError SignedRequest account_reference
account_secret_id blind check_element commitment_from_hashes complete_subtrees consistency_proof consistency_ranges
content_digest derive_key_pair details_commitment epoch_id epoch_sequence evaluate finalize fold framed
generate_private_key identity_faults inclusion_proof inclusion_ranges is_origin is_signed key_statement keyid leaf_hash new_seed
node_hash normalise normalise_account_number open_checkpoint open_note parse_request_signature public_key
receipt_statement region_is_known request_metadata resident_id_check_digit root salt salted_leaf_hash sign_checkpoint
sign_note sign_receipt sign_request subject_key subject_leaf unblind verify_consistency verify_evaluation
verify_inclusion verify_receipt_signature verify_request
"""


def test_public_names_are_these() -> None:
    assert sorted(crypto.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(crypto, name) for name in crypto.__all__)


def test_every_public_name_is_documented() -> None:
    for name in crypto.__all__:
        if not name.isupper():
            assert getattr(crypto, name).__doc__, name


@pytest.mark.parametrize(
    "error",
    [
        crypto.IdentityError("number", "FIELD_MALFORMED", "what to do"),
        crypto.ElementError("what is wrong", 3),
        crypto.ReceiptError(2, "what is wrong"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_are_one_tree_and_survive_a_process_boundary(error: crypto.CryptoError) -> None:
    import pickle

    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, crypto.CryptoError)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_every_error_is_a_crypto_error() -> None:
    errors = [getattr(crypto, name) for name in crypto.__all__ if name.endswith("Error")]
    assert len(errors) == 9
    assert all(issubclass(error, crypto.CryptoError) for error in errors)


def test_no_scalar_arithmetic_that_allows_zero() -> None:
    folder = Path(crypto.__file__).parent
    names = {
        node.attr
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert "crypto_scalarmult_ristretto255" in names
    assert not {name for name in names if "allow_scalar_zero" in name}


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there")
def test_importing_leaves_no_file_behind(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", "import tallystick.crypto as c; c.generate_private_key()"],
        check=True,
        env={"TMPDIR": str(tmp_path)},
    )
    assert list(tmp_path.iterdir()) == []
