"""The living style page: every macro with figures as hard as real ones. It shows no data of anyone, so it needs no sign-in."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from flask import Blueprint, Response, request
from flask_wtf import FlaskForm
from wtforms import BooleanField, DecimalField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired, Length

from billing.rendering import charts, formats
from portal import access, htmx

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
    note = TextAreaField("What happened")
    mode = RadioField(
        "How to give it back",
        choices=[SelectChoice("card", "To the card"), SelectChoice("credit", "As account credit")],
        default="card",
    )
    agree = BooleanField("I have checked the amount and the account")


@blueprint.get("/style")
@access.public
def index() -> Response:
    """The page, or its table alone for htmx."""
    form = SampleForm()
    for refused in (form.amount, form.email, form.reason):
        refused.validate(form)
    return htmx.render(
        "operator/style/index.html",
        "operator/style/_lines.html",
        sample=_sample(),
        form=form,
        at=_AT,
        page=request.args.get("page", 4, type=int),
        sort=request.args.get("sort", "-due"),
    )


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
        return formats.money(int(value), "USD", trim=True)

    usage = charts.Chart(
        id="usage-chart",
        title="Cost per day by service, October 2026",
        description="Stacked bars, one for each day. Compute is the largest service on most days.",
        labels=tuple(formats.day(day).removesuffix(" 2026") for day in days),
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
    return {
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
