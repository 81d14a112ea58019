"""Transfers a second of django-hordak in an empty PostgreSQL database: run by an interpreter that has it, with URL, size, batch."""

import sys
import time
from urllib.parse import urlsplit

import django
from django.conf import settings


def configure(url: str) -> None:
    """Django with hordak and nothing else."""
    parts = urlsplit(url)
    host = parts.hostname or dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair).get("host", "")
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts.path.lstrip("/"),
                "USER": parts.username or "",
                "PASSWORD": parts.password or "",
                "HOST": host.replace("%2F", "/"),
                "PORT": parts.port or "",
            }
        },
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "mptt", "hordak"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DEFAULT_CURRENCY="USD",
        USE_TZ=True,
        SECRET_KEY="x" * 50,
    )
    django.setup()


def transfers_per_second(size: int, batch: int) -> float:
    """`size` transfers by hordak's own `transfer_to`, `batch` in each transaction."""
    from django.core.management import call_command
    from django.db import transaction
    from hordak.models import Account, AccountType, Leg
    from moneyed import Money

    call_command("migrate", verbosity=0)
    revenue = Account.objects.create(name="revenue", code="1", type=AccountType.income, currencies=["USD"])
    unbilled = Account.objects.create(name="unbilled", code="2", type=AccountType.asset, currencies=["USD"])
    start = time.perf_counter()
    for first in range(0, size, batch):
        with transaction.atomic():
            for number in range(first, min(first + batch, size)):
                revenue.transfer_to(unbilled, Money(1 + number % 100, "USD"))
    elapsed_s = time.perf_counter() - start
    if Leg.objects.count() != 2 * size:
        raise SystemExit(f"{Leg.objects.count()} legs were stored, not {2 * size}")
    return size / elapsed_s


if __name__ == "__main__":
    configure(sys.argv[1])
    print(transfers_per_second(int(sys.argv[2]), int(sys.argv[3])))
