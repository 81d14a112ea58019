"""The metadata of a PDF that is more than one thing: marks of PDF/UA and Factur-X beside WeasyPrint's of PDF/A. Worker only.

PDF/A allows further metadata only with a description of its schema, all of them in one list.
"""

import xml.etree.ElementTree as ET

FILE_NAME = "factur-x.xml"

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_UA = "http://www.aiim.org/pdfua/ns/id/"
_FX = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
_EXTENSION = "http://www.aiim.org/pdfa/ns/extension/"
_SCHEMA = "http://www.aiim.org/pdfa/ns/schema#"
_PROPERTY = "http://www.aiim.org/pdfa/ns/property#"

# What the file is, in the words of Factur-X 1.0; a credit note's type is INVOICE too.
_FX_FACTS = {
    "DocumentType": "INVOICE",
    "DocumentFileName": FILE_NAME,
    "Version": "1.0",
    "ConformanceLevel": "EN 16931",
}
_FX_WORDS = {
    "DocumentType": "INVOICE",
    "DocumentFileName": "name of the embedded XML invoice file",
    "Version": "The actual version of the Factur-X XML schema",
    "ConformanceLevel": "The conformance level of the embedded Factur-X data",
}


def extended(metadata: bytes, *, is_einvoice: bool) -> bytes:
    """WeasyPrint's metadata, which marks one variant, with the marks of PDF/UA and, for an e-invoice, of Factur-X."""
    for prefix, uri in (
        ("pdfuaid", _UA),
        ("fx", _FX),
        ("pdfaExtension", _EXTENSION),
        ("pdfaSchema", _SCHEMA),
        ("pdfaProperty", _PROPERTY),
    ):
        ET.register_namespace(prefix, uri)
    root = ET.fromstring(metadata)  # noqa: S314  WeasyPrint made it a moment ago
    _describe(root, _UA, {"part": "1"})
    if is_einvoice:
        _describe(root, _FX, _FX_FACTS)
    schemas = ET.SubElement(_description(root), f"{{{_EXTENSION}}}schemas")
    listed = ET.SubElement(schemas, f"{_RDF}Bag")
    ua = [("part", "Integer", "internal", "Part of ISO 14289")]
    _add_schema(listed, "PDF/UA identification schema", _UA, "pdfuaid", ua)
    if is_einvoice:
        fx = [(name, "Text", "external", words) for name, words in _FX_WORDS.items()]
        _add_schema(listed, "Factur-X PDFA Extension Schema", _FX, "fx", fx)
    return bytes(ET.tostring(root, encoding="utf-8"))


def _description(root: ET.Element) -> ET.Element:
    return ET.SubElement(root, f"{_RDF}Description", {f"{_RDF}about": ""})


def _describe(root: ET.Element, namespace: str, facts: dict[str, str]) -> None:
    about = _description(root)
    for name, text in facts.items():
        ET.SubElement(about, f"{{{namespace}}}{name}").text = text


def _add_schema(
    listed: ET.Element, words: str, namespace: str, prefix: str, properties: list[tuple[str, str, str, str]]
) -> None:
    """One schema of the list; `properties` are (name, type, category, description)."""
    schema = _resource(listed)
    for name, text in (("schema", words), ("namespaceURI", namespace), ("prefix", prefix)):
        ET.SubElement(schema, f"{{{_SCHEMA}}}{name}").text = text
    ordered = ET.SubElement(ET.SubElement(schema, f"{{{_SCHEMA}}}property"), f"{_RDF}Seq")
    for one in properties:
        described = _resource(ordered)
        for name, text in zip(("name", "valueType", "category", "description"), one, strict=True):
            ET.SubElement(described, f"{{{_PROPERTY}}}{name}").text = text


def _resource(parent: ET.Element) -> ET.Element:
    return ET.SubElement(parent, f"{_RDF}li", {f"{_RDF}parseType": "Resource"})
