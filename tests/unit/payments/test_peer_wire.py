"""The peer's wire without a wire: form encoding, parameters, metadata, currencies, ids, keys."""

import csv
from pathlib import Path
from typing import Any

import pytest

from billing.kernel import money
from billing.kernel.errors import Invalid
from billing.reference import provider_currencies
from tests.peers.stripe import answers, currencies, events, form, params, routes
from tests.peers.stripe.account import Account
from tests.peers.stripe.clock import Clock
from tests.peers.stripe.errors import InvalidParameter, Unstarted
from tests.peers.stripe.idempotency import LIFE_S, Keys


def new_account(seed: str = "one") -> Account:
    clock = Clock()
    clock.set(1_800_000_000)
    return Account(base_url="http://127.0.0.1:9", clock=clock, seed=seed)


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        ("", {}),
        ("a=1&b=", {"a": "1", "b": ""}),
        ("metadata[order]=7&metadata[x%20y]=%C3%A9", {"metadata": {"order": "7", "x y": "é"}}),
        ("expand[]=a&expand[]=b.c", {"expand": ["a", "b.c"]}),
        ("expand[0]=a&expand[1]=b", {"expand": ["a", "b"]}),
        ("l[1][q]=2&l[0][q]=1&l[0][p][name]=x", {"l": [{"q": "1", "p": {"name": "x"}}, {"q": "2"}]}),
        ("l[10]=k&l[9]=j", {"l": ["j", "k"]}),
    ],
)
def test_form_encoding_is_read_as_nested_groups_and_lists(encoded: str, decoded: Any) -> None:
    assert form.decode(encoded) == decoded


@pytest.mark.parametrize(
    "encoded", ["a[b=1", "[a]=1", "a]=1", "a[b]c=1", "a=1&a[b]=2", "noequals", "a=%ff", "a" + "[b]" * 9 + "=1"]
)
def test_unreadable_form_is_refused(encoded: str) -> None:
    with pytest.raises(Unstarted) as refusal:
        form.decode(encoded)
    assert refusal.value.status == 400


def test_parameter_that_the_route_does_not_read_is_refused_by_name() -> None:
    route, _ = routes.find("POST", "/v1/checkout/sessions")
    for encoded, name in [
        ("mode=payment&mood=good", "mood"),
        ("line_items[0][price]=price_1", "line_items[0][price]"),
        ("payment_intent_data[transfer_group]=x", "payment_intent_data[transfer_group]"),
    ]:
        with pytest.raises(InvalidParameter) as refusal:
            params.refuse_unknown(form.decode(encoded), route.accepted)
        assert (refusal.value.error["code"], refusal.value.error["param"]) == ("parameter_unknown", name)
    params.refuse_unknown(form.decode("metadata="), route.accepted)
    params.refuse_unknown(form.decode("metadata[any]=1&expand[]=customer"), route.accepted)


def test_metadata_is_merged_and_unset_by_empty_strings() -> None:
    kept = {"a": "1", "b": "2"}
    assert params.metadata({}, kept) == kept
    assert params.metadata({"metadata": {"b": "", "c": "3"}}, kept) == {"a": "1", "c": "3"}
    assert params.metadata({"metadata": ""}, kept) == {}
    assert kept == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    "metadata",
    [{"k" * 41: "v"}, {"k": "v" * 501}, {f"k{number}": "v" for number in range(51)}, {"k": {"nested": "v"}}],
)
def test_metadata_beyond_stripes_limits_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        params.metadata({"metadata": metadata})
    assert params.metadata({"metadata": {"k" * 40: "v" * 500}}) == {"k" * 40: "v" * 500}


@pytest.mark.parametrize("value", ["", "1.5", "0x1", "ten", "１", "1" * 16, "--1"])
def test_amount_that_is_no_whole_number_is_refused(value: str) -> None:
    with pytest.raises(InvalidParameter):
        params.needed_amount({"amount": value})


