"""What a credit note says of the invoice that it corrects. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from billing.invoicing import conversion, credits, lines, numbers
from billing.invoicing.documents.model import Allowance, InvoiceDocument, Line, TaxCurrency
from billing.invoicing.taxes import inclusive


def of_invoice(
    note_id: str,
    invoice: InvoiceDocument,
    figures: credits.Credit,
    line_ids: Mapping[str, str],
    reason: str,
    to_receivable_minor: int,
    taken: numbers.Taken,
) -> InvoiceDocument:
    """The credit note; `line_ids` gives the id of its line for each line of the invoice that it takes back.

    Parties, treatments and language are the invoice's own: a correction speaks of the supply as it was billed. Nobody pays it.
    """
    credited = [line for line in invoice.lines if figures.lines.get(line.id)]
    returned: Sequence[Allowance] = [
        replace(one, seq=seq, amount_minor=figures.allowances[one.seq], gross_minor=None)
        for seq, one in enumerate((one for one in invoice.allowances if figures.allowances.get(one.seq)), start=1)
    ]
    made: Sequence[Line] = [
        _line(line, line_ids[line.id], figures, seq, invoice) for seq, line in enumerate(credited, start=1)
    ]
    if figures.inclusive is not None:
        nets = {(each.treatment.category, each.treatment.rate_bp): each.taxable_minor for each in figures.groups}
        made, returned = inclusive.netted(made, returned, nets)
    return replace(
        invoice,
        id=note_id,
        kind="credit_note",
        number=taken.number,
        issued_on=taken.issued_on,
        due_on=None,
        bank_account=None,
        bank_name=None,
        bic=None,
        terms_days=None,
        corrects_number=invoice.number,
        corrects_on=invoice.issued_on,
        reason=reason,
        lines=tuple(made),
        taxes=tuple(lines.of_group(group) for group in figures.groups),
        allowances=tuple(returned),
        allowance_minor=sum(one.amount_minor for one in returned),
        net_minor=figures.net_minor,
        tax_minor=figures.tax_minor,
        total_minor=figures.net_minor + figures.tax_minor,
        rounding_minor=figures.rounding_minor,
        prepaid_minor=0,
        due_minor=figures.payable_minor,
        to_receivable_minor=to_receivable_minor,
        to_wallet_minor=figures.payable_minor - to_receivable_minor,
        tax_currency=_in_tax_currency(invoice, figures),
    )


def _in_tax_currency(invoice: InvoiceDocument, figures: credits.Credit) -> TaxCurrency | None:
    """The credited VAT at the invoice's own rate (BT-111): that of all credited so far, less that of what was credited before."""
    of = invoice.tax_currency
    if of is None:
        return None
    before = conversion.tax_minor_in(of, figures.tax_before_minor, invoice.currency)
    so_far = conversion.tax_minor_in(of, figures.tax_before_minor + figures.tax_minor, invoice.currency)
    return replace(of, tax_minor=so_far - before)


def _line(billed: Line, line_id: str, figures: credits.Credit, seq: int, invoice: InvoiceDocument) -> Line:
    amount_minor = figures.lines[billed.id]
    where = f"Line {billed.seq} of {invoice.number}"
    if billed.covers:
        where = f"{where}, given back to the commitment"
    return Line(
        id=line_id,
        seq=seq,
        description=billed.description,
        detail=f"{where} · {billed.detail}" if billed.detail else where,
        quantity_text="-1" if amount_minor < 0 else "1",
        unit="credit",
        unit_price_text=lines.plain_money(abs(amount_minor), invoice.currency),
        price_base_text="1",
        beside_text="",
        priced_unit="credit",
        amount_minor=amount_minor,
        tax_category=billed.tax_category,
        tax_rate_bp=billed.tax_rate_bp,
        charge_id=billed.charge_id,
        project_code=billed.project_code,
        family=billed.family,
        period_label=billed.period_label,
        contract_id=billed.contract_id,
        covers=dict(figures.covers.get(billed.id, {})),
        service_from_on=billed.service_from_on,
        service_to_on=billed.service_to_on,
    )
