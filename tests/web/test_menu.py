"""The menus are the site map: each entry leads to a page of the application and shows an icon that exists."""

import re
from pathlib import Path

from flask import Flask

from portal.navigation import OPERATOR_MENU, TENANT_MENU

ENTRIES = [entry for section in (*TENANT_MENU, *OPERATOR_MENU) for entry in section.entries]
ICONS = Path(__file__).resolve().parents[2] / "static" / "icons.svg"


def test_every_menu_entry_leads_to_a_page(app: Flask) -> None:
    assert ENTRIES
    assert [entry.endpoint for entry in ENTRIES if entry.endpoint not in app.view_functions] == []


def test_every_icon_named_in_a_template_or_menu_exists() -> None:
    known = set(re.findall(r'<symbol id="([^"]+)"', ICONS.read_text(encoding="utf-8")))
    templates = "".join(file.read_text(encoding="utf-8") for file in (ICONS.parents[1] / "templates").rglob("*.html"))
    named = set(re.findall(r'icon\("([a-z0-9-]+)"', templates)) | set(
        re.findall(r'icon_name="([a-z0-9-]+)"', templates)
    )
    named |= {entry.icon for entry in ENTRIES}
    assert named
    assert named <= known
