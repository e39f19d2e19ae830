"""The timeline: one offline HTML page of a trace's events, with the chain of any call a click away."""

from tftrace.views.timeline.page import TimelineInfo, write_timeline

EXTENSION = ".html"

__all__ = ["EXTENSION", "TimelineInfo", "write_timeline"]
