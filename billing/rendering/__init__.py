"""How figures, times and charts are written down, for pages, documents and e-mails alike. Knows no session and no request.

Laws of the room: figures come in as int, Decimal or Fraction and leave as text without passing through a float; a figure that had
to be rounded to be shown says so; an amount never stands without its currency unless its caller says that a heading names it.
Babel and Jinja are used in billing only here.
"""
