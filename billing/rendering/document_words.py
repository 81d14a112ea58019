"""The words of printed documents in every language that they are written in: one row a key, one column a language.

A key without a word in some language cannot be written down: each row has as many columns as there are languages.
"""

LANGUAGES = ("en", "de", "fr")

_ROWS: dict[str, tuple[str, str, str]] = {
    # What the document is.
    "invoice": ("Invoice", "Rechnung", "Facture"),
    "credit_note": ("Credit note", "Rechnungskorrektur", "Avoir"),
    "receipt": ("Receipt", "Zahlungsbeleg", "Reçu"),
    "draft": ("Draft invoice", "Rechnungsentwurf", "Projet de facture"),
    "pro_forma": ("Pro forma", "Proforma-Rechnung", "Facture pro forma"),
    "draft_credit_note": ("Draft credit note", "Entwurf einer Rechnungskorrektur", "Projet d’avoir"),
    "not_an_invoice": (
        "This is not an invoice. It has no number, may still change, and gives no right to deduct VAT.",
        "Dies ist keine Rechnung. Das Dokument trägt keine Nummer, kann sich noch ändern und berechtigt nicht zum Vorsteuerabzug.",
        "Ce document n’est pas une facture. Il ne porte pas de numéro, peut encore changer et n’ouvre pas droit à déduction de la TVA.",
    ),
    "as_of": ("As of {at}", "Stand {at}", "État au {at}"),
    # Facts at the head.
    "issued_on": ("Date of issue", "Ausstellungsdatum", "Date d’émission"),
    "due_on": ("Payment due", "Zahlbar bis", "Échéance"),
    "period": ("Billing period", "Leistungszeitraum", "Période facturée"),
    "in_advance": ("Paid in advance", "Vorauszahlung", "Payé d’avance"),
    "tax_point": ("Date of supply", "Leistungsdatum", "Date de la prestation"),
    "account": ("Account", "Konto", "Compte"),
    "purchase_order": ("Purchase order", "Bestellnummer", "Bon de commande"),
    "buyer_reference": ("Your reference", "Ihre Referenz", "Votre référence"),
    "corrects": ("Corrects invoice", "Korrigiert Rechnung", "Corrige la facture"),
    "of_day": ("{number} of {day}", "{number} vom {day}", "{number} du {day}"),
    "reason": ("Reason", "Grund", "Motif"),
    "paid_on": ("Paid on", "Bezahlt am", "Payé le"),
    "method": ("Method", "Zahlungsart", "Moyen de paiement"),
    # Parties.
    "from": ("From", "Von", "Émetteur"),
    "billed_to": ("Billed to", "Rechnungsempfänger", "Facturé à"),
    "credited_to": ("Credited to", "Empfänger der Gutschrift", "Crédité à"),
    "received_from": ("Received from", "Erhalten von", "Reçu de"),
    "vat_id": ("VAT ID {id}", "USt-IdNr. {id}", "N° TVA {id}"),
    "tax_number": ("Tax number {id}", "Steuernummer {id}", "N° fiscal {id}"),
    "legal_id": ("Company number {id}", "Handelsregister {id}", "Registre {id}"),
    # The figure that matters.
    "due_by": ("due by {day}", "zahlbar bis {day}", "à payer au plus tard le {day}"),
    "to_be_due": ("to be paid", "zu zahlen", "à payer"),
    "nothing_due": ("nothing is left to pay", "kein offener Betrag", "aucun montant restant dû"),
    "credited_on": ("credited on {day}", "gutgeschrieben am {day}", "crédité le {day}"),
    "to_be_credited": ("to be credited", "gutzuschreiben", "à créditer"),
    "received_on": ("received on {day}", "erhalten am {day}", "reçu le {day}"),
    # Lines.
    "service": ("Service", "Leistung", "Prestation"),
    "credit": ("Credit", "Gutschrift", "Crédit"),
    "quantity": ("Quantity", "Menge", "Quantité"),
    "unit_price": ("Unit price", "Einzelpreis", "Prix unitaire"),
    "unit_price_gross": ("Unit price with VAT", "Einzelpreis inkl. USt", "Prix unitaire TTC"),
    "vat": ("VAT", "USt", "TVA"),
    "net_in": ("Net, {currency}", "Netto, {currency}", "HT, {currency}"),
    "gross_in": ("With VAT, {currency}", "Brutto, {currency}", "TTC, {currency}"),
    "per": ("per {unit}", "je {unit}", "par {unit}"),
    "project": ("Project {code}", "Projekt {code}", "Projet {code}"),
    "late_usage": ("Late usage for {month}", "Nachgemeldete Nutzung für {month}", "Usage tardif de {month}"),
    "for_month": ("For {month}", "Für {month}", "Pour {month}"),
    "converted": (
        "{amount} at {rate} {to} for 1 {currency}, published {day}",
        "{amount} zum Kurs {rate} {to} je 1 {currency}, veröffentlicht am {day}",
        "{amount} au cours de {rate} {to} pour 1 {currency}, publié le {day}",
    ),
    "inclusive_note": (
        "Prices include VAT. Net amounts follow from the sum with VAT of each rate.",
        "Die Preise enthalten die Umsatzsteuer. Die Nettobeträge ergeben sich je Steuersatz aus der Bruttosumme.",
        "Les prix sont TTC. Les montants HT sont calculés à partir de la somme TTC de chaque taux.",
    ),
    # Taxes.
    "vat_summary": ("VAT summary", "Umsatzsteuer", "Récapitulatif de TVA"),
    "category": ("Category", "Kategorie", "Catégorie"),
    "rate": ("Rate", "Satz", "Taux"),
    "taxable": ("Taxable", "Bemessung", "Base HT"),
    "category_S": ("Standard", "Regelsteuersatz", "Taux normal"),
    "category_Z": ("Zero rate", "Nullsatz", "Taux zéro"),
    "category_E": ("Exempt", "Steuerfrei", "Exonéré"),
    "category_AE": ("Reverse charge", "Reverse-Charge", "Autoliquidation"),
    "category_K": ("Intra-community", "Innergemeinschaftlich", "Intracommunautaire"),
    "category_G": ("Export", "Ausfuhr", "Exportation"),
    "category_O": ("Not subject", "Nicht steuerbar", "Hors champ"),
    "vat_in_tax_currency": ("VAT in {currency}: {amount}", "Umsatzsteuer in {currency}: {amount}", "TVA en {currency} : {amount}"),
    "tax_rate_of": (
        "1 {currency} {rate} {to}, published {day}",
        "1 {currency} {rate} {to}, veröffentlicht am {day}",
        "1 {currency} {rate} {to}, publié le {day}",
    ),
    # Sums.
    "sum_of_lines": ("Sum of the lines", "Summe der Positionen", "Somme des lignes"),
    "gift": ("Gift", "Guthaben", "Crédit offert"),
    "discount": ("Discount", "Rabatt", "Remise"),
    "gift_back": ("Gift given back", "Guthaben zurückgegeben", "Crédit offert rendu"),
    "discount_back": ("Discount taken back", "Rabatt zurückgenommen", "Remise reprise"),
    "net": ("Net", "Nettobetrag", "Total HT"),
    "vat_of": ("VAT {rate}, {country}", "USt {rate}, {country}", "TVA {rate}, {country}"),
    "total": ("Total with VAT", "Gesamtbetrag", "Total TTC"),
    "rounding": ("Rounding", "Rundung", "Arrondi"),
    "from_wallet": ("Paid from the wallet", "Aus dem Guthabenkonto bezahlt", "Payé par le porte-monnaie"),
    "due": ("Due, {currency}", "Zu zahlen, {currency}", "À payer, {currency}"),
    "off_open": ("Taken off what is open", "Vom offenen Betrag abgezogen", "Déduit du montant ouvert"),
    "to_wallet": ("Added to the wallet", "Dem Guthabenkonto gutgeschrieben", "Ajouté au porte-monnaie"),
    "credited": ("Credited, {currency}", "Gutgeschrieben, {currency}", "Crédité, {currency}"),
    "received": ("Received, {currency}", "Erhalten, {currency}", "Reçu, {currency}"),
    # Paying.
    "how_to_pay": ("How to pay", "Zahlung", "Règlement"),
    "pay_online": (
        "Online: sign in to the billing portal and open this invoice.",
        "Online: Melden Sie sich im Abrechnungsportal an und öffnen Sie diese Rechnung.",
        "En ligne : connectez-vous au portail de facturation et ouvrez cette facture.",
    ),
    "by_transfer": ("By bank transfer", "Per Überweisung", "Par virement"),
    "account_holder": ("Account holder", "Kontoinhaber", "Titulaire"),
    "bank": ("Bank", "Bank", "Banque"),
    "reference": ("Reference", "Verwendungszweck", "Référence"),
    "scan_to_pay": ("Scan to pay", "Zum Bezahlen scannen", "Scanner pour payer"),
    "qr_alt": (
        "QR code of a transfer of {amount} to {iban}, reference {reference}",
        "QR-Code einer Überweisung von {amount} an {iban}, Verwendungszweck {reference}",
        "Code QR d’un virement de {amount} vers {iban}, référence {reference}",
    ),
    "where_credit_went": ("Where the credit went", "Verbleib der Gutschrift", "Destination du crédit"),
    "credit_in_wallet": (
        "{amount} is in the wallet of account {account} and is used for the next invoice.",
        "{amount} liegen im Guthabenkonto von {account} und werden mit der nächsten Rechnung verrechnet.",
        "{amount} se trouve dans le porte-monnaie du compte {account} et servira à la prochaine facture.",
    ),
    # Receipts.
    "paid_for": ("What was paid", "Verwendung", "Affectation"),
    "paid_invoice": ("Invoice {number}", "Rechnung {number}", "Facture {number}"),
    "paid_wallet": (
        "Added to the wallet of account {account}",
        "Guthabenkonto von {account}",
        "Porte-monnaie du compte {account}",
    ),
    "paid_open": ("Open invoices of account {account}", "Offene Rechnungen von {account}", "Factures ouvertes du compte {account}"),
    "amount_in": ("Amount, {currency}", "Betrag, {currency}", "Montant, {currency}"),
    "no_vat_on_deposit": (
        "A deposit bears no VAT: it is charged on what is used, by the invoice of its month. This receipt is not an invoice.",
        "Auf eine Einzahlung fällt keine Umsatzsteuer an; sie wird mit der Nutzung auf der Monatsrechnung erhoben. Dieser Beleg ist keine Rechnung.",
        "Un dépôt ne porte pas de TVA : elle est due sur la consommation, par la facture du mois. Ce reçu n’est pas une facture.",
    ),
    "vat_on_invoice": (
        "The VAT stands on the invoice. This receipt is not an invoice.",
        "Die Umsatzsteuer steht auf der Rechnung. Dieser Beleg ist keine Rechnung.",
        "La TVA figure sur la facture. Ce reçu n’est pas une facture.",
    ),
    "method_card": ("Card or online payment", "Karte oder Onlinezahlung", "Carte ou paiement en ligne"),
    "method_bank": ("Bank transfer", "Überweisung", "Virement bancaire"),
    "payment": ("Payment", "Zahlung", "Paiement"),
    "ledger_transaction": ("Ledger transaction", "Buchung", "Écriture"),
    # Proof and foot.
    "verify": ("Verify this document", "Dieses Dokument prüfen", "Vérifier ce document"),
    "verify_at": (
        "Whether a file is genuine: {url}",
        "Ob eine Datei echt ist: {url}",
        "Pour savoir si un fichier est authentique : {url}",
    ),
    "content_hash": ("SHA-256 of its content", "SHA-256 des Inhalts", "SHA-256 du contenu"),
    "hash_in_ledger": (
        "The same hash stands in the ledger of account {account}. In the portal each line leads to the usage that caused it.",
        "Derselbe Wert steht im Hauptbuch von {account}. Im Portal führt jede Position zur Nutzung, die sie verursacht hat.",
        "La même valeur figure dans le grand livre du compte {account}. Dans le portail, chaque ligne mène à l’usage qui l’a causée.",
    ),
    "receipt_in_ledger": (
        "The payment stands in the ledger of account {account}.",
        "Die Zahlung steht im Hauptbuch von {account}.",
        "Le paiement figure dans le grand livre du compte {account}.",
    ),
    "document": ("Document {id}", "Dokument {id}", "Document {id}"),
    "no_glyph": (
        "Characters that this document has no glyph for are written as their Unicode numbers in square brackets; the portal shows the original.",
        "Zeichen ohne druckbare Form stehen als Unicode-Nummer in eckigen Klammern; das Portal zeigt das Original.",
        "Les caractères sans glyphe imprimable sont écrits par leur numéro Unicode entre crochets ; le portail montre l’original.",
    ),
    "page": ("Page", "Seite", "Page"),
    "page_of": ("of", "von", "sur"),
}  # fmt: skip

