"""What the console's files say: that they are small and safe, and the same in both languages."""

from __future__ import annotations

import re

from service.http.console.pages import static_files

FILES = static_files()
SCRIPTS = {name: file.body.decode() for name, file in FILES.items() if name.endswith(".js")}
WORDS = {name: SCRIPTS[name] for name in ("words/en.js", "words/zh.js")}
PLACES = re.compile(r"\{(\w+)\}")


def texts(words: str) -> dict[str, str]:
    """Key: the text behind it, or its texts where they differ by number."""
    return dict(re.findall(r'^  "([^"]+)": (.+),$', words, re.MULTILINE))


def test_it_is_small() -> None:
    """Also for a phone that is far from its mast."""
    assert sum(len(file.body) for file in FILES.values()) < 200_000


def test_the_page_has_no_scripts_and_styles_of_its_own() -> None:
    """The policy would not let them run."""
    page = FILES["index.html"].body.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert re.findall(r"<script[^>]*>(.*?)</script>", page) == [""]


def test_nothing_makes_html_or_code_of_texts() -> None:
    """Nor comes anything from elsewhere, nor is the key kept where it outlives the tab."""
    for name, script in SCRIPTS.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script), (
            name
        )
        assert not re.search(r"https?://", script), name
        if name != "session.js":
            assert "Storage" not in script, name
    assert re.findall(r'localStorage, "(\w+)"', SCRIPTS["session.js"]) == ["language", "language", "colours", "colours"]


def test_both_languages_have_the_same_texts() -> None:
    """With the same places for values in them."""
    english, chinese = (texts(words) for words in WORDS.values())
    assert list(english) == list(chinese)
    for key, text in english.items():
        assert set(PLACES.findall(text)) == set(PLACES.findall(chinese[key])), key
        assert chinese[key] not in {'""', text} or key == "title", key


def test_every_text_that_is_shown_is_there_and_none_that_is_not() -> None:
    """Those that a code or a name picks are known by their beginnings."""
    known = set(texts(WORDS["words/en.js"]))
    picked = ("code.", "warning.", "stage.", "nav.", "recognise.poor", "recognise.unknown")
    used = {key for name, script in SCRIPTS.items() if name not in WORDS for key in known if f'"{key}"' in script}
    assert {key for key in known - used if not key.startswith(picked)} == set()
    for name, script in SCRIPTS.items():
        assert set(re.findall(r'\bt\("([\w.]+)"', script)) <= known, name
