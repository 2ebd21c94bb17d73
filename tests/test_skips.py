"""What tests/support/skips.py makes of a skipped test, on CI and elsewhere."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SKIPPED = """
    import pytest

    def test_one():
        pytest.skip({reason!r})

    @pytest.mark.skipif(True, reason={reason!r})
    def test_another():
        pass

    @pytest.fixture
    def tool():
        pytest.skip({reason!r})

    def test_a_third(tool):
        pass
"""
MODULE_SKIPPED = "import pytest; pytest.skip({reason!r}, allow_module_level=True)"


def outcomes(pytester: pytest.Pytester, source: str, ci: str, *arguments: str) -> dict[str, int]:
    """How many tests of a module passed, were skipped or failed in a pytest that has the plugin."""
    pytester.makepyfile(source)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("CI", ci)
        options = ("-p", "tests.support.skips", "-p", "no:asyncio", "-p", "no:aiohttp", *arguments)
        return pytester.runpytest_inprocess(*options).parseoutcomes()


@pytest.mark.parametrize("ci", ["1", "true"])
def test_a_missing_tool_fails_on_ci(pytester: pytest.Pytester, ci: str) -> None:
    """Whether a test, a mark or a fixture says so."""
    found = outcomes(pytester, SKIPPED.format(reason="needs redis-server, Debian's package of that name"), ci)
    assert found.get("skipped", 0) == 0
    assert found.get("failed", 0) + found.get("errors", 0) == 3


@pytest.mark.slow
def test_a_module_that_skips_all_fails_on_ci(pytester: pytest.Pytester) -> None:
    assert outcomes(pytester, MODULE_SKIPPED.format(reason="needs curl"), "1") == {"errors": 1}


@pytest.mark.parametrize("source", [SKIPPED, MODULE_SKIPPED])
def test_what_ci_need_not_have_is_skipped(pytester: pytest.Pytester, source: str) -> None:
    """../shared, for one: too large to be part of the project."""
    found = outcomes(pytester, source.format(reason="needs the folder ../shared (LFW photos)"), "1")
    assert set(found) == {"skipped"}


@pytest.mark.parametrize("ci", ["", "0", "false"])
def test_elsewhere_every_skip_is_one(pytester: pytest.Pytester, ci: str) -> None:
    """A person without Redis runs the rest."""
    assert outcomes(pytester, SKIPPED.format(reason="needs redis-server"), ci) == {"skipped": 3}


def test_a_failure_that_is_expected_stays_one(pytester: pytest.Pytester) -> None:
    """Pytest reports it as skipped, too."""
    source = "import pytest\n@pytest.mark.xfail\ndef test_one(): assert False"
    assert outcomes(pytester, source, "1") == {"xfailed": 1}


def test_no_comparison_with_torch_where_it_is_missing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On CI, too: the suite runs once on a Python without torch."""
    monkeypatch.setattr("tests.support.skips.find_spec", lambda name: None)
    pytester.makeini("[pytest]\nmarkers = torch")
    source = "import pytest\n@pytest.mark.torch\ndef test_one(): pass\ndef test_another(): pass"
    assert outcomes(pytester, source, "1", "-rs") == {"skipped": 1, "passed": 1}