# Why a supply bears no VAT, by the scheme of its treatment, in the words that the law of the language's countries asks for.
_REASONS: dict[str, tuple[str, str, str]] = {
    "reverse_charge": (
        "Reverse charge: VAT is due from the recipient (Directive 2006/112/EC, article 196)",
        "Steuerschuldnerschaft des Leistungsempfängers (Richtlinie 2006/112/EG, Artikel 196)",
        "Autoliquidation : TVA due par le preneur (directive 2006/112/CE, article 196)",
    ),
    "not_subject": (
        "Not subject to VAT: the place of supply is outside the scope of the seller’s VAT",
        "Nicht steuerbar: Der Leistungsort liegt außerhalb des Anwendungsbereichs der Umsatzsteuer des Anbieters",
        "Non soumis à la TVA : le lieu de la prestation est hors du champ de la TVA du vendeur",
    ),
    "export": (
        "Export outside the European Union (Directive 2006/112/EC, article 146)",
        "Ausfuhr aus der Europäischen Union (Richtlinie 2006/112/EG, Artikel 146)",
        "Exportation hors de l’Union européenne (directive 2006/112/CE, article 146)",
    ),
    "intra_community": (
        "Intra-community supply (Directive 2006/112/EC, article 138)",
        "Steuerfreie innergemeinschaftliche Lieferung (Richtlinie 2006/112/EG, Artikel 138)",
        "Livraison intracommunautaire exonérée (directive 2006/112/CE, article 138)",
    ),
    "small_business": (
        "Exempt: the seller is a small business (Directive 2006/112/EC, article 284)",
        "Steuerbefreiung für Kleinunternehmer (Richtlinie 2006/112/EG, Artikel 284)",
        "TVA non applicable : franchise des petites entreprises (directive 2006/112/CE, article 284)",
    ),
}  # fmt: skip

