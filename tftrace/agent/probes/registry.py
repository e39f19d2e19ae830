"""Every probe by name, in the order they start; they stop in the opposite one."""

from typing import Callable, Dict

from .base import Probe
from .cudnn import CudnnProbe
from .dispatch import DispatchProbe
from .federated import FederatedProbe
from .graph import GraphProbe
from .grappler import GrapplerProbe
from .itt import IttProbe
from .nvtx import NvtxProbe
from .onednn import OneDnnProbe
from .stream_executor import StreamExecutorProbe
from .tf_profiler import TfProfilerProbe

PROBES: Dict[str, Callable[..., Probe]] = {
    "itt": IttProbe,
    "onednn": OneDnnProbe,
    "cudnn": CudnnProbe,
    "stream_executor": StreamExecutorProbe,
    "graph": GraphProbe,
    "grappler": GrapplerProbe,
    "nvtx": NvtxProbe,
    "dispatch": DispatchProbe,
    "tf_profiler": TfProfilerProbe,
    "federated": FederatedProbe,
}
