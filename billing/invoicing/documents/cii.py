"""The document as UN/CEFACT Cross Industry Invoice D16B: EN 16931 as Factur-X embeds it. From the frozen model alone."""

from datetime import date

from billing.invoicing.documents import en16931
from billing.invoicing.documents.en16931 import Allowance, Days, LineTerms, Party, Payment, TaxGroup, Terms
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.documents.xml_tree import Child, leaf, node, root, to_bytes

_NAMESPACES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
}
_ELECTRONIC_MAIL = "EM"
_LINE_OBJECT = "130"


def to_xml(document: InvoiceDocument) -> bytes:
    """The whole file. Raises ValueError for a draft and where the norm has no XML (`en16931.absence`)."""
    return write(en16931.of(document))


def write(terms: Terms) -> bytes:
    """The file that says these terms."""
    transaction = node(
        "rsm:SupplyChainTradeTransaction",
        *(_line(line) for line in terms.lines),
        _agreement(terms),
        _delivery(terms),
        _settlement(terms),
    )
    guideline = node("ram:GuidelineSpecifiedDocumentContextParameter", leaf("ram:ID", en16931.GUIDELINE))
    context = node("rsm:ExchangedDocumentContext", guideline)
    return to_bytes(root("rsm:CrossIndustryInvoice", _NAMESPACES, (context, _head(terms), transaction)))


def _head(terms: Terms) -> Child:
    return node(
        "rsm:ExchangedDocument",
        leaf("ram:ID", terms.number),
        leaf("ram:TypeCode", terms.type_code),
        _day("ram:IssueDateTime", terms.issued_on),
        node("ram:IncludedNote", leaf("ram:Content", terms.note)),
    )


def _line(line: LineTerms) -> Child:
    return node(
        "ram:IncludedSupplyChainTradeLineItem",
        node("ram:AssociatedDocumentLineDocument", leaf("ram:LineID", line.id)),
        node("ram:SpecifiedTradeProduct", leaf("ram:Name", line.name), leaf("ram:Description", line.description)),
        node(
            "ram:SpecifiedLineTradeAgreement",
            node(
                "ram:NetPriceProductTradePrice",
                leaf("ram:ChargeAmount", line.price),
                leaf("ram:BasisQuantity", line.base, unitCode=line.unit),
            ),
        ),
        node("ram:SpecifiedLineTradeDelivery", leaf("ram:BilledQuantity", line.quantity, unitCode=line.unit)),
        node(
            "ram:SpecifiedLineTradeSettlement",
            node("ram:ApplicableTradeTax", *_category(line.category, line.rate)),
            _period(line.days),
            node("ram:SpecifiedTradeSettlementLineMonetarySummation", leaf("ram:LineTotalAmount", line.amount)),
            node(
                "ram:AdditionalReferencedDocument",
                leaf("ram:IssuerAssignedID", line.object_id),
                leaf("ram:TypeCode", _LINE_OBJECT if line.object_id else None),
            ),
        ),
    )


def _agreement(terms: Terms) -> Child:
    return node(
        "ram:ApplicableHeaderTradeAgreement",
        leaf("ram:BuyerReference", terms.buyer_reference),
        _party("ram:SellerTradeParty", terms.seller),
        _party("ram:BuyerTradeParty", terms.buyer),
        node("ram:BuyerOrderReferencedDocument", leaf("ram:IssuerAssignedID", terms.purchase_order)),
    )


def _party(name: str, party: Party) -> Child:
    return node(
        name,
        leaf("ram:ID", party.id),
        leaf("ram:Name", party.name),
        leaf("ram:Description", party.legal_words),
        node("ram:SpecifiedLegalOrganization", leaf("ram:ID", party.legal_id)),
        node(
            "ram:DefinedTradeContact",
            node("ram:TelephoneUniversalCommunication", leaf("ram:CompleteNumber", party.phone)),
            node("ram:EmailURIUniversalCommunication", leaf("ram:URIID", party.email)),
        ),
        node(
            "ram:PostalTradeAddress",
            leaf("ram:PostcodeCode", party.postcode),
            leaf("ram:LineOne", party.street),
            leaf("ram:CityName", party.city),
            leaf("ram:CountryID", party.country),
        ),
        node("ram:URIUniversalCommunication", leaf("ram:URIID", party.email, schemeID=_ELECTRONIC_MAIL)),
        node("ram:SpecifiedTaxRegistration", leaf("ram:ID", party.vat_id, schemeID="VA")),
        node("ram:SpecifiedTaxRegistration", leaf("ram:ID", party.tax_number, schemeID="FC")),
    )


