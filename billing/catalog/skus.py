"""What is sold: one meter under a family, named service/usage_type. Data only; `bootstrap` installs it."""

from dataclasses import dataclass

from billing.catalog.items import ON_DEMAND, Item


@dataclass(frozen=True, kw_only=True)
class SkuFacts:
    """One thing that is sold; an item is sold once. Its revenue stands in `revenue:{family}`."""

    code: str
    meter_code: str
    name: str
    variant: str = ""
    mode: str = ON_DEMAND

    @property
    def item(self) -> Item:
        """What it prices."""
        return Item(self.meter_code, self.variant, self.mode)

    @property
    def family(self) -> str:
        """The service, which is the part before the slash."""
        return self.code.partition("/")[0]


_ALL = (
    SkuFacts(code="marketplace/wpk_upload", meter_code="wpk_upload", name="Package upload"),
    SkuFacts(code="marketplace/wpk_review", meter_code="wpk_review", name="Package review"),
    SkuFacts(code="analytics/query", meter_code="query", name="Analytics query"),
    SkuFacts(code="analytics/report", meter_code="report", name="Analytics report"),
    SkuFacts(code="storage/gb_hour", meter_code="gib_hour", name="Storage"),
    SkuFacts(code="compute/cpu_hour", meter_code="cpu_hour", name="CPU time"),
    SkuFacts(code="compute/memory_gb_hour", meter_code="memory_gib_hour", name="Memory"),
    SkuFacts(code="compute/gpu_hour", meter_code="gpu_hour", name="GPU time"),
    SkuFacts(code="inference/token_input", meter_code="token_input", name="Input tokens"),
    SkuFacts(code="inference/token_output", meter_code="token_output", name="Output tokens"),
    SkuFacts(code="network/egress_gib", meter_code="egress_gib", name="Network egress"),
    SkuFacts(code="network/ingress_gib", meter_code="ingress_gib", name="Managed ingress, data"),
    SkuFacts(code="network/ingress_request", meter_code="ingress_request", name="Managed ingress, requests"),
    SkuFacts(code="compute/app_instance_hour", meter_code="app_instance_hour", name="App instances"),
)

SKUS: dict[str, SkuFacts] = {sku.code: sku for sku in _ALL}
