"""The document as UBL 2.1: Invoice, or CreditNote with the names that differ there. From the frozen model alone."""

from billing.invoicing.documents import en16931
from billing.invoicing.documents.en16931 import Allowance, Days, LineTerms, Party, Payment, TaxGroup, Terms
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.documents.xml_tree import Child, leaf, node, root, to_bytes

_OASIS = "urn:oasis:names:specification:ubl:schema:xsd"
_ELECTRONIC_MAIL = "EM"
_LINE_OBJECT = "130"


def to_xml(document: InvoiceDocument) -> bytes:
    """The whole file. Raises ValueError for a draft and where the norm has no XML (`en16931.absence`)."""
    return write(en16931.of(document))


def write(terms: Terms) -> bytes:
    """The file that says these terms."""
    name = "CreditNote" if terms.is_credit_note else "Invoice"
    namespaces = {
        "": f"{_OASIS}:{name}-2",
        "cac": f"{_OASIS}:CommonAggregateComponents-2",
        "cbc": f"{_OASIS}:CommonBasicComponents-2",
    }
    return to_bytes(
        root(name, namespaces, (*_head(terms), *_body(terms), *(_line(line, terms) for line in terms.lines)))
    )


def _head(terms: Terms) -> tuple[Child, ...]:
    tax_point = leaf("cbc:TaxPointDate", str(terms.tax_point_on) if terms.tax_point_on else None)
    note = leaf("cbc:Note", terms.note)
    if terms.is_credit_note:
        kind: tuple[Child, ...] = (tax_point, leaf("cbc:CreditNoteTypeCode", terms.type_code), note)
    else:
        due = leaf("cbc:DueDate", str(terms.due_on) if terms.due_on else None)
        kind = (due, leaf("cbc:InvoiceTypeCode", terms.type_code), note, tax_point)
    preceding = node(
        "cac:InvoiceDocumentReference",
        leaf("cbc:ID", terms.preceding_number),
        leaf("cbc:IssueDate", str(terms.preceding_on) if terms.preceding_on else None),
    )
    return (
        leaf("cbc:CustomizationID", en16931.GUIDELINE),
        leaf("cbc:ID", terms.number),
        leaf("cbc:IssueDate", str(terms.issued_on)),
        *kind,
        leaf("cbc:DocumentCurrencyCode", terms.currency),
        leaf("cbc:TaxCurrencyCode", terms.tax_currency),
        leaf("cbc:BuyerReference", terms.buyer_reference),
        _period(terms.days),
        node("cac:OrderReference", leaf("cbc:ID", terms.purchase_order)),
        node("cac:BillingReference", preceding),
    )


def _body(terms: Terms) -> tuple[Child, ...]:
    return (
        node("cac:AccountingSupplierParty", _party(terms.seller)),
        node("cac:AccountingCustomerParty", _party(terms.buyer)),
        node(
            "cac:Delivery",
            leaf("cbc:ActualDeliveryDate", str(terms.delivered_on)),
            node(
                "cac:DeliveryLocation",
                node("cac:Address", _country(terms.delivery_country)),
            ),
        ),
        _payment(terms.payment),
        node("cac:PaymentTerms", leaf("cbc:Note", terms.payment_terms)),
        *(_allowance(one, terms.currency) for one in terms.allowances),
        *_taxes(terms),
        _sums(terms),
    )


def _party(party: Party) -> Child:
    return node(
        "cac:Party",
        leaf("cbc:EndpointID", party.email, schemeID=_ELECTRONIC_MAIL),
        node("cac:PartyIdentification", leaf("cbc:ID", party.id)),
        node(
            "cac:PostalAddress",
            leaf("cbc:StreetName", party.street),
            leaf("cbc:CityName", party.city),
            leaf("cbc:PostalZone", party.postcode),
            _country(party.country),
        ),
        _registration(party.vat_id, "VAT"),
        _registration(party.tax_number, "TAX"),
        node(
            "cac:PartyLegalEntity",
            leaf("cbc:RegistrationName", party.name),
            leaf("cbc:CompanyID", party.legal_id),
            leaf("cbc:CompanyLegalForm", party.legal_words),
        ),
        node("cac:Contact", leaf("cbc:Telephone", party.phone), leaf("cbc:ElectronicMail", party.email)),
    )


def _registration(number: str | None, scheme: str) -> Child:
    if number is None:
        return None
    return node("cac:PartyTaxScheme", leaf("cbc:CompanyID", number), node("cac:TaxScheme", leaf("cbc:ID", scheme)))


