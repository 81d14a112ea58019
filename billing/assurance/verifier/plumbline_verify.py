#!/usr/bin/env python3
"""Verify a statement bundle of Plumbline without Plumbline: Python 3.9 or newer, its standard library, nothing else.

    python3 plumbline_verify.py bundle.zip --fingerprint HEX

The fingerprint of the seller's signing key must come from elsewhere (a contract, a web page), not from whoever gave you the bundle.
Exit status: 0 everything was proven; 1 something is wrong, and one sentence says where; 2 everything holds together but the signer
is unknown, because no fingerprint was given; 64 wrong usage.

How it hangs together. Every usage record and every price version has a hash. A rated line's hash covers both. A posting's
transaction covers the Merkle root of its lines' hashes. Each transaction covers the one before it, so the last hash of an account's
chain holds all of it still. A signed root is a Merkle root over the last hashes of all accounts: a chain cannot be cut or written
anew without breaking the signature. Hashes are SHA-256 over compact JSON `[version, fields...]` in UTF-8 with sorted keys.
"""

import argparse
import hashlib
import json
import re
import sys
import zipfile
from fractions import Fraction

FORMAT = "plumbline-bundle/1"
ROWS = (
    "transactions.jsonl",
    "postings.jsonl",
    "lines.jsonl",
    "prices.jsonl",
    "counters.jsonl",
    "charges.jsonl",
    "invoices.jsonl",
)
EXTRA = ("derivations.jsonl",)  # only in the evidence of one invoice, with the files it was sent as
FILES = re.compile(r"files/[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
WHOLE = ("README.txt", "plumbline_verify.py", "account.json", "root.json", "manifest.json", "signature.json")
MAX_LINE, MAX_WHOLE, MAX_DIGITS = 64 * 2**20, 16 * 2**20, 60
SEAL = re.compile(rb"plumbline-bundle sha256 ([0-9a-f]{64})")
HEX = re.compile(r"[0-9a-f]{64}")


class Wrong(Exception):
    """What is wrong with the bundle, in one sentence."""


def require(holds, sentence):
    if not holds:
        raise Wrong(sentence)


# --- canonical bytes, hashes, Merkle trees (RFC 6962)


def dumps(value):
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def digest(*fields):
    return hashlib.sha256(dumps(list(fields)).encode()).hexdigest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def merkle_root(hashes):
    if not hashes:
        return hashlib.sha256(b"").hexdigest()
    level = [hashlib.sha256(b"\x00" + bytes.fromhex(each)).digest() for each in hashes]
    while len(level) > 1:
        odd = [level[-1]] if len(level) % 2 else []
        level = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)] + odd
    return level[0].hex()


def root_of_proof(data, place, count, path):
    require(0 <= place < count, "the place in the tree is outside of it")
    current, siblings = hashlib.sha256(b"\x00" + data).digest(), [bytes.fromhex(each) for each in path]
    while count > 1:
        if place % 2 or place + 1 < count:
            require(siblings, "the proof is too short")
            sibling = siblings.pop(0)
            current = node(sibling, current) if place % 2 else node(current, sibling)
        place, count = place // 2, (count + 1) // 2
    require(not siblings, "the proof is too long")
    return current.hex()


