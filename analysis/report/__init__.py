"""The run as people read it: what notebooks show, the frame viewer, and the report made from them."""

from analysis.report.run_view import RunView

__all__ = ["RunView"]
