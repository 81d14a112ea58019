"""One conversation with Stripe through its own SDK, which is loaded at the first call. Every part of the adapter stands on it."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from billing.payments.errors import OutcomeUnknown, ProviderRefused

if TYPE_CHECKING:
    from stripe import StripeClient

Result = TypeVar("Result")
_CONNECT_TIMEOUT_S = 5


class StripeCalls:
    """The key and the client. `api_base` is another address of the API, such as a compatible server in tests.

    `webhook_secret` may be several while one takes the place of another.
    """

    read_timeout_s: float = 20

    def __init__(self, *, secret_key: str, webhook_secret: str | Sequence[str], api_base: str | None = None) -> None:
        self._secret_key = secret_key
        self._webhook_secret = webhook_secret
        self._api_base = api_base

    @property
    def is_live(self) -> bool:
        """Whether the key moves real money."""
        return self._secret_key.startswith(("sk_live_", "rk_live_"))

    def call(self, act: Callable[["StripeClient"], Result]) -> Result:
        """One conversation with Stripe. Only what is certain is ProviderRefused; a wrong key of ours is a matter of later."""
        import stripe

        try:
            return act(self._client)
        except stripe.IdempotencyError as error:
            raise OutcomeUnknown(f"idempotency: {error.code}") from error
        except stripe.CardError as error:
            raise ProviderRefused(error.code or "card_error", error.user_message or "") from error
        except stripe.InvalidRequestError as error:
            raise ProviderRefused(error.code or "invalid_request", error.user_message or str(error)) from error
        except stripe.StripeError as error:
            raise OutcomeUnknown(f"{type(error).__name__}: status {error.http_status}") from error

    @cached_property
    def _client(self) -> "StripeClient":
        import stripe

        # One try: what fails is looked up by recovery, which knows more than a blind repeat.
        return stripe.StripeClient(
            self._secret_key,
            base_addresses={"api": self._api_base, "files": self._api_base} if self._api_base else {},
            http_client=stripe.RequestsClient(timeout=(_CONNECT_TIMEOUT_S, self.read_timeout_s)),
            max_network_retries=0,
        )
