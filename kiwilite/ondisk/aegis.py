"""AEGIS-128 over many messages at once, as the kernel's aegis128 computes it.

A message has a key of 16 bytes, an IV of 16, additional data and a text. Five AES blocks
are its state S; one step mixes a block m into them, R being one AES round without its key:

    S0, S1, S2, S3, S4 = R(S4) ^ S0 ^ m, R(S0) ^ S1, R(S1) ^ S2, R(S2) ^ S3, R(S3) ^ S4

    begin       S = key ^ IV, c1, c0, key ^ c0, key ^ c1; ten steps with key, key ^ IV in turn
    additional  a step with each block, the last filled up with zeros
    text        ciphertext = plain text ^ S1 ^ S4 ^ (S2 & S3), then a step with the plain text
    end         seven steps with S3 ^ (bits of additional data, bits of text: le64 each)
    tag         S0 ^ S1 ^ S2 ^ S3 ^ S4

No library at hand has this cipher (what they call AEGIS-128L is another one), and a Python
loop over blocks would take a second for 20 KB. Sectors do not depend on each other, so all
of them take each step together, with numpy: byte by byte in the order row, column of AES's
square, then message. The S-box is applied by bytes.translate.

Source: Hongjun Wu and Bart Preneel, "AEGIS: A Fast Authenticated Encryption Algorithm",
version 1.1; FIPS 197 for the AES round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 16
_STATES: Final = 5
_CONSTANTS: Final = (
    bytes.fromhex("000101020305080d1522375990e97962"),
    bytes.fromhex("db3d18556dc22ff12011314273b528dd"),
)

Bytes = NDArray[np.uint8]
"""Given and returned: a row for each message. Within: blocks as (16, messages)."""


class Sealed(NamedTuple):
    """The other text (cipher for plain, plain for cipher) and the tags, a row for each message."""

    text: Bytes
    tags: Bytes


def _times_two(value: int) -> int:
    """Multiplied by x in AES's field."""
    return (value << 1) ^ (0x11B if value & 0x80 else 0)


def _s_box() -> bytes:
    """The inverse in AES's field, then its affine map: powers of 3 give every inverse."""
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value ^= _times_two(value)
    box = bytearray(256)
    for exponent, number in enumerate(powers):
        inverse = powers[-exponent % 255]
        twice = inverse * 0x101
        turned = twice >> 7 ^ twice >> 6 ^ twice >> 5 ^ twice >> 4
        box[number] = (inverse ^ turned ^ 0x63) & 0xFF
    box[0] = 0x63
    return bytes(box)


_S_BOX: Final = _s_box()
_SHIFTED: Final = np.array(
    [row * 4 + (column + row) % 4 for row in range(4) for column in range(4)]
)
"""Where ShiftRows takes each byte from, in our order."""
_ORDER: Final = np.array([n % 4 * 4 + n // 4 for n in range(BLOCK)])
"""Where our order takes each byte of a block from; it is its own inverse."""

Step = Callable[[Bytes], None]


def _stepper(state: Bytes) -> Step:
    """A function that mixes a block of every message into `state`, (5, 16, messages)."""
    count = state.shape[2]
    mixed, doubled = (np.empty((_STATES, 4, 4, count), np.uint8) for _ in range(2))
    carry = np.empty(mixed.shape, np.bool_)

    def step(block: Bytes) -> None:
        boxed = np.frombuffer(state.tobytes().translate(_S_BOX), np.uint8).reshape(state.shape)
        rows = boxed.take(_SHIFTED, 1).reshape(mixed.shape)
        # MixColumns: a column's byte becomes itself ^ 2 * (itself ^ the next) ^ all four.
        np.bitwise_xor(rows[:, :3], rows[:, 1:], mixed[:, :3])
        np.bitwise_xor(rows[:, 3], rows[:, 0], mixed[:, 3])
        np.bitwise_xor(rows, (mixed[:, 0] ^ mixed[:, 2])[:, None], rows)
        np.less(mixed.view(np.int8), 0, carry)
        np.add(mixed, mixed, doubled)
        np.bitwise_xor(rows, doubled, rows)
        np.multiply(carry.view(np.uint8), 0x1B, doubled)
        np.bitwise_xor(rows, doubled, rows)
        flat = rows.reshape(state.shape)
        np.bitwise_xor(state[1:], flat[:-1], state[1:])
        np.bitwise_xor(state[0], flat[-1], state[0])
        np.bitwise_xor(state[0], block, state[0])

    return step


def _blocks(rows: Bytes) -> Bytes:
    """Rows of bytes as (block, byte in our order, message), filled up with zeros."""
    count, length = rows.shape
    if length % BLOCK:
        whole = np.zeros((count, -(-length // BLOCK) * BLOCK), np.uint8)
        whole[:, :length] = rows
        rows = whole
    split = rows.reshape(count, -1, 4, 4)
    return np.ascontiguousarray(split.transpose(1, 3, 2, 0)).reshape(-1, BLOCK, count)


def _rows(blocks: Bytes) -> Bytes:
    """The inverse of `_blocks`, for whole blocks."""
    number, _, count = blocks.shape
    split = blocks.reshape(number, 4, 4, count)
    return np.ascontiguousarray(split.transpose(3, 0, 2, 1)).reshape(count, number * BLOCK)


def _block(raw: bytes) -> Bytes:
    """A block that is the same for every message."""
    return np.frombuffer(raw, np.uint8).take(_ORDER)[:, None]


def _begun(key: bytes, ivs: Bytes) -> tuple[Bytes, Step]:
    """State after initialisation, and the function that steps it."""
    own, (iv,) = _block(key), _blocks(ivs)
    c0, c1 = (_block(raw) for raw in _CONSTANTS)
    state = np.empty((_STATES, *iv.shape), np.uint8)
    for number, content in enumerate((own ^ iv, c1, c0, own ^ c0, own ^ c1)):
        state[number] = content
    step, both = _stepper(state), own ^ iv
    for _ in range(5):
        step(own)
        step(both)
    return state, step


def _ended(state: Bytes, step: Step, additional: int, text: int) -> Bytes:
    """The tags; lengths in bytes."""
    lengths = (additional * 8).to_bytes(8, "little") + (text * 8).to_bytes(8, "little")
    last = state[3] ^ _block(lengths)
    for _ in range(7):
        step(last)
    return _rows(np.bitwise_xor.reduce(state)[None])


def encrypted(key: bytes, ivs: Bytes, additional: Bytes, plain: Bytes) -> Sealed:
    """Encrypt; a row for each message. Texts are whole blocks."""
    state, step = _begun(key, ivs)
    for block in _blocks(additional):
        step(block)
    text = _blocks(plain)
    for block in text:
        stream = state[2] & state[3]
        stream ^= state[1]
        stream ^= state[4]
        stream ^= block
        step(block)
        block[:] = stream
    return Sealed(_rows(text), _ended(state, step, additional.shape[1], plain.shape[1]))


def decrypted(key: bytes, ivs: Bytes, additional: Bytes, cipher: Bytes) -> Sealed:
    """Decrypt, and compute the tags: who calls compares them before the text counts."""
    state, step = _begun(key, ivs)
    for block in _blocks(additional):
        step(block)
    text = _blocks(cipher)
    for block in text:
        np.bitwise_xor(block, state[2] & state[3], block)
        np.bitwise_xor(block, state[1], block)
        np.bitwise_xor(block, state[4], block)
        step(block)
    return Sealed(_rows(text), _ended(state, step, additional.shape[1], cipher.shape[1]))
