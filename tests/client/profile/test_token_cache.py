"""The token cache: bounded, sealed, of one epoch, rebuilt when damaged, and never a reason to fail."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.client import EpochRolledBack
from tallystick.client.profile.token_cache import TokenCache, write_private
from tallystick.crypto import epoch_id, generate_private_key, public_key

PUBLIC_KEY = public_key(generate_private_key())
EPOCH = epoch_id(3, PUBLIC_KEY)
IDENTITY = b"a canonical identity"


def test_what_was_stored_is_found_by_a_later_run(tmp_path: Path) -> None:
    cache = TokenCache(EPOCH, tmp_path / "state")
    assert cache.lookup([cache.key(IDENTITY)]) == [None]
    cache.store([(cache.key(IDENTITY), b"t" * 32)])
    cache.save()
    later = TokenCache(EPOCH, tmp_path / "state")
    assert later.lookup([later.key(IDENTITY), later.key(b"other")]) == [b"t" * 32, None]


def test_the_files_show_neither_identity_nor_token_and_are_the_owners_alone(tmp_path: Path) -> None:
    cache = TokenCache(EPOCH, tmp_path / "state")
    cache.store([(cache.key(IDENTITY), b"t" * 32)])
    cache.save()
    files = sorted((tmp_path / "state").iterdir())
    assert [file.name for file in files] == ["cache.key", "epoch", "tokens.cache"]
    for file in files:
        assert file.stat().st_mode & 0o077 == 0
        data = file.read_bytes()
        assert b"t" * 32 not in data
        assert cache.key(IDENTITY) not in data
        assert IDENTITY not in data


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other key"])
def test_a_damaged_cache_is_built_anew_with_a_warning(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    state = tmp_path / "state"
    cache = TokenCache(EPOCH, state)
    cache.store([(cache.key(IDENTITY), b"t" * 32)])
    cache.save()
    file = state / "tokens.cache"
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[-1] ^= 1
    file.write_bytes({"cut": bytes(data[:-5]), "empty": b""}.get(damage, bytes(data)))
    if damage == "other key":
        (state / "cache.key").write_bytes(b"short")
    with caplog.at_level(logging.INFO):
        later = TokenCache(EPOCH, state)
    assert len(later) == 0
    assert "built anew" in caplog.text
    later.store([(later.key(IDENTITY), b"u" * 32)])
    later.save()
    assert len(TokenCache(EPOCH, state)) == 1


def test_tokens_of_another_epoch_are_not_taken_over(tmp_path: Path) -> None:
    cache = TokenCache(EPOCH, tmp_path)
    cache.store([(cache.key(IDENTITY), b"t" * 32)])
    cache.save()
    assert len(TokenCache(epoch_id(4, PUBLIC_KEY), tmp_path)) == 0
    with pytest.raises(EpochRolledBack):
        TokenCache(EPOCH, tmp_path)


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tallystick.client.profile.token_cache.tempfile.mkstemp", full)
    cache = TokenCache(EPOCH, tmp_path / "state")
    cache.store([(cache.key(IDENTITY), b"t" * 32)])
    cache.save()
    assert cache.lookup([cache.key(IDENTITY)]) == [b"t" * 32]
    assert "No space left" in caplog.text


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_private(tmp_path / "file", b"old")

    def crash(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tallystick.client.profile.token_cache.os.fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        write_private(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_two_processes_of_one_profile_agree_on_the_key(tmp_path: Path) -> None:
    caches: list[TokenCache] = []
    threads = [threading.Thread(target=lambda: caches.append(TokenCache(EPOCH, tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({cache.key(IDENTITY) for cache in caches}) == 1


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.booleans(), st.integers(0, 12))),
)
def test_it_holds_the_latest_used_and_no_more(capacity: int, steps: list[tuple[bool, int]]) -> None:
    cache = TokenCache(EPOCH, None, capacity)
    model: dict[int, bytes] = {}
    for step, (stores, number) in enumerate(steps):
        key = number.to_bytes(32, "big")
        if stores:
            token = step.to_bytes(32, "big")
            cache.store([(key, token)])
            model.pop(number, None)
            model[number] = token
            while len(model) > capacity:
                del model[next(iter(model))]
        else:
            assert cache.lookup([key]) == [model.get(number)]
            if number in model:
                model[number] = model.pop(number)
    assert len(cache) == len(model) <= capacity