@pytest.mark.parametrize(
    ("currency", "amount", "code"),
    [
        ("usd", 49, "amount_too_small"),
        ("jpy", 49, "amount_too_small"),
        ("huf", 17499, "amount_too_small"),
        ("usd", 100_000_000, "amount_too_large"),
        ("isk", 150, "invalid_charge_amount"),
        ("kwd", 1005, "invalid_charge_amount"),
    ],
)
def test_amount_that_stripe_would_not_charge_is_refused(currency: str, amount: int, code: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        currencies.check(currency, amount)
    assert refusal.value.error["code"] == code


@pytest.mark.parametrize(
    ("currency", "amount"), [("usd", 50), ("jpy", 50), ("ugx", 1), ("isk", 100), ("kwd", 1010), ("huf", 17501)]
)
def test_amount_that_stripe_charges_passes(currency: str, amount: int) -> None:
    assert currencies.check(currency.upper(), amount) == currency


def test_the_peers_steps_are_those_of_the_published_exceptions(data_dir: Path) -> None:
    """Two readings of one page: the peer's table and ours must agree, and both with the data."""
    with (data_dir / "currency" / "stripe_currency_exceptions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    for row in rows:
        code = row["code"].lower()
        assert (code in currencies.THREE_DECIMALS) == (row["stripe_decimals"] == "3"), code
        assert provider_currencies.stripe_scale(row["code"]).step == currencies.STEPS.get(code, 1), code
    for code in sorted(money.currencies()):
        try:
            step = provider_currencies.stripe_scale(code).step
        except Invalid:
            continue
        assert step == currencies.STEPS.get(code.lower(), 1), code


def test_same_seed_and_same_calls_give_the_same_ids() -> None:
    def ids(seed: str) -> list[str]:
        account = new_account(seed)
        return [account.new_id(prefix) for prefix in ("cus", "pi", "cs_test", "pi")]

    first = ids("one")
    assert first == ids("one") != ids("two")
    assert len(set(first)) == 4
    assert [len(name) for name in first] == [18, 27, 66, 27]


def test_list_pages_lead_through_everything_once_in_both_directions() -> None:
    account = new_account()
    for number in range(7):
        account.clock.advance(1)
        account.add("cus", "customer", {"number": number})
    page = answers.Page(account.all("customer"))

    def numbers(**query: str) -> tuple[list[int], bool]:
        shown = answers.show(account, page, "/v1/customers", query)
        return [item["number"] for item in shown["data"]], shown["has_more"]

    ids = {item["number"]: item["id"] for item in account.all("customer")}
    assert numbers() == ([6, 5, 4, 3, 2, 1, 0], False)
    assert numbers(limit="3") == ([6, 5, 4], True)
    assert numbers(limit="3", starting_after=ids[4]) == ([3, 2, 1], True)
    assert numbers(limit="3", starting_after=ids[1]) == ([0], False)
    assert numbers(limit="3", ending_before=ids[2]) == ([5, 4, 3], True)
    assert numbers(limit="3", ending_before=ids[4]) == ([6, 5], False)
    middle = account.by_id[ids[3]]["created"]
    for name, expected in [("gt", [6, 5, 4]), ("gte", [6, 5, 4, 3]), ("lt", [2, 1, 0]), ("lte", [3, 2, 1, 0])]:
        shown = answers.show(account, page, "/v1/customers", {"created": {name: str(middle)}})
        assert [item["number"] for item in shown["data"]] == expected
    for query in [{"limit": "0"}, {"limit": "101"}, {"starting_after": ids[1], "ending_before": ids[2]}]:
        with pytest.raises(InvalidParameter):
            answers.show(account, page, "/v1/customers", query)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/v1/charges/ch_1", "amount"),
        ("/v1/charges/ch_1", "nothing"),
        ("/v1/charges/ch_1", "data.customer"),
        ("/v1/charges/ch_1", "payment_intent.nothing"),
        ("/v1/charges", "customer"),
        ("/v1/charges/ch_1", "payment_intent.latest_charge.payment_intent.latest_charge.customer"),
    ],
)
def test_expanding_what_is_no_object_is_refused(address: str, path: str) -> None:
    route, _ids = routes.find("GET", address)
    with pytest.raises(InvalidParameter) as refusal:
        answers.check_expand(route, {"expand": [path]})
    assert refusal.value.error["param"] == "expand"


def test_expanding_shows_whole_objects_and_leaves_what_is_empty() -> None:
    account = new_account()
    customer = account.add("cus", "customer", {"name": "Ada", "_hidden": 1})
    intent = account.add("pi", "payment_intent", {"customer": customer["id"], "latest_charge": None})
    expand = {"expand": ["customer", "latest_charge.customer"]}
    shown = answers.show(account, intent, "/v1/payment_intents/x", expand)
    assert (shown["customer"]["name"], shown["latest_charge"]) == ("Ada", None)
    assert "_hidden" not in shown["customer"]
    assert intent["customer"] == customer["id"]


@pytest.mark.parametrize(
    ("wanted", "event_type", "is_told"),
    [
        ("*", "charge.failed", True),
        ("charge.*", "charge.failed", True),
        ("charge.failed", "charge.failed", True),
        ("charge.*", "charge", False),
        ("charge.fail", "charge.failed", False),
        ("refund.*", "charge.refunded", False),
    ],
)
def test_subscription_covers_what_it_names(wanted: str, event_type: str, is_told: bool) -> None:
    assert events.is_of(event_type, wanted) is is_told


def test_key_is_free_again_after_24_hours_by_the_peers_clock() -> None:
    clock = Clock()
    clock.set(1_800_000_000)
    keys = Keys(clock)
    call = ("key", "POST", "/v1/refunds", {"amount": "1"}, "req_1")
    assert keys.begin(*call) is None
    keys.keep("key", 402, {"error": {}})
    clock.advance(LIFE_S - 1)
    first = keys.begin(*call)
    assert first is not None
    assert (first.status, first.body, first.request_id) == (402, '{"error": {}}', "req_1")
    clock.advance(1)
    assert keys.begin(*call) is None


def test_key_of_a_call_that_never_began_is_free_for_another_body() -> None:
    keys = Keys(Clock())
    assert keys.begin("key", "POST", "/v1/refunds", {"amount": "x"}, "req_1") is None
    keys.forget("key")
    assert keys.begin("key", "POST", "/v1/refunds", {"amount": "1"}, "req_2") is None


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_key_of_no_or_too_many_characters_is_refused(key: str) -> None:
    with pytest.raises(Unstarted) as refusal:
        Keys(Clock()).begin(key, "POST", "/v1/refunds", {}, "req_1")
    assert refusal.value.status == 400
