"""The payment providers that the settings name, in order of preference. Used by the portal, the jobs and the command line."""

import hashlib
import hmac

from billing.payments.providers.port import Provider
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.providers.stripe.adapter import StripeProvider
from billing.storage.database import Database
from portal.config import PortalConfig


def build(config: PortalConfig, database: Database) -> dict[str, Provider]:
    """Stripe when its keys are set, then the sandbox when it is allowed. Nothing is called and no SDK is loaded here.

    The sandbox remembers its checkouts in `database`, outside our own transactions as a provider elsewhere would.
    """
    providers: dict[str, Provider] = {}
    if config.stripe_secret_key and config.stripe_webhook_secret:
        providers["stripe"] = StripeProvider(
            secret_key=config.stripe_secret_key,
            webhook_secret=config.stripe_webhook_secrets,
            api_base=config.stripe_api_base,
        )
    if config.has_sandbox:
        providers["sandbox"] = SandboxProvider(
            secret=sandbox_secret(config), base_url=config.base_url, database=database
        )
    return providers


def sandbox_secret(config: PortalConfig) -> str:
    """The key that signs the sandbox's webhooks, of its own so that it opens nothing else."""
    return hmac.new(config.secret_key.encode(), b"sandbox webhooks", hashlib.sha256).hexdigest()
