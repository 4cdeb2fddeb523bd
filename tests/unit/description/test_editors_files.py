"""The files for editors do in the editors what docs/editors.md says, as they are installed."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kiwilite.description.skeleton import skeleton
from kiwilite.description.vocabulary import vocabulary

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
RNG = "urn:kiwilite:schema:kiwilite.rng"
PREFIX = "/usr/local/share"
"""Where the files say that kiwilite is installed."""


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `share` of an installation, with the files that setup.py puts there."""
    prefix = tmp_path_factory.mktemp("installed")
    wanted: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr("setuptools.setup", lambda **given: wanted.update(given))
        runpy.run_path("setup.py")
    rows = wanted["data_files"]
    assert isinstance(rows, list)
    for place, files in rows:
        (prefix / place).mkdir(parents=True)
        for file in files:
            shutil.copy(ROOT / file, prefix / place)
    return prefix / "share"


@pytest.fixture
def kiosk(tmp_path: Path) -> Path:
    """A description just begun; its path has a space in it."""
    folder = tmp_path / "my kiosk"
    for file in skeleton("kiosk"):
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
        path.chmod(0o755 if file.executable else 0o644)
    return folder / "appliance.kiwi"


def run(*command: str | Path, **variables: str | Path) -> str:
    """Standard output of a command, which finds this kiwilite first."""
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": search, **{k: str(v) for k, v in variables.items()}}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def spoil(description: Path) -> list[tuple[int, int]]:
    """Make three mistakes, one behind a tab and letters of two bytes; their places."""
    text = description.read_text()
    text = text.replace("overlayroot=", "overlayrot=")
    text = text.replace('            <bootloader name="s', '\t<!-- für --> <bootloader nane="s')
    description.write_text(text.replace('profiles="debug"', 'profiles="debog"'))
    return [place(description, w) for w in ("overlayrot=", "nane=", 'profiles="debog"')]


def place(file: Path, word: str) -> tuple[int, int]:
    """Line and column, in characters, where `word` stands."""
    head = file.read_text().split(word)[0]
    return head.count("\n") + 1, len(head) - head.rfind("\n")


## The catalog


def test_the_catalog_leads_from_the_urn_to_the_installed_schema(share: Path, kiosk: Path) -> None:
    catalog = share / "xml/kiwilite/catalog.xml"
    for option, schema in (("--relaxng", RNG), ("--schema", RNG.replace("rng", "xsd"))):
        run("xmllint", "--noout", "--nonet", option, schema, kiosk, XML_CATALOG_FILES=catalog)


def test_without_the_catalog_there_is_no_schema_and_nothing_is_fetched(kiosk: Path) -> None:
    command = ["xmllint", "--noout", "--nonet", "--relaxng", RNG, str(kiosk)]
    environment = {**os.environ, "XML_CATALOG_FILES": ""}
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def test_a_system_s_catalog_takes_ours_in(share: Path, kiosk: Path, tmp_path: Path) -> None:
    system = tmp_path / "catalog"
    ours = (share / "xml/kiwilite/catalog.xml").as_uri()
    run("xmlcatalog", "--noout", "--create", system)
    run("xmlcatalog", "--noout", "--add", "nextCatalog", "", ours, system)
    run("xmllint", "--noout", "--nonet", "--relaxng", RNG, kiosk, XML_CATALOG_FILES=system)


@pytest.mark.parametrize("lookup", [("-u", "uri"), ("-s", "system")])
@pytest.mark.parametrize("name", ["kiwilite.rng", "kiwilite.rnc", "kiwilite.xsd"])
def test_the_resolver_of_vs_code_and_intellij_finds_it_with_our_settings(
    share: Path, tmp_path: Path, lookup: tuple[str, str], name: str
) -> None:
    """Both use Apache's; IntelliJ gives it this file of properties."""
    settings = (share / "kiwilite/editors/intellij/CatalogManager.properties").read_text()
    assert PREFIX in settings
    (tmp_path / "CatalogManager.properties").write_text(settings.replace(PREFIX, str(share)))
    classes = f"{tmp_path}:/usr/share/java/xml-resolver.jar"
    option, kind = lookup
    urn = f"urn:kiwilite:schema:{name}"
    program = "org.apache.xml.resolver.apps.resolver"
    said = run("java", "-cp", classes, program, option, urn, kind)
    found = re.search(r"^Result: file:/*(/.*)$", said, re.MULTILINE)
    assert found, said
    assert Path(found[1]).read_bytes() == (ROOT / "schema" / name).read_bytes()


def test_the_checkout_s_own_catalog_works_as_well(kiosk: Path) -> None:
    catalog = ROOT / "schema/catalog.xml"
    run("xmllint", "--noout", "--nonet", "--relaxng", RNG, kiosk, XML_CATALOG_FILES=catalog)