_UNITS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "core-hour": (("Kernstunde", "Kernstunden"), ("heure-cœur", "heures-cœur")),
    "core-second": (("Kernsekunde", "Kernsekunden"), ("seconde-cœur", "secondes-cœur")),
    "core-millisecond": (("Kernmillisekunde", "Kernmillisekunden"), ("milliseconde-cœur", "millisecondes-cœur")),
    "GPU-hour": (("GPU-Stunde", "GPU-Stunden"), ("heure-GPU", "heures-GPU")),
    "GPU-second": (("GPU-Sekunde", "GPU-Sekunden"), ("seconde-GPU", "secondes-GPU")),
    "GPU-millisecond": (("GPU-Millisekunde", "GPU-Millisekunden"), ("milliseconde-GPU", "millisecondes-GPU")),
    "1/21000 GPU-millisecond": (
        ("1/21000 GPU-Millisekunde", "1/21000 GPU-Millisekunden"),
        ("1/21000 milliseconde-GPU", "1/21000 milliseconde-GPU"),
    ),
    "GiB-hour": (("GiB-Stunde", "GiB-Stunden"), ("Gio-heure", "Gio-heures")),
    "GiB-second": (("GiB-Sekunde", "GiB-Sekunden"), ("Gio-seconde", "Gio-secondes")),
    "MiB-second": (("MiB-Sekunde", "MiB-Sekunden"), ("Mio-seconde", "Mio-secondes")),
    "byte-second": (("Byte-Sekunde", "Byte-Sekunden"), ("octet-seconde", "octets-secondes")),
    "byte-millisecond": (("Byte-Millisekunde", "Byte-Millisekunden"), ("octet-milliseconde", "octets-millisecondes")),
    "instance-hour": (("Instanzstunde", "Instanzstunden"), ("heure-instance", "heures-instance")),
    "token": (("Token", "Token"), ("jeton", "jetons")),
    "upload": (("Upload", "Uploads"), ("envoi", "envois")),
    "review": (("Prüfung", "Prüfungen"), ("examen", "examens")),
    "query": (("Abfrage", "Abfragen"), ("requête", "requêtes")),
    "report": (("Bericht", "Berichte"), ("rapport", "rapports")),
    "request": (("Anfrage", "Anfragen"), ("requête", "requêtes")),
    "period": (("Zeitraum", "Zeiträume"), ("période", "périodes")),
    "item": (("Stück", "Stück"), ("unité", "unités")),
    "GiB": (("GiB", "GiB"), ("Gio", "Gio")),
}
_ENGLISH_PLURALS = {"GiB": "GiB"}


def word(key: str, language: str) -> str:
    """The words of a key, with `{name}` where a fact is to stand. Raises KeyError for a key that is none."""
    return _ROWS[key][LANGUAGES.index(language)]


def reason(scheme: str | None, stored: str, language: str) -> str:
    """Why no VAT is charged, in a language; in English, and for schemes without words of their own, as it was stored."""
    if language == "en" or scheme not in _REASONS:
        return stored
    return _REASONS[scheme][LANGUAGES.index(language)]


def unit(name: str, language: str, *, is_one: bool) -> str:
    """A unit's name beside a quantity; one that is not in the table stays as it is."""
    if language == "en" or name not in _UNITS:
        return name if is_one else _english_plural(name)
    one, many = _UNITS[name][LANGUAGES.index(language) - 1]
    return one if is_one else many


def keys() -> frozenset[str]:
    """All keys, for those who check that every key of a template is there."""
    return frozenset(_ROWS)


def _english_plural(name: str) -> str:
    if name in _ENGLISH_PLURALS:
        return _ENGLISH_PLURALS[name]
    return f"{name[:-1]}ies" if name.endswith("ry") else name if name.endswith("s") else f"{name}s"