def _delivery(terms: Terms) -> Child:
    return node(
        "ram:ApplicableHeaderTradeDelivery",
        node(
            "ram:ShipToTradeParty",
            node("ram:PostalTradeAddress", leaf("ram:CountryID", terms.delivery_country)),
        ),
        node("ram:ActualDeliverySupplyChainEvent", _day("ram:OccurrenceDateTime", terms.delivered_on)),
    )


def _settlement(terms: Terms) -> Child:
    return node(
        "ram:ApplicableHeaderTradeSettlement",
        leaf("ram:PaymentReference", terms.payment.reference if terms.payment else None),
        leaf("ram:TaxCurrencyCode", terms.tax_currency),
        leaf("ram:InvoiceCurrencyCode", terms.currency),
        _payment(terms.payment),
        # The tax point is one fact of the document and stands once (CII-SR-461).
        *(_group(group, terms.tax_point_on if seq == 0 else None) for seq, group in enumerate(terms.taxes)),
        _period(terms.days),
        *(_allowance(one) for one in terms.allowances),
        node(
            "ram:SpecifiedTradePaymentTerms",
            leaf("ram:Description", terms.payment_terms),
            _day("ram:DueDateDateTime", terms.due_on),
        ),
        _sums(terms),
        node(
            "ram:InvoiceReferencedDocument",
            leaf("ram:IssuerAssignedID", terms.preceding_number),
            _day("ram:FormattedIssueDateTime", terms.preceding_on, text="qdt:DateTimeString"),
        ),
    )


def _payment(payment: Payment | None) -> Child:
    if payment is None:
        return None
    is_account = payment.iban is not None or payment.account is not None
    return node(
        "ram:SpecifiedTradeSettlementPaymentMeans",
        leaf("ram:TypeCode", payment.means),
        node(
            "ram:PayeePartyCreditorFinancialAccount",
            leaf("ram:IBANID", payment.iban),
            leaf("ram:AccountName", payment.holder if is_account else None),
            leaf("ram:ProprietaryID", payment.account),
        ),
        node("ram:PayeeSpecifiedCreditorFinancialInstitution", leaf("ram:BICID", payment.bic)),
    )


def _group(group: TaxGroup, tax_point_on: date | None) -> Child:
    return node(
        "ram:ApplicableTradeTax",
        leaf("ram:CalculatedAmount", group.tax),
        leaf("ram:TypeCode", "VAT"),
        leaf("ram:ExemptionReason", group.reason),
        leaf("ram:BasisAmount", group.basis),
        leaf("ram:CategoryCode", group.category),
        leaf("ram:ExemptionReasonCode", group.reason_code),
        _day("ram:TaxPointDate", tax_point_on, text="udt:DateString"),
        leaf("ram:RateApplicablePercent", group.rate),
    )


def _allowance(one: Allowance) -> Child:
    return node(
        "ram:SpecifiedTradeAllowanceCharge",
        node("ram:ChargeIndicator", leaf("udt:Indicator", "false")),
        leaf("ram:ActualAmount", one.amount),
        leaf("ram:ReasonCode", one.reason_code),
        leaf("ram:Reason", one.reason),
        node("ram:CategoryTradeTax", *_category(one.category, one.rate)),
    )


def _sums(terms: Terms) -> Child:
    in_tax_currency = (
        leaf("ram:TaxTotalAmount", terms.tax_total_in_tax_currency, currencyID=terms.tax_currency)
        if terms.tax_currency
        else None
    )
    return node(
        "ram:SpecifiedTradeSettlementHeaderMonetarySummation",
        leaf("ram:LineTotalAmount", terms.lines_total),
        leaf("ram:AllowanceTotalAmount", terms.allowances_total),
        leaf("ram:TaxBasisTotalAmount", terms.net_total),
        leaf("ram:TaxTotalAmount", terms.tax_total, currencyID=terms.currency),
        in_tax_currency,
        leaf("ram:RoundingAmount", terms.rounding),
        leaf("ram:GrandTotalAmount", terms.gross_total),
        leaf("ram:TotalPrepaidAmount", terms.prepaid),
        leaf("ram:DuePayableAmount", terms.due),
    )


def _category(category: str, rate: str | None) -> tuple[Child, ...]:
    return (
        leaf("ram:TypeCode", "VAT"),
        leaf("ram:CategoryCode", category),
        leaf("ram:RateApplicablePercent", rate),
    )


def _period(days: Days | None) -> Child:
    if days is None:
        return None
    return node("ram:BillingSpecifiedPeriod", _day("ram:StartDateTime", days[0]), _day("ram:EndDateTime", days[1]))


def _day(name: str, on: date | None, *, text: str = "udt:DateTimeString") -> Child:
    """A day as CII writes it: 20261031, whose form has the number 102."""
    return node(name, leaf(text, f"{on:%Y%m%d}" if on is not None else None, format="102"))
