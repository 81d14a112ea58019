"""Keys that sign-in derives from the portal's secret keys."""

from billing.accounts import second_factor
from billing.accounts.sealing import Sealer
from portal import services


def sealer() -> Sealer:
    """What seals the secrets of second factors; secrets sealed under an older key are still opened."""
    config = services.config()
    return Sealer(second_factor.PURPOSE, config.secret_key, *config.old_secret_keys)
