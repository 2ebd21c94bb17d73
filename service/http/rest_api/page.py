"""The API's document as a page for people, without scripts, from nothing but the document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from service.http.rest_api.problems import HTTP_CODES

_METHODS = ("get", "post", "put", "patch", "delete")


def page(document: dict[str, Any]) -> str:
    """HTML of the whole document."""
    told = document["info"]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escape(told['title'])}</title>",
            '<link rel="stylesheet" href="/docs/style.css"></head><body>',
            f"<h1>{escape(told['title'])} {escape(told['version'])}</h1>",
            f"<p>{_text(told['description'])} For programs: <a href='/openapi.json'>openapi.json</a>.</p>",
            *_contents(document),
            *(line for each in _operations(document) for line in _operation(*each)),
            *_shapes(document["components"]["schemas"]),
            *_codes(document),
            "</body></html>",
        ]
    )


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                yield method.upper(), path, operation


def _contents(document: dict[str, Any]) -> Iterator[str]:
    yield "<h2>Operations</h2><ul>"
    for method, path, operation in _operations(document):
        name = operation["operationId"]
        yield f"<li><a href='#{name}'><code>{method} {escape(path)}</code></a> {_text(operation['summary'])}</li>"
    yield "</ul>"


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<h3 id='{operation['operationId']}'><code>{method} {escape(path)}</code></h3>"
    yield f"<p>{_text(operation['summary'])} {_text(operation.get('description', ''))}</p>"
    yield f"<p>{_text(_who_may(operation))}</p>"
    if operation["parameters"]:
        yield "<table><tr><th>Parameter</th><th>In</th><th>Is</th><th>What it means</th></tr>"
        for each in operation["parameters"]:
            name = f"<code>{each['name']}</code>{' (required)' if each['required'] else ''}"
            shape = f"<code>{escape(json.dumps(each['schema'], ensure_ascii=False))}</code>"
            yield f"<tr><td>{name}</td><td>{each['in']}</td><td>{shape}</td>"
            yield f"<td>{_text(each.get('description', ''))}</td></tr>"
        yield "</table>"
    if "requestBody" in operation:
        types = ", ".join(_body(*each) for each in operation["requestBody"]["content"].items())
        yield f"<p>Body: {types}.</p>"
    yield "<ul>"
    for status, response in operation["responses"].items():
        yield f"<li><strong>{status}</strong> {_text(response['description'])}{_example(status, response)}</li>"
    yield "</ul>"


def _body(media_type: str, content: dict[str, Any]) -> str:
    """The type of a body, with a link to its shape where that has a name."""
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    shape = f" (<a href='#{name}'>{name}</a>)" if name else ""
    return f"<code>{escape(media_type)}</code>{shape}"


def _who_may(operation: dict[str, Any]) -> str:
    schemes = {scheme: words for each in operation["security"] for scheme, words in each.items()}
    [needed] = {word for words in schemes.values() for word in words}
    return f"Where the service asks who is there: a key{' or a device' * (len(schemes) > 1)} that may `{needed}`."


def _example(status: str, response: dict[str, Any]) -> str:
    """Of a success; the failures all look alike."""
    content = response.get("content", {}).get("application/json")
    if content is None or not status.startswith("2"):
        return ""
    name = content["schema"]["$ref"].rpartition("/")[2]
    shown = escape(json.dumps(content["example"], indent=2, ensure_ascii=False))
    return f" <a href='#{name}'>{name}</a><details><summary>Example</summary><pre>{shown}</pre></details>"


def _shapes(schemas: dict[str, Any]) -> Iterator[str]:
    yield "<h2>Shapes</h2>"
    for name, schema in schemas.items():
        yield f"<h3 id='{name}'>{name}</h3><p>{_text(schema.get('description', ''))}</p>"
        yield f"<details><summary>Schema</summary><pre>{escape(json.dumps(schema, indent=2))}</pre></details>"


def _codes(document: dict[str, Any]) -> Iterator[str]:
    """Where a problem's `type` leads to."""
    told: dict[str, set[str]] = {code: {str(status)} for status, code in HTTP_CODES.items()} | {"unforeseen": {"500"}}
    for _, _, operation in _operations(document):
        for status, response in operation["responses"].items():
            if "`code`: " in response["description"]:
                codes = response["description"].partition("`code`: ")[2].rstrip(".")
                for code in codes.split(", "):
                    told.setdefault(code, set()).add(status)
    yield "<h2>Codes</h2><table><tr><th>code</th><th>Status</th></tr>"
    for code, statuses in sorted(told.items()):
        yield f"<tr id='{code}'><td><code>{code}</code></td><td>{', '.join(sorted(statuses))}</td></tr>"
    yield "</table>"


def _text(markdown: str) -> str:
    """Text in which `code` is marked as such."""
    parts = escape(markdown).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
