"""The grammar says what KIWI's says, and marks what is kiwilite's own."""

from __future__ import annotations

import pytest
from kiwi_facts import facts_of, kiwi_elements
from lxml import etree

from kiwilite.description.schema import grammar
from kiwilite.description.vocabulary import vocabulary

KIWI = kiwi_elements()
FORMS = vocabulary().elements

RELAX_NG = "{http://relaxng.org/ns/structure/1.0}"
DOCUMENTATION = "{http://relaxng.org/ns/compatibility/annotations/1.0}documentation"

LOOSER = {
    # a squashfs partition may be as large as its content; a rule asks for it everywhere else
    ("partition", "size"): "? token (\\d+|\\d+M|\\d+G)",
    # a keyslot is enough as well; a rule asks for one of the two
    ("luksformat", "option"): "*",
}
"""What the grammar leaves to a rule beyond it, because of an addition of kiwilite's own."""


def elements_of(*, own: bool) -> set[str]:
    return {form.name for form in FORMS.values() if form.own is own}


def test_all_elements_of_kiwi_are_there_and_all_others_are_marked_as_our_own() -> None:
    assert elements_of(own=False) == set(KIWI)
    assert elements_of(own=True).isdisjoint(KIWI)


def test_an_element_has_one_form_wherever_it_stands() -> None:
    assert len({form.name for form in FORMS.values()}) == len(FORMS)


@pytest.mark.parametrize("name", sorted(KIWI))
def test_an_element_has_kiwis_attributes_children_and_text(name: str) -> None:
    kiwi, ours = KIWI[name], facts_of(FORMS[name])
    if name == "image":  # a rule looks after the attributes of XML Schema itself
        kiwi.attributes = {n: v for n, v in kiwi.attributes.items() if ":" not in n}
        kiwi.alternatives.clear()
    if name == "extension":
        assert kiwi.children == {"(any)": "+"} and FORMS[name].foreign
        kiwi.children = {}
    for (element, what), looser in LOOSER.items():
        if element == name:
            (kiwi.attributes if what in kiwi.attributes else kiwi.children)[what] = looser
    own = elements_of(own=True)
    ours.children = {child: n for child, n in ours.children.items() if child not in own}
    assert ours == kiwi


def test_all_that_is_in_an_element_of_our_own_is_our_own() -> None:
    for form in (form for form in FORMS.values() if form.own):
        assert all(attribute.own for attribute in form.attributes.values()), form.name
        assert all(FORMS[child.definition].own for child in form.children.values()), form.name


def test_the_mark_and_the_comment_of_our_own_go_together() -> None:
    for form in FORMS.values():
        assert form.own == form.doc.startswith("kiwilite's own"), form.name
        for attribute in form.attributes.values():
            assert attribute.own == attribute.doc.startswith("kiwilite's own"), attribute.name


def test_every_element_attribute_and_value_type_has_a_comment() -> None:
    parts = [
        part
        for part in grammar().iter(f"{RELAX_NG}define", f"{RELAX_NG}attribute")
        if part.get("name") not in (None, "foreign")
    ]
    names = [part.get("name") for part in parts if not (part.findtext(DOCUMENTATION) or "").strip()]
    assert names == []
    assert len(parts) > 430


def test_comments_are_sentences_and_those_of_value_types_complete_one() -> None:
    for part in grammar().iter(f"{RELAX_NG}define", f"{RELAX_NG}attribute"):
        doc = part.findtext(DOCUMENTATION)
        if doc is None:
            continue
        is_type = part.tag == f"{RELAX_NG}define" and part.find(f"{RELAX_NG}element") is None
        assert doc.endswith(".") is not is_type, doc


def test_every_pattern_has_a_name_and_so_words_for_messages() -> None:
    for data in grammar().iter(f"{RELAX_NG}param"):
        if data.get("name") == "pattern":
            type_ = next(data.iterancestors(f"{RELAX_NG}define"))
            assert type_.find(f"{RELAX_NG}element") is None, data.text


def test_image_types_that_attributes_belong_to_exist() -> None:
    legal = set(FORMS["type"].attributes["image"].value.literals)
    for form in FORMS.values():
        for attribute in form.attributes.values():
            assert legal.issuperset(attribute.images), attribute.name


def test_annotations_of_the_grammar_are_those_that_are_read() -> None:
    known = {"{urn:kiwilite:grammar}images", "{urn:kiwilite:grammar}own"}
    found = {
        str(name)
        for part in grammar().iter(etree.Element)
        for name in part.attrib
        if str(name).startswith("{")
    }
    assert found == known
