"""How a thread of the traced process is found among the lines of its TensorFlow profile."""

from __future__ import annotations

_MASK = (1 << 64) - 1
_MUL = 0xC6A4A7935BD1E995


def thread_key_candidates(pthread: int, tid: int) -> set[int]:
    """Every number that TensorFlow may have used as the id of a host thread's line.

    `pthread` is pthread_self() (threading.get_ident()), `tid` the kernel's thread id. TF 2.21 takes
    libstdc++'s std::hash<std::thread::id>, which is `_Hash_bytes` (MurmurHash64A, seed 0xc70f6907) over the
    8 bytes of pthread_self(); TF 2.15 the low 32 bits of that hash; TF 2.3 and 2.4 those of pthread_self();
    some builds the tid.
    """
    low, hashed = pthread & 0xFFFFFFFF, _hash_word(pthread)
    short = hashed & 0xFFFFFFFF
    words = {_signed(hashed, 64), _signed(pthread & _MASK, 64), tid}
    return words | {short, _signed(short, 32), low, _signed(low, 32)}


def _hash_word(word: int) -> int:
    def shift_mix(v: int) -> int:
        return v ^ (v >> 47)

    value = 0xC70F6907 ^ (8 * _MUL & _MASK)
    value ^= shift_mix((word & _MASK) * _MUL & _MASK) * _MUL & _MASK
    value = value * _MUL & _MASK
    return shift_mix(shift_mix(value) * _MUL & _MASK)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) & 1 else value
