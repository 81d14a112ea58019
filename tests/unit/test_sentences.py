"""Every refusal that billing can raise is answered in a sentence."""

import ast
from pathlib import Path

import billing
from billing.invoicing.errors import DiscountTooHigh
from billing.kernel.errors import Invalid, Refusal
from portal import sentences

_BILLING = Path(billing.__file__).parent
# Reasons that no person meets: facts of imports (shown as codes in the rejects file), of provider events, and of our own mistakes.
_SILENT_ROOMS = (
    "metering/jobs.py",
    "metering/ingest.py",
    "metering/sources",
    "payments/providers",
    "payments/apply.py",
)
_OURS = {
    "one_account",
    "wrong_accounts",
    "unknown_kind",
    "nothing_to_post",
    "tenant_account_in_house_chain",
    "amount_out_of_range",
}


def test_text_that_no_parser_can_hold_is_told_without_its_detail() -> None:
    assert "None" not in sentences.of(Invalid(field="book", reason="not_toml"))


def test_money_in_a_sentence_is_never_in_minor_units() -> None:
    fields = {"amount_minor": 300_000, "limit_minor": 264_337, "currency": "USD"}
    assert "USD\N{NO-BREAK SPACE}2,643.37" in sentences.of(DiscountTooHigh(**fields))


def _codes() -> set[str]:
    found: set[str] = set()
    waiting = [Refusal]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found.add(kind.code)
    return found


def _reasons() -> dict[str, str]:
    found = {}
    for path in _BILLING.rglob("*.py"):
        if any(room in path.as_posix() for room in _SILENT_ROOMS):
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and _raises_refusal(call):
                for keyword in call.keywords:
                    if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant):
                        found[str(keyword.value.value)] = path.name
    return found


def _raises_refusal(call: ast.Call) -> bool:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    return name in {
        "Invalid",
        "Conflict",
        "NotFound",
        "EntryRefused",
        "NotReversible",
        "PeriodNotClosable",
        "AboveRefundable",
    }


def test_every_code_of_a_refusal_has_a_sentence() -> None:
    for path in sorted(_BILLING.glob("*/errors.py")):
        __import__(f"billing.{path.parent.name}.errors")
    known = sentences._CODES.keys()
    assert _codes() - known - {"refused"} == set()


def test_every_reason_that_a_person_can_meet_has_a_sentence() -> None:
    found = _reasons()
    assert len(found) > 40
    assert {
        reason: where for reason, where in found.items() if reason not in sentences._REASONS and reason not in _OURS
    } == {}


def test_amounts_in_a_sentence_are_readable_money() -> None:
    from billing.payments.errors import AboveRefundable

    words = sentences.of(AboveRefundable(limit_minor=123456, currency="USD"))
    assert words == "At most USD\u00a01,234.56 can be refunded."


def test_an_unknown_refusal_still_says_something() -> None:
    assert sentences.of(Invalid(field="x", reason="brand_new_reason")) == "The input cannot be used."
