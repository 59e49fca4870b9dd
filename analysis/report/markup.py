"""Pieces of HTML, which notebooks show and the report is made of."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from importlib.resources import files


@dataclass(frozen=True)
class Html:
    """A piece of HTML; a notebook shows it where it is the last thing of a cell."""

    text: str

    def _repr_html_(self) -> str:
        return self.text


def sentence(text: str) -> Html:
    """A sentence instead of what cannot be shown."""
    return Html(f'<p class="note">{escape(text)}</p>')


def joined(*pieces: Html) -> Html:
    """Pieces, one below the other."""
    return Html("\n".join(piece.text for piece in pieces))


def data_uri(content: bytes, kind: str) -> str:
    """A file as an address that holds it, for a page that loads nothing; `kind` as in image/png."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def packaged(name: str) -> str:
    """The text of a file beside this module."""
    return files("analysis.report").joinpath(name).read_text(encoding="utf-8")
