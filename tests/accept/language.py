"""Show what the description language promises: a line of evidence for each claim.

    python tests/accept/language.py [--list] [ROW]...

Row 1 puts descriptions to KIWI as well: $KIWI_PYTHON names a Python that has it, which
`make accept-language` sees to. Exit status 1 unless every row that was asked for is shown.
"""

from __future__ import annotations

import sys

from evidence import Row, show


def unit(file: str, name: str) -> str:
    """A pattern for tests of the language, by the start of their names."""
    return rf"^tests/unit/description/test_{file}\.py::test_{name}"


ROWS = (
    Row(
        1,
        "kiwilite and KIWI agree about what is valid, and each mistake is found where it stands",
        {
            "every name and listed value": unit("description_agreement", "specimens_have_all"),
            "valid ones are accepted": unit("description_agreement", "valid_descriptions_over"),
            "each kind of mistake": unit("description_agreement", "each_mistake_is_one"),
            "rules beyond the grammar": unit("description_rules", "what_violates_a_rule"),
            "all of KIWI's rules": unit("description_rules", "all_rules_of_kiwi"),
            "older versions": unit("description_upgrade", "each_step_is_taken"),
            "jing, xmllint and nXML agree": unit("editors_agree", "every_verdict_is_the_same"),
            "bring your own": unit("bring_your_own", ""),
        },
        benchmark="agreement_with_kiwi.py",
    ),
    Row(2, "the intended name is the first suggestion", benchmark="suggestions.py"),
    Row(3, "answers come at once", benchmark="check_speed.py"),
    Row(
        4,
        "everything in the grammar is documented",
        {
            "elements, attributes, types": unit("description_vocabulary", "every_element_attri"),
            "manual page": r"^tests/unit/cli/test_manuals\.py::test_the_page_of_the_language",
        },
    ),
)


if __name__ == "__main__":
    sys.exit(show("Show the claims about the description language.", ROWS))
