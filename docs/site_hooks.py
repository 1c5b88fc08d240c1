"""For mkdocs: files outside of docs/ that a page links to become part of the site, below ``checkout/``."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

UPWARDS = re.compile(r"\]\((\.\./[^)#]+)")


def outside(link: str, page: str) -> str | None:
    """The place in the checkout that a link of a page below docs/ leads to, unless that is below docs/ as well."""
    place = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return None if place.startswith("docs/") else place


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files."""
    linked = {outside(link, page.src_uri) for page in files.documentation_pages()
              for link in UPWARDS.findall(page.content_string)}
    for place in sorted(linked - {None}):
        path = Path(config.docs_dir).parent / place
        if path.is_file():
            files.append(File.generated(config, f"checkout/{place}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the links there."""
    name = page.file.src_uri

    def moved(match: re.Match[str]) -> str:
        place = outside(match[1], name)
        return f"]({posixpath.relpath(f'checkout/{place}', posixpath.dirname(name) or '.')}" if place else match[0]

    return UPWARDS.sub(moved, markdown)