## Emacs


def emacs(share: Path, *arguments: str | Path) -> str:
    ours = share / "kiwilite/editors/emacs/kiwilite.el"
    return run("emacs", "-Q", "--batch", "-l", ours, "-l", HERE / "editor_drivers.el", *arguments)


def lisp(text: str | Path) -> str:
    return json.dumps(str(text), ensure_ascii=False)


@pytest.mark.parametrize("name", ["appliance.kiwi", "config.xml"])
def test_nxml_chooses_our_schema_by_name_or_by_the_first_element(
    share: Path, kiosk: Path, name: str
) -> None:
    file = kiosk.rename(kiosk.with_name(name))
    said = emacs(share, file, "--eval", "(princ rng-current-schema-file-name)")
    assert Path(said).samefile(share / "kiwilite/schema/kiwilite.rnc")


@pytest.mark.parametrize(
    ("right", "written", "offered"),
    [
        ("<timezone>", "<timez", ["timezone"]),
        ('format="qcow2"', "squashfsc", ["squashfscompression", "squashfscompression_level"]),
        ('format="qcow2"', 'format="q', ["qcow2"]),
    ],
)
def test_nxml_completes_elements_attributes_and_values(
    share: Path, kiosk: Path, right: str, written: str, offered: list[str]
) -> None:
    kiosk.write_text(kiosk.read_text().split(right)[0] + written)
    said = emacs(share, "--eval", f"(driver-complete {lisp(kiosk)} {lisp(written)})")
    assert sorted(said.split()) == offered


def test_compile_in_emacs_goes_to_every_mistake(share: Path, kiosk: Path) -> None:
    wanted = spoil(kiosk)
    said = emacs(share, "--eval", f"(driver-compile {lisp(kiosk)})")
    assert said.splitlines() == [f"appliance.kiwi:{row}:{column}:2" for row, column in wanted]


def test_emacs_compiles_our_file_without_a_warning(share: Path, tmp_path: Path) -> None:
    shutil.copytree(share / "kiwilite/editors/emacs", tmp_path / "emacs")
    file = tmp_path / "emacs/kiwilite.el"
    strict = "(setq byte-compile-error-on-warn t)"
    run("emacs", "-Q", "--batch", "--eval", strict, "-f", "batch-byte-compile", file)


## Vim


def vim(share: Path, file: Path, *commands: str) -> list[str]:
    """Lines that `commands` add to the list `g:said` after `file` was opened."""
    script, said = file.with_name("script.vim"), file.with_name("said")
    lines = [
        "set nocompatible",
        f"set runtimepath^={share}/kiwilite/editors/vim",
        "filetype plugin on",
        "let g:said = []",
        f"execute 'edit' fnameescape({lisp(file)})",
        *commands,
        f"call writefile(g:said, {lisp(said)})",
        "qall!",
    ]
    script.write_text("\n".join(lines) + "\n")
    run("vim", "-u", "NONE", "-i", "NONE", "-N", "-n", "-es", "-S", script)
    return said.read_text().splitlines()


def test_vim_takes_a_description_for_xml(share: Path, kiosk: Path) -> None:
    assert vim(share, kiosk, "call add(g:said, &filetype)") == ["xml"]


def test_make_in_vim_goes_to_every_mistake(share: Path, kiosk: Path) -> None:
    spoilt = spoil(kiosk)
    rows = "getqflist()->filter('v:val.valid')"
    said = vim(
        share,
        kiosk,
        "silent make!",
        f"for e in {rows}",
        "  call add(g:said, bufname(e.bufnr) .. ':' .. e.lnum .. ':' .. e.type .. ':' .. e.text)",
        "endfor",
    )
    assert [row.rsplit("/", 1)[-1].split(":")[:3] for row in said] == [
        ["appliance.kiwi", str(line), "e"] for line, _ in spoilt
    ]
    assert "overlayrot" in said[0]


def test_vim_puts_the_cursor_at_the_column(share: Path, kiosk: Path) -> None:
    (line, column), *_ = spoil(kiosk)
    said = vim(share, kiosk, "silent make!", "cfirst", "call add(g:said, string(getpos('.')))")
    assert said == [f"[0, {line}, {column}, 0]"]


def test_warnings_and_notes_have_their_type_in_vim(share: Path, kiosk: Path) -> None:
    lines = ["a.kiwi:3:1: warning: w [KL0902]", "a.kiwi:4:2: note: n [KL0902]"]
    said = vim(
        share,
        kiosk,
        f"call setqflist([], ' ', {{'lines': {json.dumps(lines)}, 'efm': &errorformat}})",
        "call extend(g:said, getqflist()->map('v:val.type .. v:val.lnum .. v:val.text'))",
    )
    assert said == ["w3w [KL0902]", "n4n [KL0902]"]


