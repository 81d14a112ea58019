"""Gates over the route map: what every page must have and nobody can forget, because the walk begins at `app.url_map`.

A NEW ROUTE NEEDS ONE LINE in `samples.py`: its rule as Flask prints it, and how to make a real URL of it.

    "/invoices/<key>": page("Invoice INV-2026-000001", key="invoice_number"),

`page(h1, ...)` is an HTML page; `answer(mimetype, ...)` a file or JSON; `act(...)` a route that only takes POST. Keywords fill the
rule's arguments: the value is a name in `World.ids`, or `"=text"` for the text itself. `query=` is what a GET needs to show
the page. `send=` holds the fields that its form accepts (the token and hidden fields come from the page), `body=` the JSON.
`by=` names who opens it where the declared permission does not say it. An object that the seeded world lacks is made in
`world.py`, by the services, and its id is put into `ids`.

Everything else follows from the map and `view.access`: who opens it, who must not, and what is looked at.

samples.py        the table: rule -> Sample
world.py          the seeded world, built once a run and copied
walk.py           the walk: (rule, method, URL), people signed in by role, what each may open
test_samples.py   a route without a line fails
test_access.py    owner, stranger, anonymous, every role, every scope
test_answers.py   headings, strict HTML, headers, parts, HEAD and OPTIONS, hostile parameters
test_writes.py    token, origin, method
test_red.py       each gate is shown to fail
"""
