"""What KIWI says of descriptions: to be run by a Python that has KIWI installed.

Reads paths from standard input, one a line, and answers each with a line of JSON:
{"valid": true|false, "why": "…"}. It does what `kiwi.xml_description.XMLDescription.load`
does, with the schema compiled once.
"""

from __future__ import annotations

import json
import logging
import sys

from kiwi import xml_parse
from kiwi.defaults import Defaults
from kiwi.exceptions import KiwiError
from kiwi.markup import Markup
from lxml import etree, isoschematron


def main() -> None:
    logging.getLogger("kiwi").setLevel(logging.CRITICAL)
    schema = etree.parse(Defaults.get_schema_file())
    grammar = etree.RelaxNG(schema)
    rules = isoschematron.Schematron(schema, store_report=True)
    for line in sys.stdin:
        why = complaint(line.strip(), grammar, rules)
        print(json.dumps({"valid": not why, "why": why}), flush=True)


def complaint(path: str, grammar: etree.RelaxNG, rules: isoschematron.Schematron) -> str:
    """Why KIWI refuses the file; empty where it takes it."""
    try:
        markup = Markup.new(path)  # its temporary file lives as long as it does
        made = markup.get_xml_description()
        tree = etree.parse(made)
        if not grammar.validate(tree):
            return "grammar: " + "; ".join(e.message for e in grammar.error_log)[:400]
        if not rules.validate(tree):
            report = rules.validation_report
            spaces = {"svrl": "http://purl.oclc.org/dsdl/svrl"}
            texts = report.xpath("//svrl:failed-assert/svrl:text", namespaces=spaces)
            return "rule: " + "; ".join(" ".join((t.text or "").split()) for t in texts)[:400]
        xml_parse.parse(made, True)
    except KiwiError as error:
        return f"{type(error).__name__}: {error}"[:400]
    except Exception as error:  # whatever KIWI does not catch ends it too
        return f"uncaught {type(error).__name__}: {error}"[:400]
    return ""


if __name__ == "__main__":
    main()