@pytest.mark.parametrize(
    ("written", "completed"),
    [
        ("<preferences>\n<timez", "<timezone"),
        ("<preferences>\n<type image", '<type image="'),
        ('<preferences>\n<type image="oe', '<type image="oem" '),
        ('<preferences>\n<type overlayroot="t', '<type overlayroot="true" '),
        ("<packages>\n<pack", "<package"),
        ("<packages>\n</", "</packages>"),
    ],
)
def test_vim_completes_elements_attributes_and_values(
    share: Path, tmp_path: Path, written: str, completed: str
) -> None:
    file = tmp_path / "appliance.kiwi"
    file.write_text(f"<image>\n{written}\n")
    keys = r'execute "normal GA\<C-X>\<C-O>\<Esc>"'
    said = vim(share, file, "set completeopt=menu", keys, "call add(g:said, getline('.'))")
    assert said == [completed]


def test_completion_of_other_xml_in_vim_is_left_as_it_was(share: Path, kiosk: Path) -> None:
    before = "let g:xmldata_connection = {'DEFAULT': 'xsd'}"
    after = "call add(g:said, string(g:xmldata_connection))"
    assert vim(share, kiosk, before, "call kiwilite#complete(1, '')", after) == [
        "{'DEFAULT': 'xsd'}"
    ]


def test_vim_knows_every_element_and_attribute(share: Path, kiosk: Path) -> None:
    said = vim(
        share,
        kiosk,
        "runtime autoload/xml/kiwilite.vim",
        "call add(g:said, json_encode(g:xmldata_kiwilite))",
    )
    words = json.loads(said[0])
    for form in vocabulary().elements.values():
        children, attributes = words[form.name]
        assert set(children) >= form.children.keys()
        assert attributes.keys() >= form.attributes.keys()


## VS Code


def settings(share: Path, *, uncommented: bool) -> dict[str, object]:
    """Its settings; what is commented out, all that is not a sentence, may be put in."""
    text = (share / "kiwilite/editors/vscode/settings.json").read_text()
    text = re.sub(r"^ *// .*[.]$", "", text, flags=re.MULTILINE)
    text = re.sub("^( *)// ", r"\1" if uncommented else "//", text, flags=re.MULTILINE)
    found = json.loads(re.sub("^//.*$", "", text, flags=re.MULTILINE))
    assert isinstance(found, dict)
    return found


def test_the_settings_for_vs_code_name_installed_files(share: Path) -> None:
    plain, both = settings(share, uncommented=False), settings(share, uncommented=True)
    assert plain["files.associations"] == {"*.kiwi": "xml"}
    assert both.keys() - plain.keys() == {"xml.fileAssociations"}
    catalogs, associations = plain["xml.catalogs"], both["xml.fileAssociations"]
    assert isinstance(catalogs, list)
    assert isinstance(associations, list)
    named = [*catalogs, *(row["systemId"] for row in associations)]
    assert len(named) == 2
    assert all(Path(name.replace(PREFIX, str(share))).is_file() for name in named)


def test_the_task_of_vs_code_finds_every_mistake(share: Path, kiosk: Path) -> None:
    places = spoil(kiosk)
    (task,) = json.loads((share / "kiwilite/editors/vscode/tasks.json").read_text())["tasks"]
    words = [word.replace("${file}", str(kiosk)) for word in task["args"]]
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [task["command"], *words],
        env={**os.environ, "PATH": search},
        capture_output=True,
        text=True,
        check=False,
    )
    pattern = task["problemMatcher"]["pattern"]
    found = [re.match(pattern["regexp"], line) for line in done.stdout.splitlines()]
    assert [
        (m[pattern["file"]], int(m[pattern["line"]]), int(m[pattern["column"]])) for m in found if m
    ] == [(str(kiosk), line, column) for line, column in places]
    assert {m[pattern["severity"]] for m in found if m} == {"error"}


## What the page says


def test_the_page_names_every_file_and_no_other(share: Path) -> None:
    page = (ROOT / "docs/editors.md").read_text()
    named = set(re.findall(rf"{PREFIX}/([\w./-]+\w)", page))
    assert not [name for name in sorted(named) if not (share / name).exists()]
    files = {p for p in (share / "kiwilite/editors").rglob("*") if p.is_file()}
    untold = [
        str(p.relative_to(share))
        for p in sorted(files)
        if not any(p.is_relative_to(share / name) for name in named)
    ]
    assert not untold


def test_what_the_page_shows_of_a_file_is_in_that_file() -> None:
    page = (ROOT / "docs/editors.md").read_text()
    shown = re.findall(r"<!-- from (\S+) -->\n```\w*\n(.*?)```", page, re.DOTALL)
    assert shown
    for name, text in shown:
        assert text in (ROOT / name).read_text(), name
