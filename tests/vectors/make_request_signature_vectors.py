"""Writes request_signatures_negative.json: one good signed request, and every way in which one must be refused.

"malformed" holds headers that no verifier may read: each is the good request with one thing wrong in its form.
"invalid" holds requests whose headers are in canonical form while the signature, the digest or the key does not hold.
All keys and nonces are fixed. Run it from anywhere: `python tests/vectors/make_request_signature_vectors.py`.
"""

import base64
import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick import crypto

PATH = Path(__file__).parent / "request_signatures_negative.json"

KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"tallystick test vector: negative").digest())
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"tallystick test vector: other").digest())
METHOD = "/tallystick.v1.InquiryService/QueryCreditHistory"
MESSAGE = b"\x0a\x10" + bytes(range(16))
AUDIENCE = "exchange.example/log"
CREATED = 1_767_225_600
# Its base64 has "+" and "/", so that another alphabet shows.
NONCE = bytes.fromhex("fbefbefffffe0102030405060708090a")

COMPONENTS = ['"@method"', '"@path"', '"content-digest"', '"tallystick-audience"']
ORDER = 2**252 + 27742317777372353535851937790883648493
SMALL_ORDER_KEY = bytes([1]) + bytes(31)

Metadata = list[list[str]]
Named = tuple[str, str]


