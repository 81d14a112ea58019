"""The living style page: every macro with figures as hard as real ones. It shows no data of anyone, so it needs no sign-in."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from types import SimpleNamespace

from flask import Blueprint, Response, request, url_for
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    DecimalField,
    FileField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired, Length, Optional

from billing.rendering import charts, formats
from portal import access, filters, htmx

blueprint = Blueprint("style", __name__)
_AT = datetime(2026, 11, 21, 13, 5, 30, tzinfo=UTC)
_FAMILIES = (
    "compute", "storage", "tokens", "network egress", "managed ingress", "app runtime", "marketplace", "analytics",
    "support", "snapshots", "بيانات التدريب", "an uncommonly long service name that must wrap 🚀",
)  # fmt: skip


class SampleForm(FlaskForm):
    """A form with every kind of field."""

    amount = DecimalField("Amount", validators=[InputRequired("Enter an amount, such as 50.00")])
    reference = StringField("Purchase order", validators=[Length(max=20)])
    email = StringField("E-mail address", validators=[InputRequired("Enter an e-mail address")])
    reason = SelectField(
        "Reason",
        choices=[
            SelectChoice("", "Choose a reason"),
            SelectChoice("double", "Charged twice"),
            SelectChoice("other", "Something else"),
        ],
    )
    due_on = DateField("Due", validators=[Optional()])
    file = FileField("Statement of your bank")
    why = StringField("Why", validators=[InputRequired("Say why")])
    note = TextAreaField("What happened")
    mode = RadioField(
        "How to give it back",
        choices=[SelectChoice("card", "To the card"), SelectChoice("credit", "As account credit")],
        default="card",
    )
    agree = BooleanField("I have checked the amount and the account")


@blueprint.route("/style", methods=["GET", "POST"])
@access.public
def index() -> Response:
    """The page, or its table alone for htmx. What its form is sent is looked at as everywhere, and goes nowhere."""
    form = SampleForm()
    if form.validate_on_submit():
        return htmx.redirect(url_for("style.index"))
    for refused in (form.amount, form.email, form.reason):
        refused.validate(form)
    return htmx.render(
        "operator/style/index.html",
        "operator/style/_lines.html",
        status=422 if form.is_submitted() else 200,
        sample=_sample(),
        form=form,
        at=_AT,
        page=request.args.get("page", 4, type=int),
        sort=request.args.get("sort", "-due"),
        guide=GUIDE,
        locales=_in_locales(),
    )


# (macro, file, when it is the right one, what stands in its place otherwise). The test of this page finds what is missing here.
GUIDE: tuple[tuple[str, str, str, str], ...] = (
    ("page_head", "pages", "The one h1 of a page, with its state and its actions", "A heading inside a page: section"),
    ("section", "pages", "A part of a page, or the region that htmx replaces", "A fact among others: key_values"),
    ("button", "pages", "A link that looks like the next step; one primary a page", "Something that changes data: submit in a form"),
    ("chart", "pages", "A drawing with its numbers in the table below", "Three numbers or fewer: figures"),
    ("breadcrumbs", "pages", "The way up from a page that lies below a menu entry", "Pages of the menu: none"),
    ("figures", "figures", "Two to four numbers that answer the question of the page", "More numbers: a table"),
    ("figure", "figures", "One of those that is not money: a count, a date, a state", "Money: figure_money"),
    ("figure_money", "figures", "One of those that is money; link it to its explanation", "Money in text: money"),
    ("big_money", "figures", "Large money whose figure needs another label or hint", "The usual case: figure_money"),
    ("money", "figures", "An amount in text or a column of several currencies", "A column of one currency: amount"),
    ("amount", "figures", "An amount in a column whose heading names the currency", "Anywhere else: money"),
    ("unit_price", "figures", "A price per unit with all its digits", "What was paid: money"),
    ("quantity", "figures", "A measured quantity with its unit", "A count: the filter integer"),
    ("time", "figures", "An instant, with its zone", "How old something is: ago"),
    ("ago", "figures", "Freshness, where the exact instant matters less", "A record or document: time"),
    ("day", "figures", "A date: due, issued, from", "An instant: time"),
    ("period", "figures", "A window, its last day included", "A single day: day"),
    ("hash", "figures", "A hash, to compare and copy", "An id: id_link"),
    ("id_link", "figures", "A permanent id, whole", "A name that people gave: bdi"),
    ("code_block", "figures", "A command or address to paste", "A word in text: code"),
    ("copy", "figures", "Beside something that is pasted elsewhere", "Text that is only read: nothing"),
    ("lang", "figures", "Inside macros that write words of another language", "English words: nothing"),
    ("table", "tables", "Records of one kind; on a narrow screen each row stacks", "Facts of one record: key_values"),
    ("heading", "tables", "Made by table: a heading that sorts", "Never by itself"),
    ("pages", "tables", "Below every list: how many there are, and the pages", "Never left out, even for one page"),
    ("page_link", "tables", "Made by pages", "Never by itself"),
    ("toolbar", "tables", "The row above a list: switches at the start, actions at the end", "Actions of the page: page_head"),
    ("filters", "tables", "Narrowing a list by what is typed or chosen", "Two to five fixed choices: switch"),
    ("chips", "tables", "The filters in force, each removable", "Choices not made yet: filters"),
    ("switch", "tables", "One of a few: day or month, USD or EUR", "Parts of one thing: tabs"),
    ("tabs", "tables", "Parts of one thing, each with its own address", "Changing what one list shows: switch"),
    ("field", "forms", "Every field of a form; its error stands above the input", "Filters: filter_input"),
    ("notes", "forms", "Made by field: hint and error", "Never by itself"),
    ("error_summary", "forms", "First in a refused form; focus goes to it", "A refusal without a form: banner"),
    ("submit", "forms", "The button of a form, its effect and amount in the label", "A link: button"),
    ("post_button", "forms", "One harmless act without fields: retry, sign out", "Money or deletion: confirm"),
    ("confirm", "forms", "A page before something that cannot be undone", "Money: check_answers first"),
    ("filter_input", "forms", "A text, date or number of a filter", "A form that changes data: field"),
    ("filter_select", "forms", "A choice of a filter; the empty value is all", "A form that changes data: field"),
    ("key_values", "records", "The facts of one thing", "Several things: table"),
    ("check_answers", "records", "Before money moves: what was entered, each with Change", "Facts that cannot be changed: key_values"),
    ("timeline", "records", "What happened, newest first, by whom", "A list that is sorted or filtered: table"),
    ("derivation", "records", "A worked sum that ends in the figure of the page", "A plain sum: a total row"),
    ("pill", "feedback", "A state or kind in one or two words", "A stored state: status"),
    ("status", "feedback", "A stored state; the tone follows from it", "Something that is no state: pill"),
    ("banner", "feedback", "What the reader must know before the rest", "A hint about one field: field"),
    ("empty_state", "feedback", "A list without rows, with its next step", "A section that is often empty: a sentence"),
    ("progress", "feedback", "How far something is, inside another page", "Work with its own page: work"),
    ("work", "feedback", "Long work at its own address; keeps its result", "An answer within a second: nothing"),
    ("level", "feedback", "How much of a budget or quota is used", "Progress of work: progress"),
    ("secret_once", "feedback", "A key or code that is shown this once", "Anything that can be shown again: code_block"),
    ("why_this_tax", "tax", "On a document: why it is taxed as it is", "The sums of its tax: a table"),
    ("role_table", "access", "What each role may do, read across", "One person's rights: key_values"),
    ("icon", "icons", "Beside words, never instead of them", "A button without words: aria-label too"),
    ("get", "hx", "A link or GET form that replaces a region", "A page: a plain link"),
    ("poll", "hx", "A region that waits for something", "Work with progress: work"),
)  # fmt: skip


def _in_locales() -> list[tuple[str, list[tuple[str, str]]]]:
    """The table of languages: each kind of figure as each of them is written."""
    kinds: tuple[tuple[str, Callable[[str], str]], ...] = (
        ("Amount", lambda code: formats.money(-123456789, "USD", locale=code)),
        ("Amount without a minor unit", lambda code: formats.money(487143, "JPY", locale=code)),
        ("Amount in thousandths", lambda code: formats.money(5, "KWD", locale=code)),
        ("Unit price", lambda code: formats.unit_price_pico(12_345_678, "EUR", locale=code)),
        ("Rounded quantity", lambda code: formats.quantity(Fraction(620_772, 360), locale=code)),
        ("Rate", lambda code: formats.percent(550, locale=code)),
        ("Date", lambda code: formats.day(date(2026, 10, 1), locale=code)),
        ("Instant", lambda code: formats.instant(_AT, zone="Europe/Berlin", locale=code)),
        ("Days, both included", lambda code: formats.days(date(2026, 10, 1), date(2026, 10, 31), locale=code)),
        ("Age", lambda code: formats.ago(3 * 3600, locale=code)),
        ("File", lambda code: formats.file_size(1_250_000, locale=code)),
    )
    return [(what, [(code, write(code)) for code in filters.LOCALES]) for what, write in kinds]


_TAXED = {
    "on": "2026-10-31",
    "category": "AE",
    "rate_bp": 0,
    "jurisdiction": "DE",
    "scheme": "reverse_charge",
    "registration": "IE1234567T",
    "rule": "reverse_charge",
    "article": "Directive 2006/112/EC, articles 44 and 196",
    "seller_country": "IE",
    "buyer_country": "DE",
    "buyer_kind": "business",
    "buyer_vat_id": "DE136695976",
    "evidence": {"method": "vies", "outcome": "valid", "reference": "WAPIAAAAW1", "at": "2026-10-30T08:00:00Z"},
}


def _sample() -> dict[str, object]:
    days = [date(2026, 10, 1) + timedelta(days=i) for i in range(31)]
    series = tuple(
        charts.Series(
            name=name, values=tuple(Fraction((i * 7 + k * 13) % 23 * 4100 // (k + 1) + 900) for i in range(31))
        )
        for k, name in enumerate(_FAMILIES)
    )

    def usd(value: Fraction) -> str:
        return formats.money(int(value), "USD")

    def usd_axis(value: Fraction) -> str:
        return formats.axis_money(value, "USD")

    usage = charts.Chart(
        id="usage-chart",
        title="Cost per day by service, October 2026",
        description="Stacked bars, one for each day. Compute is the largest service on most days.",
        labels=tuple(formats.day_of_year(day) for day in days),
        series=series,
        tick=usd,
        axis=usd_axis,
    )
    corrections = charts.Chart(
        id="correction-chart",
        title="Charges and corrections per month",
        description="Two corrections hang below the zero line, in August and October.",
        labels=("Jun", "Jul", "Aug", "Sep", "Oct", "Nov"),
        series=(
            charts.Series(name="charges", values=(120_00, 180_00, 90_00, 210_00, 60_00, 150_00)),
            charts.Series(name="corrections", values=(0, 0, -40_00, 0, -75_00, 0)),
        ),
        tick=usd,
        axis=usd_axis,
    )
    trend = charts.Chart(
        id="trend-chart",
        title="GPU-hours per month",
        description="A line that rises from 1,200 to 2,950 GPU-hours.",
        labels=("Jun", "Jul", "Aug", "Sep", "Oct", "Nov"),
        series=(
            charts.Series(name="used", values=(1200, 1450, 1390, 2010, 2600, 2950)),
            charts.Series(name="reserved", values=(1500, 1500, 1500, 2000, 2000, 2000)),
        ),
        tick=formats.quantity,
    )

    def hard(id: str, title: str, *rows: tuple[int, ...]) -> charts.Chart:
        labels = tuple(formats.day_of_year(date(2025, 10, 1) + timedelta(days=i)) for i in range(len(rows[0])))
        named = tuple(charts.Series(name=f"series {k + 1}", values=row) for k, row in enumerate(rows))
        return charts.Chart(
            id=id, title=title, description=f"{len(labels)} values.", labels=labels, series=named, tick=usd, axis=usd_axis,
            is_whole=True,
        )  # fmt: skip

    return {
        "hard_charts": (
            ("A single day", charts.stacked_bars(hard("single-chart", "One bar", (123_456,), (60_000,)))),
            ("A single point", charts.lines(hard("point-chart", "One point", (123_456,), (60_000,)))),
            ("Nothing but zeros", charts.stacked_bars(hard("zero-chart", "All zero", (0,) * 30))),
            ("Only credits", charts.stacked_bars(hard("negative-chart", "All negative", tuple(-i * 997 for i in range(1, 15))))),
            ("400 days", charts.stacked_bars(hard("many-chart", "400 bars", tuple((i * 37) % 211 * 900 for i in range(400))))),
            ("Very large sums", charts.lines(hard("huge-chart", "Trillions", tuple(10**15 * i for i in range(12)), (5,) * 12))),
        ),
        "taxed": SimpleNamespace(tax_facts={"decisions": [_TAXED]}),
        "usage_chart": charts.stacked_bars(usage),
        "correction_chart": charts.stacked_bars(corrections),
        "trend_chart": charts.lines(trend),
        "spark": charts.sparkline("spark", "Cost per hour over two days, rising", (4, 5, 5, 7, 6, 9, 12, 11, 14)),
        "months": tuple(zip(corrections.labels, corrections.series[0].values, corrections.series[1].values, strict=True)),
        "levels": (
            ("Team budget, November", charts.level(41, 100, title="41 of 100 percent used", marks=(50, 80, 100)), 410_000, "At this rate USD 5,857.14 by 30 Nov", None),
            ("GPU project 研究所", charts.level(84, 100, title="84 of 100 percent used", marks=(50, 80, 100)), 840_000, "The mark at 80% was passed on 18 Nov", "warn"),
            ("Storage", charts.level(131, 100, title="131 of 100 percent used", marks=(50, 80, 100)), 1_310_000, "Over by USD 3,100.00", "bad"),
        ),
        "thirds": Fraction(7, 3),
        "start_at": datetime(2026, 9, 30, 22, 0, tzinfo=UTC),
        "end_at": datetime(2026, 10, 31, 23, 0, tzinfo=UTC),
        "due_on": date(2026, 12, 5),
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    }  # fmt: skip
