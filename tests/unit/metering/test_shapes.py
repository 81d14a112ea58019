"""What a live allocation may be, and what it uses each millisecond."""

import pytest

from billing.kernel.errors import Invalid
from billing.metering.shapes import Shape


@pytest.mark.parametrize(
    ("gpus", "units"), [("4", 84_000), ("0.5", 10_500), ("1/7", 3_000), ("3/8", 7_875), ("0.001", 21), ("1/3", 7_000)]
)
def test_shares_of_a_gpu_are_whole_numbers_of_base_units(gpus: str, units: int) -> None:
    assert Shape(gpus=gpus).rates() == {"gpu_hour": units}


def test_only_what_is_there_is_counted() -> None:
    assert Shape(gpus="1", cpu_cores=8, memory_bytes=2**30).to_json() == {
        "cpu_hour": "8",
        "gpu_hour": "21000",
        "memory_gib_hour": "1073741824",
    }
    assert Shape(cpu_cores=8).rates() == {"cpu_hour": 8}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"gpus": "-1"}, "not_a_gpu_count"),
        ({"gpus": "1e3"}, "not_a_gpu_count"),
        ({"gpus": "1_000"}, "not_a_gpu_count"),
        ({"gpus": "\u0664"}, "not_a_gpu_count"),
        ({"gpus": "1/0"}, "not_a_gpu_count"),
        ({"gpus": "nan"}, "not_a_gpu_count"),
        ({"gpus": "1/11"}, "gpu_share_not_exact"),
        ({"gpus": "9999999"}, "quantity_too_large"),
        ({"cpu_cores": -1}, "negative_quantity"),
        ({"memory_bytes": 2**61}, "quantity_too_large"),
        ({}, "empty_shape"),
    ],
)
def test_a_shape_that_cannot_be_counted_is_refused(facts: dict[str, object], reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        Shape(**facts)  # type: ignore[arg-type]
    assert refused.value.fields["reason"] == reason