def raw_public(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of a key's public half."""
    return key.public_key().public_bytes_raw()


def b64(data: bytes) -> str:
    """Canonical base64."""
    return base64.b64encode(data).decode()


GOOD = crypto.sign_request(KEY, path=METHOD, message=MESSAGE, audience=AUDIENCE, created=CREATED, lifetime=60, nonce=NONCE)
GOOD_METADATA: Metadata = [list(entry) for entry in GOOD.metadata]
VALUES: dict[str, str] = dict(GOOD.metadata)
PARAMETERS = [
    f"created={CREATED}",
    f"expires={CREATED + 60}",
    f'nonce="{b64(NONCE)}"',
    f'keyid="{crypto.keyid(raw_public(KEY)).hex()}"',
    'alg="ed25519"',
    'tag="tallystick-v1"',
]


def replaced(key: str, value: str) -> Metadata:
    """The good metadata with another value for one key."""
    return [[name, value if name == key else old] for name, old in GOOD_METADATA]


def signature_input(components: list[str] | None = None, parameters: list[str] | None = None) -> str:
    """A signature-input value in the usual spacing."""
    covered = " ".join(COMPONENTS if components is None else components)
    return "tallystick=(" + covered + ")" + "".join(f";{p}" for p in (PARAMETERS if parameters is None else parameters))


# --- Malformed --------------------------------------------------------------------------------------------------------


def malformed_keys() -> Iterator[tuple[str, Metadata]]:
    """Each of the four keys missing, doubled, or written in another way."""
    for key, value in GOOD_METADATA:
        yield f"{key}: missing", [entry for entry in GOOD_METADATA if entry[0] != key]
        yield f"{key}: doubled with the same value", [*GOOD_METADATA, [key, value]]
        yield f"{key}: doubled with an empty value", [[key, ""], *GOOD_METADATA]
        yield f"{key}: key in upper case", [[name.upper() if name == key else name, old] for name, old in GOOD_METADATA]
        yield f"{key}: key with a space", [[f"{name} " if name == key else name, old] for name, old in GOOD_METADATA]
    yield "no metadata at all", []


def malformed_values() -> Iterator[tuple[str, Metadata]]:
    """What no value may be."""
    forms: list[tuple[str, Callable[[str], str]]] = [
        ("empty", lambda _: ""),
        ("space before", lambda value: f" {value}"),
        ("space after", lambda value: f"{value} "),
        ("tab after", lambda value: f"{value}\t"),
        ("line feed after", lambda value: f"{value}\n"),
        ("carriage return and line feed after", lambda value: f"{value}\r\n"),
        ("a second signature base line", lambda value: f'{value}\n"@path": /x'),
        ("NUL after", lambda value: f"{value}\0"),
        ("two values joined by a comma", lambda value: f"{value}, {value}"),
        ("not ASCII", lambda value: f"{value}é"),
        ("full-width first character", lambda value: chr(ord(value[0]) + 0xFEE0) + value[1:]),
        ("lone surrogate", lambda value: f"{value}\ud800"),
        ("600 characters more", lambda value: value + "a" * 600),
    ]
    for key, value in GOOD_METADATA:
        for name, form in forms:
            yield f"{key}: {name}", replaced(key, form(value))


def malformed_components() -> Iterator[Named]:
    """The covered components: each dropped, doubled, changed; neighbours swapped; strangers added."""
    for position, component in enumerate(COMPONENTS):
        rest = COMPONENTS[:position], COMPONENTS[position + 1 :]
        yield f"{component} dropped", signature_input([*rest[0], *rest[1]])
        yield f"{component} doubled", signature_input([*rest[0], component, component, *rest[1]])
        yield f"{component} in upper case", signature_input([*rest[0], component.upper(), *rest[1]])
        yield f"{component} without quotes", signature_input([*rest[0], component.strip('"'), *rest[1]])
        yield f"{component} with a parameter", signature_input([*rest[0], f"{component};sf", *rest[1]])
        yield f"{component} of the request", signature_input([*rest[0], f"{component};req", *rest[1]])
        yield f"{component} changed", signature_input([*rest[0], '"@authority"', *rest[1]])
    for first, second in pairwise(range(4)):
        swapped = list(COMPONENTS)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        yield f"{COMPONENTS[first]} and {COMPONENTS[second]} swapped", signature_input(swapped)
    yield "components reversed", signature_input(COMPONENTS[::-1])
    yield "no components", signature_input([])
    yield "a component more", signature_input([*COMPONENTS, '"@authority"'])
    yield "@signature-params covered", signature_input([*COMPONENTS, '"@signature-params"'])
    good = signature_input()
    yield "two spaces between components", good.replace('" "', '"  "', 1)
    yield "tab between components", good.replace('" "', '"\t"', 1)
    yield "no space between components", good.replace('" "', '""', 1)
    yield "comma between components", good.replace('" "', '", "', 1)
    yield "space after the parenthesis", good.replace("(", "( ", 1)
    yield "space before the parenthesis", good.replace(")", " )", 1)
    yield "parenthesis not closed", good.replace(")", "", 1)


def malformed_parameters() -> Iterator[Named]:
    """The parameters: each dropped, doubled, empty, unquoted; neighbours swapped; strangers added."""
    for position, parameter in enumerate(PARAMETERS):
        name, value = parameter.split("=", 1)
        before, after = PARAMETERS[:position], PARAMETERS[position + 1 :]
        yield f"{name} dropped", signature_input(None, [*before, *after])
        yield f"{name} doubled", signature_input(None, [*before, parameter, parameter, *after])
        yield f"{name} without a value", signature_input(None, [*before, name, *after])
        yield f"{name} empty", signature_input(None, [*before, f"{name}=", *after])
        yield f"{name} in upper case", signature_input(None, [*before, f"{name.upper()}={value}", *after])
        yield f"{name} with spaces around =", signature_input(None, [*before, f"{name} = {value}", *after])
        yield f"{name} after a space", signature_input(None, [*before, f" {parameter}", *after])
        yield (
            f"{name} as another type",
            signature_input(None, [*before, f"{name}={value.strip(chr(34))}" if '"' in value else f'{name}="{value}"', *after]),
        )
        yield f"{name} as a byte sequence", signature_input(None, [*before, f"{name}=:{b64(b'x' * 16)}:", *after])
    for first, second in pairwise(range(len(PARAMETERS))):
        swapped = list(PARAMETERS)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        names = [PARAMETERS[at].split("=")[0] for at in (first, second)]
        yield f"{names[0]} and {names[1]} swapped", signature_input(None, swapped)
    yield "no parameters", signature_input(None, [])
    yield "an unknown parameter first", signature_input(None, ["x=1", *PARAMETERS])
    yield "an unknown parameter last", signature_input(None, [*PARAMETERS, "x=1"])
    yield "a semicolon more", signature_input() + ";"
    yield "another label", signature_input().replace("tallystick=", "sig1=", 1)
    yield "label in upper case", signature_input().replace("tallystick=", "Tallystick=", 1)
    yield "no label", signature_input().removeprefix("tallystick=")
    yield "another signature before", "sig1=()," + signature_input()
    yield "another signature after", signature_input() + ",sig1=()"


def malformed_parameter_values() -> Iterator[Named]:
    """Values of the parameters that are not of the one form, or not in range."""

    def with_value(name: str, value: str) -> str:
        return signature_input(None, [f"{name}={value}" if p.startswith(f"{name}=") else p for p in PARAMETERS])

    for name in ("created", "expires"):
        seconds = CREATED if name == "created" else CREATED + 60
        forms = [f"-{seconds}", f"+{seconds}", f"0{seconds}", f"{seconds}.0", "1e9", "0x10", "-0", "00", "9" * 12]
        forms += ["9" * 400, f"{seconds}_0", "１７６７２２５６００", f"?{seconds}", "?1", f"@{seconds}"]
        for form in forms:
            yield f"{name}={form[:24]}", with_value(name, form)
    yield "expires equals created", with_value("expires", str(CREATED))
    yield "expires before created", with_value("expires", str(CREATED - 1))
    yield "expires 61 seconds after created", with_value("expires", str(CREATED + 61))
    nonces = {
        "of 15 bytes": b64(NONCE[:15]),
        "of 33 bytes": b64(NONCE * 2 + b"x"),
        "of no bytes": "",
        "in the URL alphabet": b64(NONCE).replace("+", "-").replace("/", "_"),
        "without padding": b64(NONCE).rstrip("="),
        "with half the padding": b64(NONCE).rstrip("=") + "=",
        "with surplus padding": b64(NONCE) + "=",
        "with unused bits set": b64(NONCE)[:21] + chr(ord(b64(NONCE)[21]) + 1) + "==",
        "with a space": b64(NONCE)[:4] + " " + b64(NONCE)[4:],
        "with an escape": b64(NONCE)[:4] + "\\" + b64(NONCE)[4:],
        "in hexadecimal": NONCE.hex() + "g",
        "with padding inside": "AA==" + b64(NONCE),
    }
    for form, value in nonces.items():
        yield f"nonce {form}", with_value("nonce", f'"{value}"')
    keyid = crypto.keyid(raw_public(KEY))
    keyids = {
        "with upper-case digits": keyid.hex().upper(),
        "of 31 bytes": keyid.hex()[:62],
        "of 33 bytes": keyid.hex() + "00",
        "of an odd length": keyid.hex()[:63],
        "in base64": b64(keyid),
        "of no bytes": "",
        "with a prefix": "0x" + keyid.hex(),
    }
    for form, value in keyids.items():
        yield f"keyid {form}", with_value("keyid", f'"{value}"')
    for value in ("ed25519ph", "Ed25519", "rsa-pss-sha512", "hmac-sha256", ""):
        yield f'alg "{value}"', with_value("alg", f'"{value}"')
    for value in ("tallystick-v2", "Tallystick-v1", "tallystick-v1 ", ""):
        yield f'tag "{value}"', with_value("tag", f'"{value}"')


def malformed_byte_sequence(prefix: str, data: bytes, other_label: str) -> Iterator[Named]:
    """Forms of `label=:base64:` that are not canonical, or not of the right length."""
    text = b64(data)
    stem = text.rstrip("=")
    pad = text[len(stem) :]
    yield "without colons", f"{prefix}{text}"
    yield "without the first colon", f"{prefix}{text}:"
    yield "without the last colon", f"{prefix}:{text}"
    yield "with a colon more", f"{prefix}::{text}:"
    yield "in quotes", f'{prefix}"{text}"'
    yield "without padding", f"{prefix}:{stem}:"
    yield "with surplus padding", f"{prefix}:{text}=:"
    yield "with unused bits set", f"{prefix}:{stem[:-1]}{chr(ord(stem[-1]) + 1)}{pad}:"
    yield "with a space inside", f"{prefix}:{text[:4]} {text[4:]}:"
    yield "with a line feed inside", f"{prefix}:{text[:4]}\n{text[4:]}:"
    other = base64.urlsafe_b64encode(b"\xfb\xff\xfe" * 40).decode()[: len(stem)]
    yield "in the URL alphabet", f"{prefix}:{other}{pad}:"
    yield "in hexadecimal", f"{prefix}:{data.hex()}:"
    yield "a byte short", f"{prefix}:{b64(data[:-1])}:"
    yield "a byte long", f"{prefix}:{b64(data + b'x')}:"
    yield "empty bytes", f"{prefix}::"
    yield "with a parameter", f"{prefix}:{text}:;x=1"
    yield "with spaces around =", f"{prefix.removesuffix('=')} = :{text}:"
    yield "under another label", f"{other_label}:{text}:"
    yield "without a label", f":{text}:"
    yield "with the last character missing", f"{prefix}:{text[:-1]}:"
    yield "beside another one", f"{prefix}:{text}:, {other_label}:{text}:"
    yield "behind another one", f"{other_label}:{text}:, {prefix}:{text}:"


def malformed_audiences() -> Iterator[Named]:
    """Audiences that are no log origin."""
    yield "with a space", "exchange.example log"
    yield "with a plus", "exchange.example+log"
    yield "of 256 characters", "a" * 256
    yield "with DEL", "exchange.example\x7f"


def malformed() -> list[dict[str, Any]]:
    """All of them; the good request's form is none of them."""
    cases: list[tuple[str, Metadata]] = [*malformed_keys(), *malformed_values()]
    digest = base64.b64decode(VALUES[crypto.DIGEST_KEY][len("sha-256=:") : -1])
    by_key = {
        crypto.INPUT_KEY: [*malformed_components(), *malformed_parameters(), *malformed_parameter_values()],
        crypto.SIGNATURE_KEY: list(malformed_byte_sequence("tallystick=", GOOD.signature, "sig1=")),
        crypto.DIGEST_KEY: list(malformed_byte_sequence("sha-256=", digest, "sha-512=")),
        crypto.AUDIENCE_KEY: list(malformed_audiences()),
    }
    for key, named in by_key.items():
        cases += [(f"{key}: {name}", replaced(key, value)) for name, value in named]
    assert all(metadata != GOOD_METADATA for _, metadata in cases)
    assert len({name for name, _ in cases}) == len(cases)
    return [{"name": name, "metadata": metadata} for name, metadata in cases]


# --- Invalid ----------------------------------------------------------------------------------------------------------


def invalid() -> list[dict[str, Any]]:
    """Canonical headers, and something signed that is not so."""
    cases: list[dict[str, Any]] = []

    def case(name: str, metadata: Metadata, **changed: str) -> None:
        cases.append({"name": name, "metadata": metadata, **context(), **changed})

    def with_input(old: str, new: str) -> Metadata:
        assert old in VALUES[crypto.INPUT_KEY]
        return replaced(crypto.INPUT_KEY, VALUES[crypto.INPUT_KEY].replace(old, new))

    case("another path", GOOD_METADATA, path="/tallystick.v1.ReportingService/SubmitReports")
    case("path in another case", GOOD_METADATA, path=METHOD.lower())
    case("path with a query", GOOD_METADATA, path=METHOD + "?x")
    case("path with a line feed", GOOD_METADATA, path=METHOD + '\n"content-digest": x')
    case("empty path", GOOD_METADATA, path="")
    case("another message", GOOD_METADATA, message=(MESSAGE + b"\x00").hex())
    case("empty message", GOOD_METADATA, message="")
    other_digest = crypto.content_digest(b"other")
    case("another digest", replaced(crypto.DIGEST_KEY, other_digest))
    case("another message with its digest", replaced(crypto.DIGEST_KEY, other_digest), message=b"other".hex())
    unframed = f"sha-256=:{b64(sha256(MESSAGE).digest())}:"
    case("digest without the gRPC prefix", replaced(crypto.DIGEST_KEY, unframed))
    compressed = sha256(b"\x01" + len(MESSAGE).to_bytes(4, "big") + MESSAGE).digest()
    case("digest of a compressed message", replaced(crypto.DIGEST_KEY, f"sha-256=:{b64(compressed)}:"))
    case("another audience", replaced(crypto.AUDIENCE_KEY, "staging.example/log"))
    case("another created", with_input(f"created={CREATED}", f"created={CREATED + 1}"))
    case("another expires", with_input(f"expires={CREATED + 60}", f"expires={CREATED + 59}"))
    case("another nonce", with_input(b64(NONCE), b64(NONCE[::-1])))
    case("a longer nonce", with_input(b64(NONCE), b64(NONCE * 2)))
    other_keyid = crypto.keyid(raw_public(OTHER_KEY)).hex()
    case("another keyid", with_input(crypto.keyid(raw_public(KEY)).hex(), other_keyid))
    case("another key", GOOD_METADATA, public_key=raw_public(OTHER_KEY).hex())
    renamed = with_input(crypto.keyid(raw_public(KEY)).hex(), other_keyid)
    case("another key with its keyid", renamed, public_key=raw_public(OTHER_KEY).hex())
    for name, signature in forged_signatures():
        case(name, replaced(crypto.SIGNATURE_KEY, f"tallystick=:{b64(signature)}:"))
    small = with_input(crypto.keyid(raw_public(KEY)).hex(), crypto.keyid(SMALL_ORDER_KEY).hex())
    small = [[k, f"tallystick=:{b64(SMALL_ORDER_KEY + bytes(32))}:" if k == crypto.SIGNATURE_KEY else v] for k, v in small]
    case("a key of small order, whose signature holds for every message", small, public_key=SMALL_ORDER_KEY.hex())
    return cases


def forged_signatures() -> Iterator[tuple[str, bytes]]:
    """Signatures of the right length that do not hold."""
    good = GOOD.signature
    yield "one bit of R flipped", bytes([good[0] ^ 1]) + good[1:]
    yield "one bit of S flipped", good[:32] + bytes([good[32] ^ 1]) + good[33:]
    above = int.from_bytes(good[32:], "little") + ORDER
    yield "S not below the group's order", good[:32] + above.to_bytes(32, "little")
    yield "all zeros", bytes(64)
    yield "all ones", b"\xff" * 64
    yield "R and S swapped", good[32:] + good[:32]
    later = crypto.sign_request(KEY, path=METHOD, message=MESSAGE, audience=AUDIENCE, created=CREATED + 1, lifetime=60, nonce=NONCE)
    yield "the signature of another request", later.signature
    yield "a signature over the parameters alone", KEY.sign(GOOD.signature_params.encode())


def context() -> dict[str, str]:
    """With what the good request verifies."""
    return {"public_key": raw_public(KEY).hex(), "path": METHOD, "message": MESSAGE.hex()}


def rendered() -> str:
    """The file's text. Not ASCII is escaped, since one case has a lone surrogate."""
    content = {"good": {"metadata": GOOD_METADATA, **context()}, "malformed": malformed(), "invalid": invalid()}
    return json.dumps(content, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(rendered(), encoding="utf-8")
