"""The page of `tftrace wrappers`."""

from tftrace.views.wrappers.page import write_wrappers

__all__ = ["write_wrappers"]
