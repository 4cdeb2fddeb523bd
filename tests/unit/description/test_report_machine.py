"""Diagnostics for programs: JSON, SARIF and the lines of gcc."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kiwilite.description.codes import TITLES
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.model import Span
from kiwilite.description.report.as_json import as_json
from kiwilite.description.report.gcc import gcc
from kiwilite.description.report.sarif import sarif

FOUND = [
    Diagnostic(Span(Path("a b/ü.kiwi"), 3, 7), "error", "KL0102", "no `x`", "did you mean `y`?"),
    Diagnostic(Span(Path("/srv/x.kiwi"), 1, 1), "warning", "KL0902", "two\nlines"),
    Diagnostic(Span(Path("a b/ü.kiwi"), 9, 2), "note", "KL0102", "no `z`"),
]


def test_json_has_exactly_these_fields() -> None:
    assert json.loads(as_json(FOUND[:2])) == {
        "diagnostics": [
            {
                "file": "a b/ü.kiwi",
                "line": 3,
                "column": 7,
                "severity": "error",
                "code": "KL0102",
                "message": "no `x`",
                "hint": "did you mean `y`?",
            },
            {
                "file": "/srv/x.kiwi",
                "line": 1,
                "column": 1,
                "severity": "warning",
                "code": "KL0902",
                "message": "two\nlines",
                "hint": None,
            },
        ]
    }
    assert json.loads(as_json([])) == {"diagnostics": []}


def test_gcc_has_a_line_for_each() -> None:
    assert gcc(FOUND).splitlines() == [
        "a b/ü.kiwi:3:7: error: no `x` [KL0102]",
        "/srv/x.kiwi:1:1: warning: two␊lines [KL0902]",
        "a b/ü.kiwi:9:2: note: no `z` [KL0102]",
    ]


def log(found: list[Diagnostic]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(sarif(found))
    return parsed


def test_sarif_says_of_each_what_the_others_say() -> None:
    (run,) = log(FOUND)["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    rows = [
        (
            result["ruleId"],
            result["level"],
            result["message"]["text"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
            result["locations"][0]["physicalLocation"]["region"]["startColumn"],
        )
        for result in run["results"]
    ]
    assert rows == [
        ("KL0102", "error", "no `x`; did you mean `y`?", 3, 7),
        ("KL0902", "warning", "two\nlines", 1, 1),
        ("KL0102", "note", "no `z`", 9, 2),
    ]


def test_sarif_names_files_by_address() -> None:
    (run,) = log(FOUND)["runs"]
    places = [r["locations"][0]["physicalLocation"]["artifactLocation"] for r in run["results"]]
    assert [p["uri"] for p in places[:2]] == ["a%20b/%C3%BC.kiwi", "file:///srv/x.kiwi"]


REQUIRED: dict[str, dict[str, type]] = {
    "log": {"version": str, "runs": list},
    "run": {"tool": dict, "results": list},
    "driver": {"name": str, "rules": list},
    "rule": {"id": str, "shortDescription": dict, "fullDescription": dict, "help": dict},
    "result": {"ruleId": str, "ruleIndex": int, "level": str, "message": dict, "locations": list},
}
ALLOWED = {
    "log": {"$schema", "version", "runs"},
    "run": {"tool", "columnKind", "results"},
    "driver": {"name", "version", "rules"},
    "rule": {"id", "shortDescription", "fullDescription", "help"},
    "result": {"ruleId", "ruleIndex", "level", "message", "locations"},
    "message": {"text", "markdown"},
    "physicalLocation": {"artifactLocation", "region"},
    "region": {"startLine", "startColumn"},
}
"""Names that SARIF 2.1.0 has for each object, as far as they are used; it allows no others
but in a `properties` bag.
"""


def holds(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """`value`, which has the names and types of `kind`."""
    assert set(value) <= ALLOWED[kind], (kind, value)
    for name, expected in REQUIRED.get(kind, {}).items():
        assert isinstance(value.get(name), expected), (kind, name, value)
    return value


def messages(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule["shortDescription"], rule["fullDescription"], rule["help"]]


@pytest.mark.parametrize("found", [[], FOUND])
def test_sarif_has_the_published_structure(found: list[Diagnostic]) -> None:
    whole = holds("log", log(found))
    assert whole["version"] == "2.1.0" and len(whole["runs"]) == 1
    run = holds("run", whole["runs"][0])
    assert set(run["tool"]) == {"driver"}
    rules = holds("driver", run["tool"]["driver"])["rules"]
    for rule in rules:
        holds("rule", rule)
        assert all(holds("message", m)["text"].strip() for m in messages(rule))
    for result in run["results"]:
        holds("result", result)
        assert holds("message", result["message"])["text"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        (place,) = result["locations"]
        assert set(place) == {"physicalLocation"}
        physical = holds("physicalLocation", place["physicalLocation"])
        assert min(holds("region", physical["region"]).values()) >= 1
        assert re.fullmatch(r"[\x21-\x7e]+", physical["artifactLocation"]["uri"])


def test_the_rules_are_those_that_were_broken_once_each() -> None:
    (run,) = log(FOUND)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["KL0102", "KL0902"]
    assert rules[0]["shortDescription"]["text"] == TITLES["KL0102"]
    assert "## Wrong" in rules[0]["help"]["markdown"]
