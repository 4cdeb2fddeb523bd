"""AEGIS-128 once more, a block at a time as its paper writes it, and the AES round by FIPS 197."""

from __future__ import annotations

from functools import reduce

C0 = bytes.fromhex("000101020305080d1522375990e97962")
C1 = bytes.fromhex("db3d18556dc22ff12011314273b528dd")


def xor(*parts: bytes) -> bytes:
    return bytes(reduce(int.__xor__, column) for column in zip(*parts, strict=True))


def product(a: int, b: int) -> int:
    """In AES's field."""
    total = 0
    while b:
        total ^= a if b & 1 else 0
        a, b = (a << 1 ^ (0x11B if a & 0x80 else 0)), b >> 1
    return total


def substituted(value: int) -> int:
    """The S-box: the inverse, found by search, then the affine map bit by bit."""
    inverse = next((b for b in range(256) if product(value, b) == 1), 0)
    bits = (
        sum(inverse >> (n + turn) % 8 for turn in (0, 4, 5, 6, 7)) + (0x63 >> n) & 1
        for n in range(8)
    )
    return sum(bit << n for n, bit in enumerate(bits))


S_BOX = bytes(map(substituted, range(256)))


def shifted(block: bytes) -> bytes:
    """SubBytes and ShiftRows."""
    return bytes(S_BOX[block[4 * ((n // 4 + n % 4) % 4) + n % 4]] for n in range(16))


def aes_round(block: bytes, key: bytes) -> bytes:
    """A round as AES has nine of (with 128 bits)."""
    mixed, moved = bytearray(), shifted(block)
    for at in range(0, 16, 4):
        for n in range(4):
            two, three, *others = (moved[at + (n + turn) % 4] for turn in range(4))
            mixed.append(product(two, 2) ^ product(three, 3) ^ others[0] ^ others[1])
    return xor(bytes(mixed), key)


def stepped(state: list[bytes], block: bytes) -> list[bytes]:
    turned = [aes_round(state[n - 1], state[n]) for n in range(5)]
    return [xor(turned[0], block), *turned[1:]]


def encrypted(key: bytes, iv: bytes, additional: bytes, plain: bytes) -> tuple[bytes, bytes]:
    """Ciphertext and tag."""
    state = [xor(key, iv), C1, C0, xor(key, C0), xor(key, C1)]
    for _ in range(5):
        state = stepped(stepped(state, key), xor(key, iv))
    for at in range(0, len(additional), 16):
        state = stepped(state, additional[at : at + 16].ljust(16, b"\0"))
    cipher = b""
    for at in range(0, len(plain), 16):
        block = plain[at : at + 16]
        both = bytes(a & b for a, b in zip(state[2], state[3], strict=True))
        cipher += xor(block, state[1], state[4], both)
        state = stepped(state, block)
    lengths = b"".join((len(part) * 8).to_bytes(8, "little") for part in (additional, plain))
    last = xor(state[3], lengths)
    for _ in range(7):
        state = stepped(state, last)
    return cipher, xor(*state)
