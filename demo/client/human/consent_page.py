"""The consent page as a program reads it: its forms, and what its marked-up places show."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from deputize.http.sanitizing import safe_text


@dataclass(frozen=True)
class ConsentPage:
    """What the consent page showed, read from its marked-up places (`data-show`)."""

    client_name: str
    user_code: str
    """Empty in the browser flow, where there is no code to compare."""
    account: str
    scopes: tuple[str, ...]
    limit: str | None
    """The amount in the field for the spending limit, e.g. "60.00 USD"; None where the page has none."""
    purchase: PurchaseShown | None = None
    """The one purchase that it asks to approve; None where it asks for a grant."""


@dataclass(frozen=True)
class PurchaseShown:
    """What a page says of one purchase, in its own words."""

    price: str
    item: str
    size: str
    company: str
    address: str
    agent: str


@dataclass
class Form:
    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Page(HTMLParser):
    """The forms of a page, and its marked-up places."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.shown: list[tuple[str, str]] = []
        self.heading = ""
        self._form: Form | None = None
        self._owned: dict[str, Form] = {}
        self._orphans: list[tuple[str, str, str]] = []
        self._open: list[tuple[str, list[str]]] = []
        self.feed(html)
        for owner, name, value in self._orphans:  # buttons that name their form from outside it
            if owner in self._owned:
                self._owned[owner].buttons.append((name, value))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
            if "id" in given:
                self._owned[given["id"]] = self._form
        elif tag == "input" and self._form is not None and "name" in given and "disabled" not in given:
            kind = given.get("type", "text").lower()
            if kind not in ("submit", "button", "image", "reset", "file") and (
                kind not in ("checkbox", "radio") or "checked" in given
            ):
                self._form.fields.append((given["name"], given.get("value", "")))
        elif tag == "button" and given.get("type", "submit") == "submit" and "disabled" not in given:
            if "form" in given:
                self._orphans.append((given["form"], given.get("name", ""), given.get("value", "")))
            elif self._form is not None:
                self._form.buttons.append((given.get("name", ""), given.get("value", "")))
        if "data-show" in given:
            if "data-scope" in given:
                self.shown.append((given["data-show"], safe_text(given["data-scope"], one_line=True)))
            elif tag == "input":  # it has no words between tags: what stands in it is what it shows
                filled_in = f"{given.get('value', '')} {given.get('data-unit', '')}"
                self.shown.append((given["data-show"], safe_text(filled_in.strip(), one_line=True)))
            else:
                self._open.append((tag, []))
                self.shown.append((given["data-show"], ""))
        elif tag == "h1":
            self._open.append((tag, []))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if self._open and self._open[-1][0] == tag:
            _, words = self._open.pop()
            text = safe_text(" ".join("".join(words).split()), one_line=True)
            if tag == "h1":
                self.heading = text
            else:
                at = max(i for i, (_, value) in enumerate(self.shown) if value == "")
                self.shown[at] = (self.shown[at][0], text)
            if self._open:  # the words of a marked place are words of what is around it, too
                self._open[-1][1].extend(words)

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1][1].append(data)

    def button(self, name: str, value: str | None = None) -> tuple[Form, tuple[str, str]] | None:
        """A form with a button of this name (and value), and that button."""
        for form in self.forms:
            for button in form.buttons:
                if button[0] == name and value in (None, button[1]):
                    return form, button
        return None

    def all(self, name: str) -> tuple[str, ...]:
        """What is marked as `name`."""
        return tuple(value for shown, value in self.shown if shown == name)

    def one(self, name: str) -> str:
        """The first of them, or the empty string."""
        return next(iter(self.all(name)), "")
