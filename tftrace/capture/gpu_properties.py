"""GPUs that need not be here: their device properties as cuDNN wants them, by name or from a file.

Those in `gpus/` are written by hand, from NVIDIA's public data sheets and the tables of the CUDA programming guide.
Of all of them only `deviceVer`, the compute capability, was seen to change what cuDNN offers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tftrace.errors import InputError, UsageError

FOLDER: Final = Path(__file__).parent / "gpus"
NUMBERS: Final = (
    "deviceVer", "cudaDeviceId", "driverVer", "totalGlobalMem", "multiProcessorCount", "warpSize", "regsPerBlock",
    "smClockRateKHz", "memClockRateKHz", "memoryBusWidth", "l2CacheSize", "maxSharedMemoryPerBlock",
    "maxSharedMemoryPerBlockOptin", "reservedSharedMemoryPerBlock", "maxRegistersPerSM", "pciDeviceId",
    "maxCtasPerSM", "maxThreadsPerBlock", "maxThreadsPerSM", "isTccDriver", "supportCoopLaunch",
)  # fmt: skip
TRIPLES: Final = ("maxGridSize", "maxBlockSize")
_LARGEST_FILE: Final = 1 << 20


@dataclass(frozen=True)
class Gpu:
    """`name` is what was given on the command line, `properties` what cuDNN is told."""

    name: str
    properties: dict[str, Any]

    @property
    def device(self) -> str:
        """The product's name, as the CUDA driver would tell it."""
        return str(self.properties["deviceName"])

    @property
    def compute_capability(self) -> tuple[int, int]:
        version = int(self.properties["deviceVer"])
        return version // 100, version % 100 // 10


def names() -> list[str]:
    """The GPUs that come with tftrace, oldest first."""
    known = [(_read(path)["deviceVer"], path.stem) for path in FOLDER.glob("*.json")]
    return [name for _, name in sorted(known)]


def gpu(given: str) -> Gpu:
    """The GPU of that name, or of that JSON file.

    Raises UsageError for a name that is not known, InputError for a file that is no description of a GPU.
    """
    own = {path.stem: path for path in FOLDER.glob("*.json")}
    if given.lower() in own:
        return Gpu(given.lower(), _read(own[given.lower()]))
    path = Path(given)
    if path.suffix.lower() != ".json" and not path.is_file():
        raise UsageError(
            f"--gpu {given}: no such GPU; there are {', '.join(names())}, or a file of device properties, NAME.json"
        )
    return Gpu(path.stem, _read(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            text = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; give a file of device properties") from None
    like = f"write it like {FOLDER / 'a100.json'}"
    try:
        if len(text) > _LARGEST_FILE:
            raise ValueError("it is larger than 1 MB")
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: it is not JSON ({error}); {like}") from None
    if not isinstance(read, dict):
        raise InputError(f"{path}: it is no object of device properties; {like}")
    missing = [key for key in ("deviceName", *NUMBERS, *TRIPLES) if key not in read]
    if missing:
        raise InputError(f"{path}: cuDNN wants {', '.join(missing)} too; {like}")
    for key in NUMBERS:
        if not _whole(read[key]):
            raise InputError(f"{path}: {key} is {read[key]!r}, not a whole number of 0 or more; {like}")
    for key in TRIPLES:
        if not (isinstance(read[key], list) and len(read[key]) == 3 and all(map(_whole, read[key]))):
            raise InputError(f"{path}: {key} is {read[key]!r}, not three whole numbers; {like}")
    if not isinstance(read["deviceName"], str):
        raise InputError(f"{path}: deviceName is {read['deviceName']!r}, not a text; {like}")
    return read


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