# --- Ed25519 (RFC 8032, section 5.1.7), points as (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def decompress(data):
    y, sign = int.from_bytes(data, "little") & (1 << 255) - 1, data[31] >> 7
    require(len(data) == 32 and y < P, "a key or signature is no point of the curve")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    require((x * x - square) % P == 0 and not (x == 0 and sign), "a key or signature is no point of the curve")
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(message, signature, public_key):
    signature, public_key = bytes.fromhex(signature), bytes.fromhex(public_key)
    if len(signature) != 64 or len(public_key) != 32:
        return False
    key, r, s = decompress(public_key), decompress(signature[:32]), int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % ORDER
    left, right = multiply(s, BASE), add(r, multiply(challenge, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# --- price curves: the exact cost, in minor units, of all that a counter has seen

EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DIGITS = {code: digits for digits, codes in EXPONENTS.items() for code in codes.split()}


def half_up(value):
    """The nearest integer, halves away from zero."""
    rounded = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return rounded if value >= 0 else -rounded


def share_of(scale):
    return Fraction(1) if scale is None else Fraction(scale["lengths_ms"][scale["index"]], sum(scale["lengths_ms"]))


def bound_of(whole, scale):
    """A segment's part of a bound: half up, never more than is left, the rest to the last segment."""
    if scale is None:
        return whole
    left, total, last = whole, sum(scale["lengths_ms"]), len(scale["lengths_ms"]) - 1
    for index, length in enumerate(scale["lengths_ms"]):
        part = left if index == last else min(half_up(Fraction(whole * length, total)), left)
        if index == scale["index"]:
            return part
        left -= part
    raise Wrong("a counter's scale names no segment")


def curve(price, scale):
    """cost(quantity in base units) -> Fraction of minor units."""
    unit, told, model = price["base_per_unit"], price["parameters"], price["model"]
    minor = 10 ** DIGITS.get(price["currency"], 2)

    def bound(text):
        whole = Fraction(text) * unit
        require(whole.denominator == 1, "a bound is no whole number of base units")
        return bound_of(whole.numerator, scale)

    require(
        scale is None or sorted(scale) == ["index", "lengths_ms"],
        "a counter's share of its period is written otherwise",
    )
    scaled = ("flat", "graduated", "volume", "allowance")
    require(scale is None or model in scaled, "a counter has a share of its period, which its price does not ask for")
    if model == "per_unit":
        slope = Fraction(told["unit_price"]) * minor / unit
        return lambda quantity: quantity * slope
    if model == "percentage":
        slope = Fraction(told["percent"]) / 100 / unit
        return lambda quantity: quantity * slope
    if model == "flat":
        amount = Fraction(told["amount"]) * minor * share_of(scale)
        return lambda quantity: amount if counted(quantity) else Fraction(0)
    if model == "package":
        size, amount = Fraction(told["package_size"]) * unit, Fraction(told["package_price"]) * minor
        return lambda quantity: -(-counted(quantity) // size) * amount
    if model == "allowance":
        free, slope = bound(told["free"]), Fraction(told["unit_price"]) * minor / unit
        return lambda quantity: max(0, counted(quantity) - free) * slope
    require(model in ("graduated", "volume"), "the price model %r is not known to this verifier" % model)
    tiers, start = [], 0
    for tier in told["tiers"]:
        end = max(bound(tier["up_to"]), start) if tier.get("up_to") is not None else None
        tiers.append((start, end, Fraction(tier["unit_price"]) * minor / unit))
        start = end
    require(
        tiers and [end is None for _, end, _ in tiers].index(True) == len(tiers) - 1, "the tiers of a price do not end"
    )
    if model == "graduated":
        return lambda quantity: sum(
            max(0, (counted(quantity) if end is None else min(counted(quantity), end)) - begin) * slope
            for begin, end, slope in tiers
        )
    return lambda quantity: counted(quantity) * next(slope for _, end, slope in tiers if end is None or quantity <= end)


def counted(quantity):
    require(quantity >= 0, "a counter stands below zero")
    return quantity


# --- the bundle


class Bundle:
    """The file, member by member. `place` says where the reading is, for the sentence about what is wrong."""

    def __init__(self, path):
        self.path, self.place, self.hashes, self.counts = path, "", {}, {}
        self.zip = zipfile.ZipFile(path)
        names = self.zip.namelist()
        require(len(set(names)) == len(names), "a file is in it twice")
        self.files = sorted(name for name in names if FILES.fullmatch(name))
        odd = sorted(set(names) - set(ROWS) - set(WHOLE) - set(EXTRA) - set(self.files))
        require(not odd, "it holds a file that does not belong there: %s" % ascii(odd[0][:60]) if odd else "")
        missing = [name for name in WHOLE + ROWS if name not in names]
        require(not missing, "%s is missing" % (missing[0] if missing else ""))

    def whole(self, name):
        """A small member's bytes."""
        self.place = name
        require(self.zip.getinfo(name).file_size <= MAX_WHOLE, "it is too large to be one of a bundle")
        with self.zip.open(name) as file:
            data = file.read(MAX_WHOLE + 1)
        self.hashes[name] = hashlib.sha256(data).hexdigest()
        return data

    def document(self, name):
        data = self.whole(name)
        found = parse(data)
        require(
            isinstance(found, dict) and data == dumps(found).encode() + b"\n", "it is not written in the canonical form"
        )
        return found

    def rows(self, name):
        """The rows of a member. A line is `["hash",{row}]`: the first 16 digits of the hash of the row's text say which row was altered."""
        sha, number, self.place = hashlib.sha256(), 0, name
        with self.zip.open(name) as file:
            while True:
                self.place = "%s, line %d" % (name, number + 1)
                line = file.readline(MAX_LINE)
                if not line:
                    break
                number += 1
                require(line.endswith(b"\n"), "the line does not end: the file was cut, or the line is too long")
                sha.update(line)
                told, row = parse(line)
                self.place += " (%s)" % ascii(row["id"])[1:-1][:60]
                require(line[:20] == b'["%s",' % told.encode() and line[-2:] == b"]\n", "it is no row")
                found = hashlib.sha256(line[20:-2]).hexdigest()[:16]
                require(told == found, "the row was altered: it does not hash to the %s before it" % ascii(told)[:20])
                yield row
        self.hashes[name], self.counts[name] = sha.hexdigest(), number
        self.place = name

    def check_packing(self):
        """The file around the members: its comment is the hash of all bytes before it, so not one of them was altered."""
        self.place = "the zip file itself"
        seal = SEAL.fullmatch(self.zip.comment)
        require(seal, "its comment, which holds the hash of the file, was altered")
        sha = hashlib.sha256()
        with open(self.path, "rb") as file:
            left = file.seek(0, 2) - len(self.zip.comment)
            file.seek(0)
            while left > 0:
                chunk = file.read(min(left, 2**20))
                require(chunk, "it ends early")
                sha.update(chunk)
                left -= len(chunk)
        require(
            sha.hexdigest().encode() == seal.group(1),
            "its contents are as signed, but bytes of the packing around them were altered",
        )


def parse(data):
    def number(text):
        require(len(text) <= MAX_DIGITS, "it holds a number of %d digits" % len(text))
        return int(text)

    def refused(text):
        raise Wrong("it holds the number %s, which is not an integer" % ascii(text[:20]))

    return json.loads(data.decode("utf-8"), parse_int=number, parse_float=refused, parse_constant=refused)


HEADER = (
    "id billing_account_id chain_seq type source_type source_id content_hash accounting_period_id occurred_at_micros effective_at_micros "
    "recorded_at_micros reverses_id linked_id actor memo_hash correlation_id entry_count"
).split()
ENTRY = (
    "id billing_account_id chain_seq seq kind debit_account_id debit_owner credit_account_id credit_owner amount_minor currency detail"
).split()
USAGE = (
    "id billing_account_id usage_seq source source_id meter_code start_at_micros end_at_micros quantity_base allocation_id project_id "
    "member_id resource tags"
).split()
ATTRIBUTION = ("variant", "mode", "route", "route_kind", "reseller_id", "corrects_id")
LINE = (
    "id billing_account_id line_seq usage_record_id counter_id counter_seq charge_id price_version_id quantity_base before_base "
    "amount_micro currency"
).split()
ROOT = "id seq previous_hash merkle_root chain_count transaction_count signed_at_micros key_id fingerprint".split()


def check_price(row):
    fields = [row[name] for name in ("book_code", "sku_code", "currency", "model")]
    found = digest("price/1", *fields, dumps(row["parameters"]), row["valid_from_micros"])
    require(found == row["price_hash"], "the price does not hash to what it says")
    require(type(row["base_per_unit"]) is int and row["base_per_unit"] > 0, "its unit cannot be divided by")


def check_document(row):
    document = row["snapshot"]
    require(
        digest("invoice-snapshot/1", document) == row["snapshot_hash"], "the document does not hash to what it says"
    )
    told = (document["id"], document["kind"], document["number"])
    require(told == (row["id"], row["kind"], row["number"]), "the row names another document than its snapshot")


class Verifier:
    """One pass over each member; in memory stand the prices, counters and charges, and one posting's lines."""

    def __init__(self, bundle):
        self.bundle, self.said = bundle, []
        self.account = bundle.document("account.json")
        require(self.account["format"] == FORMAT, "it is of another format than this verifier reads")
        self.id, self.since, self.until = self.account["id"], self.account["from_micros"], self.account["to_micros"]
        self.shown = None if self.account.get("shown") is None else frozenset(self.account["shown"])
        self.is_part = self.since is not None or self.shown is not None
        if self.shown is not None:  # what it says decides what is looked at: it is compared before it is believed
            told = bundle.document("manifest.json")["files"]["account.json"]["sha256"]
            bundle.place = "account.json"
            require(told == bundle.hashes["account.json"], "it is not the file that was signed")
        self.prices = self.table("prices.jsonl")
        self.counters, self.charges = self.table("counters.jsonl"), self.table("charges.jsonl")
        documents = self.table("invoices.jsonl")
        self.invoices = {row_id: (row["snapshot_hash"], row["kind"]) for row_id, row in documents.items()}
        self.billed = [row["snapshot"] for row in documents.values()] if self.shown is not None else []
        self.curves, self.lines, self.postings = {}, bundle.rows("lines.jsonl"), bundle.rows("postings.jsonl")
        self.next_line, self.next_posting = next(self.lines, None), next(self.postings, None)
        self.run = [0, 0, 0]
        self.counts = dict.fromkeys(("entries", "memos", "anchored", "lines", "postings", "documents", "sealed"), 0)

    def table(self, name):
        check = {"prices.jsonl": check_price, "invoices.jsonl": check_document}.get(name)
        rows = {}
        for row in self.bundle.rows(name):
            require(row["id"] not in rows, "the row is there twice")
            if check:
                check(row)
            rows[row["id"]] = row
        return rows

    def in_range(self, row):
        if self.shown is not None:
            return row["id"] in self.shown
        recorded = row["recorded_at_micros"]
        return (self.since is None or recorded >= self.since) and (self.until is None or recorded < self.until)

    def curve(self, price_id, scale):
        key = (price_id, dumps(scale))
        if key not in self.curves:
            require(price_id in self.prices, "its price %s is not in the bundle" % price_id)
            self.curves[key] = curve(self.prices[price_id], scale)
        return self.curves[key]

    # -- the chain

    def check_chain(self):
        last_seq, last_hash, opening, closing, final = 0, "0" * 64, {}, {}, {}
        for row in self.bundle.rows("transactions.jsonl"):
            at = self.bundle.place
            require(row["billing_account_id"] == self.id, "the transaction is of another account")
            require(
                row["chain_seq"] == last_seq + 1,
                "number %s of the chain follows number %d" % (row["chain_seq"], last_seq),
            )
            require(row["prev_hash"] == last_hash, "the transaction does not name the hash of the one before it")
            entries = row["entries"]
            require(len(entries) == row["entry_count"], "the transaction has lost or gained an entry")
            hashed = [[entry[name] for name in ENTRY] for entry in entries]
            require(all(len(entry) == len(ENTRY) for entry in entries), "an entry has fields that are none")
            found = digest(
                "ledger-transaction/1", row["prev_hash"], [row[name] for name in HEADER], hashed, row["anchor_hash"]
            )
            require(
                found == row["hash"],
                "the transaction does not hash to what it says: it or one of its entries was altered",
            )
            for entry in entries:
                self.check_entry(row, entry)
                self.fold(final, entry)
                if self.since is not None and row["recorded_at_micros"] < self.since:
                    self.fold(opening, entry)
                if self.until is None or row["recorded_at_micros"] < self.until:
                    self.fold(closing, entry)
            self.check_memo(row)
            if row["anchor_hash"] is not None:
                self.check_anchor(row)
                self.bundle.place = at
            last_seq, last_hash = row["chain_seq"], row["hash"]
        self.bundle.place = "lines.jsonl"
        require(self.is_whole_run(), "the last posting run posted other lines than it says")
        require(self.next_line is None, "%s belongs to no posting of the chain" % (self.next_line or {}).get("id"))
        self.bundle.place = "postings.jsonl"
        require(
            self.next_posting is None, "%s belongs to no posting of the chain" % (self.next_posting or {}).get("id")
        )
        if not self.is_part:
            self.check_generations()
        for document in self.billed:
            self.check_billed(document)
        self.bundle.place = "account.json"
        for name, told, folded in (
            ("opening", "opening", opening),
            ("closing", "closing", closing),
            ("final", "head_balances", final),
        ):
            require(self.account[told] == folded, "the %s balances are not the sums of the entries" % name)
        self.head = (last_seq, last_hash)
        return last_seq, closing

    def check_entry(self, row, entry):
        self.counts["entries"] += 1
        name = "entry %s: " % entry["id"]
        require(
            (entry["billing_account_id"], entry["chain_seq"]) == (self.id, row["chain_seq"]),
            name + "it is of another transaction",
        )
        require(
            type(entry["amount_minor"]) is int and entry["amount_minor"] > 0,
            name + "its amount is not a positive number",
        )
        require(
            entry["debit_account_id"] != entry["credit_account_id"],
            name + "it debits and credits the same book account",
        )
        for side in ("debit", "credit"):
            owner, book = entry[side + "_owner"], entry[side + "_account_id"]
            require(
                owner in ("house", self.id) and book.split("/")[0] == owner,
                name + "it moves a book account of somebody else",
            )
            require(book.split("/")[-1] == entry["currency"], name + "it moves another currency than its own")

    def fold(self, sums, entry):
        for side, sign in (("credit", 1), ("debit", -1)):
            if entry[side + "_owner"] == self.id:
                book = entry[side + "_account_id"]
                sums[book] = sums.get(book, 0) + sign * entry["amount_minor"]

    def check_memo(self, row):
        memo = row["memo"]
        if memo is not None:
            self.counts["memos"] += 1
            require(
                digest("ledger-memo/1", memo["salt"], memo["text"]) == row["memo_hash"],
                "its memo is not the one that was hashed",
            )

    # -- what transactions anchor

    def check_anchor(self, row):
        self.counts["anchored"] += 1
        if not self.in_range(row):
            self.counts["sealed"] += 1
        elif row["type"] == "posting":
            self.check_posting(row)
        else:
            self.counts["documents"] += 1
            document = self.invoices.pop(row["source_id"], None)
            require(document is not None, "the document %s that it anchors is not in the bundle" % row["source_id"])
            require(
                document == (row["anchor_hash"], row["source_type"]),
                "it anchors another document than %s" % row["source_id"],
            )

    def check_posting(self, row):
        at, added, hashes, last = self.bundle.place, {}, [], 0
        while self.next_line is not None and self.next_line["transaction_id"] == row["id"]:
            line = self.next_line
            require(line["line_seq"] > last, "the lines of a posting do not rise")
            last = line["line_seq"]
            self.bundle.place = "lines.jsonl, line %d (%s)" % (self.counts["lines"] + 1, line["id"])
            self.check_line(line)
            self.counts["lines"] += 1
            hashes.append(line["line_hash"])
            charge = added.setdefault(line["charge_id"], [0, line["line_seq"], 0])
            charge[0], charge[2] = charge[0] + line["quantity_base"], line["line_seq"]
            self.next_line = next(self.lines, None)
        self.bundle.place = at
        require(
            merkle_root(hashes) == row["anchor_hash"], "it anchors other lines than the %d of lines.jsonl" % len(hashes)
        )
        moved = {}
        for entry in row["entries"]:
            charge_id = entry["detail"].get("charge_id")
            sign = 1 if entry["debit_owner"] == self.id else -1
            moved[charge_id] = moved.get(charge_id, 0) + sign * entry["amount_minor"]
        while self.next_posting is not None and self.next_posting["transaction_id"] == row["id"]:
            posting = self.next_posting
            self.counts["postings"] += 1
            self.bundle.place = "postings.jsonl, line %d (%s)" % (self.counts["postings"], posting["id"])
            require(posting["charge_id"] in added, "it posts a charge that has no line in this posting")
            self.check_run(posting["from_line_seq"], posting["to_line_seq"])
            self.check_charge(posting, *added.pop(posting["charge_id"]))
            require(
                moved.pop(posting["charge_id"], 0) == posting["increment_minor"],
                "the ledger moved another amount than it says",
            )
            self.next_posting = next(self.postings, None)
        self.bundle.place = at
        self.run[2] += len(hashes)
        require(not added, "it has lines of a charge that it does not post: %s" % ", ".join(sorted(added)[:1]))
        require(not moved, "it bills an amount that no posting accounts for")

    def check_run(self, start, end):
        """A run posts the lines in (start, end] of the account, all of them, and the next one goes on from there."""
        if self.run[:2] != [start, end]:
            require(self.is_whole_run(), "the run before it posted other lines than it says")
            is_next = start == self.run[1] or (self.is_part and self.run[1] == 0)
            is_next = is_next or (self.shown is not None and start >= self.run[1])
            require(is_next and start < end, "it covers other lines than those after the run before it")
            self.run = [start, end, 0]

    def is_whole_run(self):
        """All lines of the run were there; of one invoice only those of its months are."""
        missing = self.run[1] - self.run[0] - self.run[2]
        return missing == 0 or (self.shown is not None and missing > 0)

    def check_billed(self, document):
        """Each line of a document that bills a charge says what the charge comes to: as posted, or converted and rounded once."""
        self.bundle.place = "invoices.jsonl (%s)" % document["id"]
        if document["kind"] == "credit_note" and self.account["invoice"].get("takes_charges") is not True:
            return
        sign = -1 if document["kind"] == "credit_note" else 1
        for line in document["lines"]:
            if line["charge_id"] is None:
                continue
            charge = self.charges.get(line["charge_id"], {})
            require("posted" in charge, "line %s bills a charge that is not in the bundle" % line["seq"])
            minor, of, posted = line["amount_minor"], line.get("converted"), charge["posted"][1]
            minor = sign * (minor if line.get("gross_minor") is None else line["gross_minor"])
            if of is not None:
                exact = Fraction(of["amount_text"])
                made = half_up(exact * Fraction(of["rate_text"]) * 10 ** DIGITS.get(document["currency"], 2))
                require(minor == made, "line %s says %d, its rate makes %d" % (line["seq"], minor, made))
                minor = half_up(exact * 10 ** DIGITS.get(of["currency"], 2))
            require(minor == posted, "line %s bills %d, its charge holds %d" % (line["seq"], minor, posted))

    def check_line(self, line):
        usage = line["usage"]
        require(len(usage) == len(USAGE) + len(ATTRIBUTION), "its usage record has fields that are none")
        fields = [usage[name] for name in USAGE]
        fields[8], fields[13] = str(usage["quantity_base"]), dumps(usage["tags"])
        more = [usage[name] for name in ATTRIBUTION]
        more = [] if more == ["", "on_demand", None, None, None, None] else more
        record_hash = digest("usage-record/2" if more else "usage-record/1", *fields, *more)
        price = self.prices.get(line["price_version_id"])
        require(price is not None, "its price %s is not in the bundle" % line["price_version_id"])
        told = [str(line[name]) if name.endswith(("_base", "_micro")) else line[name] for name in LINE]
        found = digest("rated-line/1", *told, line["rated_at_micros"], record_hash, price["price_hash"])
        require(
            found == line["line_hash"],
            "the line does not hash to what it says: the line, its usage or its price was altered",
        )
        ours = (usage["id"], usage["billing_account_id"], usage["quantity_base"])
        require(
            ours == (line["usage_record_id"], self.id, line["quantity_base"]),
            "it counts another usage record than the one beside it",
        )
        require(line["billing_account_id"] == self.id, "the line is of another account")
        require(
            (line["currency"], usage["meter_code"]) == (price["currency"], price["meter_code"]),
            "its price is of another currency or meter",
        )
        counter, charge = self.counters.get(line["counter_id"]), self.charges.get(line["charge_id"])
        require(counter is not None and charge is not None, "its counter or its charge is not in the bundle")
        require(
            (charge["counter_id"], counter["price_version_id"]) == (line["counter_id"], price["id"]),
            "its charge belongs to another counter",
        )
        project = (usage["project_id"] or "") if price["model"] == "per_unit" else ""
        ours = (project, price["sku_code"], counter["billing_period_id"])
        theirs = (charge["project_key"], charge["sku_code"], charge["billing_period_id"])
        require(ours == theirs, "its charge is of another project, product or period")
        opened = charge.setdefault("opened", line["line_seq"])
        is_first = charge["first_line_seq"] == opened or (self.is_part and charge["first_line_seq"] < opened)
        require(is_first, "its charge says that another line opened it")
        self.check_amount(line, counter, price)

    def check_generations(self):
        """A charge that a document closed is followed by another, which starts at what those before it counted."""
        stands = {}
        for charge in sorted(self.charges.values(), key=lambda each: each["generation"]):
            self.bundle.place = "charges.jsonl (%s)" % charge["id"]
            key = (charge["counter_id"], charge["project_key"])
            require("posted" in charge, "it was never posted")
            require(
                stands.get(key, (0, 0)) == (charge["generation"], charge["before_base"]),
                "it does not start where those before it end",
            )
            stands[key] = (charge["generation"] + 1, charge["before_base"] + charge["posted"][2])

    def check_amount(self, line, counter, price):
        """amount = R(cost(before + quantity)) - R(cost(before)), R: half up to a millionth of a minor unit."""
        known = "stands" in counter
        if not known or (self.shown is not None and counter["stands"][1] < line["counter_seq"] - 1):
            counter["stands"] = (line["before_base"], line["counter_seq"] - 1)
            require(self.is_part or counter["stands"] == (0, 0), "the counter's earlier lines are missing")
        require(
            counter["stands"] == (line["before_base"], line["counter_seq"] - 1),
            "its counter stood elsewhere before this line",
        )
        after = line["before_base"] + line["quantity_base"]
        before_cost = self.curve(price["id"], scale_at(counter, line["line_seq"] - 1))(line["before_base"])
        cost = self.curve(price["id"], scale_at(counter, line["line_seq"]))(after)
        amount = half_up(cost * 10**6) - half_up(before_cost * 10**6)
        require(
            amount == line["amount_micro"],
            "its price makes %d millionths of a minor unit, the line says %d" % (amount, line["amount_micro"]),
        )
        counter["stands"] = (after, line["counter_seq"])

    def check_charge(self, posting, quantity, first_seq, last_seq):
        """posted = R(cost(before + quantity) - cost(before)), rounded once, R: half up to the minor unit."""
        charge = self.charges[posting["charge_id"]]
        counter = self.counters[charge["counter_id"]]
        is_first = "posted" not in charge
        if is_first:
            charge["posted"] = (
                posting["seq"] - 1,
                posting["posted_minor"] - posting["increment_minor"],
                posting["quantity_base"] - quantity,
            )
            require(self.is_part or charge["posted"] == (0, 0, 0), "the charge's earlier postings are missing")
        told = (
            posting["seq"] - 1,
            posting["posted_minor"] - posting["increment_minor"],
            posting["quantity_base"] - quantity,
        )
        require(charge["posted"] == told, "it does not follow the charge's posting before it, or counts other lines")
        require(
            posting["from_line_seq"] < first_seq and last_seq <= posting["to_line_seq"],
            "it covers other lines than it says",
        )
        require(
            posting["currency"] == charge["currency"] == self.prices[counter["price_version_id"]]["currency"],
            "it is in another currency",
        )
        now = self.curve(counter["price_version_id"], scale_at(counter, posting["to_line_seq"]))
        opened = self.curve(counter["price_version_id"], scale_at(counter, charge["first_line_seq"] - 1))
        exact = now(charge["before_base"] + posting["quantity_base"]) - opened(charge["before_base"])
        right = half_up(exact)
        require(
            posting["posted_minor"] == right,
            "its charge is exactly %s minor units, so %d, it says %s" % (exact, right, posting["posted_minor"]),
        )
        charge["posted"] = (posting["seq"], posting["posted_minor"], posting["quantity_base"])

    # -- the signature

    def check_root(self, fingerprint):
        told = self.bundle.document("root.json")
        root, keys, head, proof = told["root"], told["keys"], told["head"], told["proof"]
        require(
            (head["chain_seq"], head["chain_hash"]) == self.head,
            "the signed head is not where the chain of the bundle ends",
        )
        leaf = dumps(["chain-head/1", self.id, head["chain_seq"], head["chain_hash"]]).encode()
        found = root_of_proof(leaf, proof["place"], root["chain_count"], proof["path"])
        require(found == root["merkle_root"], "the account's head is not under the signed root")
        require(
            digest("signed-root/1", *[root[name] for name in ROOT]) == root["hash"],
            "the root does not hash to what it says",
        )
        trusted = self.check_keys(keys, fingerprint)
        key = keys[-1]
        require(
            (root["key_id"], root["fingerprint"]) == (key["id"], key["fingerprint"]),
            "the root is signed by another key than the newest",
        )
        message = b"plumbline signed root\n" + bytes.fromhex(root["hash"])
        require(
            is_signed(message, root["signature"], key["public_key"]), "the signature of the root is not that of its key"
        )
        return root, key, trusted

    def check_keys(self, keys, fingerprint):
        """Each key is signed by the one before it. How many rotations lie after the one whose fingerprint is known; None: unknown."""
        trusted = None
        for place, key in enumerate(keys):
            require(
                hashlib.sha256(bytes.fromhex(key["public_key"])).hexdigest() == key["fingerprint"],
                "a key has another fingerprint",
            )
            if place:
                message = b"plumbline signing key\n" + bytes.fromhex(key["public_key"])
                before = keys[place - 1]
                require(key["previous_id"] == before["id"], "the keys do not follow each other")
                require(
                    is_signed(message, key["signature"], before["public_key"]),
                    "key %s is not signed by the one before" % key["id"],
                )
            if key["fingerprint"] == fingerprint:
                trusted = len(keys) - 1 - place
        require(
            fingerprint is None or trusted is not None,
            "it is not signed by a key of the fingerprint that you gave, but by %s" % keys[-1]["fingerprint"],
        )
        return trusted

    def check_manifest(self, key):
        manifest = self.bundle.document("manifest.json")
        signature = self.bundle.document("signature.json")
        message = b"plumbline statement bundle\n" + bytes.fromhex(self.bundle.hashes["manifest.json"])
        signed = is_signed(message, signature["signature"], key["public_key"])
        require(
            signed and signature["fingerprint"] == key["fingerprint"],
            "the manifest is not what key %s signed" % key["fingerprint"],
        )
        self.bundle.whole("README.txt")
        self.bundle.whole("plumbline_verify.py")
        told = {name: entry["sha256"] for name, entry in manifest["files"].items()}
        extra = [name for name in EXTRA if name in told]
        for name in extra:
            for row in self.bundle.rows(name):
                require(digest(*row["hashed"]) == row["hash"], "the derivation does not hash to what it says")
        for name in self.bundle.files:
            self.bundle.whole(name)
        self.bundle.place = "manifest.json"
        there = set(ROWS + WHOLE) - {"manifest.json", "signature.json"} | set(extra) | set(self.bundle.files)
        require(set(told) == there, "it names other files than there are")
        for name in sorted(there):
            self.bundle.place = name
            require(told.get(name) == self.bundle.hashes[name], "it is not the file that was signed")
        for name in (*ROWS, *extra):
            self.bundle.place = name
            require(manifest["files"][name]["rows"] == self.bundle.counts[name], "it has other rows than were signed")


def scale_at(counter, line_seq):
    """The share of its period that a counter had once that line was rated: later rescaling lines changed it."""
    scale = counter["scale"]
    for change in counter["rescales"]:
        if change["line_seq"] <= line_seq:
            scale = change["scale"]
    return scale


def money(minor, currency):
    digits = DIGITS.get(currency, 2)
    text = str(abs(minor)).rjust(digits + 1, "0")
    return "%s%s%s %s" % (
        "-" if minor < 0 else "",
        text[: len(text) - digits],
        "." + text[-digits:] if digits else "",
        currency,
    )


def verify(path, fingerprint):
    """(sentences about what was proven, whether the signer is known). Raises Wrong."""
    bundle = None
    try:
        bundle = Bundle(path)
        verifier = Verifier(bundle)
        length, closing = verifier.check_chain()
        bundle.place = "invoices.jsonl"
        require(not verifier.invoices, "%s is anchored by no transaction" % ", ".join(sorted(verifier.invoices)[:1]))
        root, key, rotations = verifier.check_root(fingerprint)
        verifier.check_manifest(key)
        bundle.check_packing()
    except Exception as error:  # whatever a hostile file can raise: one sentence, with the place
        if not isinstance(error, Wrong):
            error = Wrong(
                "it cannot be read as what it should be (%s: %s)"
                % (type(error).__name__, ascii(str(error))[1:-1][:120])
            )
        raise Wrong("%s: %s." % ((bundle.place if bundle is not None else "") or "the file", error)) from None
    return sentences(verifier, length, closing, root, key, rotations), rotations is not None


def sentences(verifier, length, closing, root, key, rotations):
    n, account = verifier.counts, verifier.account
    yield "Account %s (%s): a chain of %d transactions, numbered without a gap, each hashing to what it says." % (
        account["code"],
        verifier.id,
        length,
    )
    yield (
        "%d entries, each from one book account to another with the same positive amount: they balance." % n["entries"]
    )
    yield "%d transactions anchor %d rated lines and %d documents, unaltered%s." % (
        n["anchored"] - n["sealed"],
        n["lines"],
        n["documents"],
        "; what %d others anchor is not shown" % n["sealed"] if n["sealed"] else "",
    )
    yield (
        "Every line's hash covers its usage record and its price; all %d amounts were worked out again from %d prices."
        % (n["lines"], len(verifier.prices))
    )
    yield "%d charges in %d postings, each its exact amount rounded once." % (
        sum("posted" in charge for charge in verifier.charges.values()),
        n["postings"],
    )
    if verifier.shown is not None:
        yield "Of %s: %d files as they were issued; each line is what its charge comes to." % (
            account["invoice"]["number"],
            len(verifier.bundle.files),
        )
    yield "%d notes are those that were hashed." % n["memos"]
    for name, told in (("Opening", account["opening"]), ("Closing", closing)):
        shown = [
            "%s %s" % (book.split("/")[1], money(minor, book.split("/")[2])) for book, minor in sorted(told.items())
        ]
        yield "%s balances, the sums of the entries: %s." % (name, ", ".join(shown) or "none")
    yield "The chain's end stands under root number %d over %d chains, signed at %s by key %s." % (
        root["seq"],
        root["chain_count"],
        account["root_signed_at"],
        key["fingerprint"],
    )
    if rotations is not None:
        yield "That is the key whose fingerprint you gave%s." % (
            ", %d rotations later, each key signed by the one before" % rotations if rotations else ""
        )


class Arguments(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(64, "%s\n" % message)


def main(arguments=None):
    parser = Arguments(description="Verify a statement bundle of Plumbline, offline.")
    parser.add_argument("bundle", help="the zip file")
    parser.add_argument(
        "--fingerprint", help="SHA-256 of the seller's signing key, 64 hex digits, from a source you trust"
    )
    given = parser.parse_args(arguments)
    fingerprint = given.fingerprint and re.sub(r"[\s:]", "", given.fingerprint).lower()
    if fingerprint is not None and not HEX.fullmatch(fingerprint):
        parser.error("the fingerprint must be 64 hex digits")
    try:
        proven, is_known = verify(given.bundle, fingerprint)
    except Wrong as wrong:
        print("NOT PROVEN. %s" % wrong)
        return 1
    for sentence in proven:
        print(sentence)
    print(
        "PROVEN."
        if is_known
        else "Consistent, signer unknown: give --fingerprint, from a source other than this bundle, to know who signed it."
    )
    return 0 if is_known else 2


if __name__ == "__main__":
    sys.exit(main())