def _country(code: str | None) -> Child:
    return node("cac:Country", leaf("cbc:IdentificationCode", code))


def _payment(payment: Payment | None) -> Child:
    if payment is None:
        return None
    number = payment.iban or payment.account
    return node(
        "cac:PaymentMeans",
        leaf("cbc:PaymentMeansCode", payment.means),
        leaf("cbc:PaymentID", payment.reference),
        node(
            "cac:PayeeFinancialAccount",
            leaf("cbc:ID", number),
            leaf("cbc:Name", payment.holder if number else None),
            node("cac:FinancialInstitutionBranch", leaf("cbc:ID", payment.bic)),
        ),
    )


def _allowance(one: Allowance, currency: str) -> Child:
    return node(
        "cac:AllowanceCharge",
        leaf("cbc:ChargeIndicator", "false"),
        leaf("cbc:AllowanceChargeReasonCode", one.reason_code),
        leaf("cbc:AllowanceChargeReason", one.reason),
        leaf("cbc:Amount", one.amount, currencyID=currency),
        _category("cac:TaxCategory", one.category, one.rate),
    )


def _taxes(terms: Terms) -> tuple[Child, ...]:
    in_tax_currency = None
    if terms.tax_currency is not None:
        total = leaf("cbc:TaxAmount", terms.tax_total_in_tax_currency, currencyID=terms.tax_currency)
        in_tax_currency = node("cac:TaxTotal", total)
    return (
        node(
            "cac:TaxTotal",
            leaf("cbc:TaxAmount", terms.tax_total, currencyID=terms.currency),
            *(_group(group, terms.currency) for group in terms.taxes),
        ),
        in_tax_currency,
    )


def _group(group: TaxGroup, currency: str) -> Child:
    return node(
        "cac:TaxSubtotal",
        leaf("cbc:TaxableAmount", group.basis, currencyID=currency),
        leaf("cbc:TaxAmount", group.tax, currencyID=currency),
        _category("cac:TaxCategory", group.category, group.rate, group.reason_code, group.reason),
    )


def _category(
    name: str, category: str, rate: str | None, reason_code: str | None = None, reason: str | None = None
) -> Child:
    return node(
        name,
        leaf("cbc:ID", category),
        leaf("cbc:Percent", rate),
        leaf("cbc:TaxExemptionReasonCode", reason_code),
        leaf("cbc:TaxExemptionReason", reason),
        node("cac:TaxScheme", leaf("cbc:ID", "VAT")),
    )


def _sums(terms: Terms) -> Child:
    sums = (
        ("LineExtensionAmount", terms.lines_total),
        ("TaxExclusiveAmount", terms.net_total),
        ("TaxInclusiveAmount", terms.gross_total),
        ("AllowanceTotalAmount", terms.allowances_total),
        ("PrepaidAmount", terms.prepaid),
        ("PayableRoundingAmount", terms.rounding),
        ("PayableAmount", terms.due),
    )
    return node(
        "cac:LegalMonetaryTotal",
        *(leaf(f"cbc:{name}", amount, currencyID=terms.currency) for name, amount in sums),
    )


def _line(line: LineTerms, terms: Terms) -> Child:
    name, quantity = ("CreditNoteLine", "Credited") if terms.is_credit_note else ("InvoiceLine", "Invoiced")
    return node(
        f"cac:{name}",
        leaf("cbc:ID", line.id),
        leaf(f"cbc:{quantity}Quantity", line.quantity, unitCode=line.unit),
        leaf("cbc:LineExtensionAmount", line.amount, currencyID=terms.currency),
        _period(line.days),
        node(
            "cac:DocumentReference",
            leaf("cbc:ID", line.object_id),
            leaf("cbc:DocumentTypeCode", _LINE_OBJECT if line.object_id else None),
        ),
        node(
            "cac:Item",
            leaf("cbc:Description", line.description),
            leaf("cbc:Name", line.name),
            _category("cac:ClassifiedTaxCategory", line.category, line.rate),
        ),
        node(
            "cac:Price",
            leaf("cbc:PriceAmount", line.price, currencyID=terms.currency),
            leaf("cbc:BaseQuantity", line.base, unitCode=line.unit),
        ),
    )


def _period(days: Days | None) -> Child:
    if days is None:
        return None
    return node("cac:InvoicePeriod", leaf("cbc:StartDate", str(days[0])), leaf("cbc:EndDate", str(days[1])))
