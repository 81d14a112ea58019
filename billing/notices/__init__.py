"""What people are told: the relay that turns outbox rows into the portal's notices and into deliveries, and what sends those.

Laws: a notice becomes its deliveries once; a delivery is sent outside any transaction, under one Message-ID for ever; no secret of
a link lies in a row.
"""
