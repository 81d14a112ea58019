"""Who lives in the demo cloud and what they run: data only, relative to months counted back from the present one."""

from dataclasses import dataclass

from billing.accounts.profiles import ProfileFacts

PASSWORD = "plumbline-demo"  # noqa: S105  printed on purpose; the demo refuses to load in production


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Something a tenant runs again and again: `gpus` as plain text, hours between `shortest_h` and `longest_h` a run.

    `variant` is the model of its GPUs, `mode` on_demand or spot.
    """

    resource: str
    name: str
    project: str
    gpus: str
    cpu_cores: int
    memory_gib: int
    shortest_h: int
    longest_h: int
    runs_a_month: int
    members: tuple[str, ...]
    variant: str = ""
    mode: str = "on_demand"


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """Paid in advance on the first month's first day, net in minor units, for charges of these families in the year that follows."""

    name: str
    amount_minor: int
    families: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Reserved:
    """GPUs of a model reserved from the second month on, used or not."""

    name: str
    variant: str
    gpus: str


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """One tenant with its billing account on a plan; `top_ups` are (day of each month, minor units), `stored_gib` grows a little
    every day.
    """

    code: str
    name: str
    zone: str
    policy: str
    profile: ProfileFacts
    machines: tuple[Machine, ...] = ()
    always_on: tuple[Machine, ...] = ()
    stored_gib: int = 0
    top_ups: tuple[tuple[int, int], ...] = ()
    budget_minor: int = 0
    owner: str = ""
    plan: str = "gpu-cloud"
    commitment: Commitment | None = None
    reserved: Reserved | None = None


@dataclass(frozen=True, kw_only=True)
class Person:
    """Someone who signs in; staff have a `staff_role`, others the tenant they belong to."""

    login: str
    name: str
    tenant: str | None = None
    role: str = "owner"
    staff_role: str | None = None


def _training(project: str, runs: int, members: tuple[str, ...]) -> Machine:
    return Machine(
        resource="gpu-h100-8x",
        name="training",
        project=project,
        gpus="8",
        cpu_cores=96,
        memory_gib=768,
        shortest_h=3,
        longest_h=19,
        runs_a_month=runs,
        members=members,
        variant="h100",
    )


TENANTS = (
    Tenant(
        code="northwind",
        name="Northwind Robotics",
        zone="Europe/Dublin",
        policy="postpaid",
        owner="ada@northwind.example",
        profile=ProfileFacts(
            legal_name="Northwind Robotics Ltd",
            street="14 Grand Canal Quay",
            city="Dublin",
            postcode="D02 A342",
            country="IE",
            email="billing@northwind.example",
            purchase_order="PO-2291",
        ),
        machines=(
            _training("vision", 7, ("ada", "bram")),
            _training("planning", 4, ("chidi",)),
            Machine(
                resource="gpu-h100-1x",
                name="notebook",
                project="vision",
                gpus="1",
                cpu_cores=12,
                memory_gib=96,
                shortest_h=2,
                longest_h=11,
                runs_a_month=16,
                members=("ada", "bram", "dunja"),
                variant="h100",
            ),
            Machine(
                resource="gpu-h100-4x-spot",
                name="sweep",
                project="planning",
                gpus="4",
                cpu_cores=64,
                memory_gib=384,
                shortest_h=2,
                longest_h=9,
                runs_a_month=9,
                members=("chidi", "dunja"),
                variant="h100",
                mode="spot",
            ),
        ),
        always_on=(
            Machine(
                resource="gpu-h100-1x",
                name="inference-gateway",
                project="planning",
                gpus="1",
                cpu_cores=12,
                memory_gib=96,
                shortest_h=0,
                longest_h=0,
                runs_a_month=1,
                members=("chidi",),
                variant="h100",
            ),
        ),
        stored_gib=2_400,
        budget_minor=500_000,
        plan="gpu-cloud-committed",
        commitment=Commitment(name="GPU year", amount_minor=2_400_000, families=("gpu",)),
        reserved=Reserved(name="inference", variant="h100", gpus="2"),
    ),
    Tenant(
        code="heliograph",
        name="Heliograph AI",
        zone="Europe/Berlin",
        policy="prepaid",
        owner="jonas@heliograph.example",
        profile=ProfileFacts(
            legal_name="Heliograph AI GmbH",
            street="Torstraße 49",
            city="Berlin",
            postcode="10119",
            country="DE",
            vat_id="DE136695976",
            email="rechnung@heliograph.example",
        ),
        machines=(
            _training("speech", 3, ("jonas", "mira")),
            Machine(
                resource="gpu-mig-1of7",
                name="evaluation",
                project="speech",
                gpus="1/7",
                cpu_cores=4,
                memory_gib=24,
                shortest_h=1,
                longest_h=6,
                runs_a_month=30,
                members=("mira",),
                variant="h100",
            ),
        ),
        stored_gib=160,
        top_ups=((1, 120_000), (15, 60_000)),
        budget_minor=150_000,
    ),
    Tenant(
        code="tidewater",
        name="Tidewater Genomics",
        zone="America/New_York",
        policy="postpaid",
        owner="rosa@tidewater.example",
        profile=ProfileFacts(
            legal_name="Tidewater Genomics Inc.",
            street="101 Seaport Boulevard",
            city="Boston, MA",
            postcode="02210",
            country="US",
            email="ap@tidewater.example",
            purchase_order="TW-88-1207",
        ),
        machines=(
            Machine(
                resource="gpu-h200-2x",
                name="variant-calling",
                project="cohort-7",
                gpus="2",
                cpu_cores=32,
                memory_gib=400,
                shortest_h=2,
                longest_h=14,
                runs_a_month=22,
                members=("rosa", "wei"),
                variant="h200",
            ),
            Machine(
                resource="cpu-epyc-64",
                name="alignment",
                project="cohort-7",
                gpus="0",
                cpu_cores=64,
                memory_gib=256,
                shortest_h=2,
                longest_h=30,
                runs_a_month=18,
                members=("rosa", "wei", "amara"),
            ),
        ),
        stored_gib=5_200,
        budget_minor=300_000,
    ),
    Tenant(
        code="pebble",
        name="Pebble Studio",
        zone="UTC",
        policy="prepaid",
        owner="kim@pebble.example",
        profile=ProfileFacts(
            legal_name="Pebble Studio Ltd",
            street="3 Harbour Row",
            city="Cork",
            postcode="T12 X8N6",
            country="IE",
            email="kim@pebble.example",
        ),
        machines=(
            Machine(
                resource="gpu-l40s-1x",
                name="render",
                project="film",
                gpus="1",
                cpu_cores=12,
                memory_gib=64,
                shortest_h=1,
                longest_h=8,
                runs_a_month=14,
                members=("kim",),
                variant="l40s",
            ),
        ),
        top_ups=((2, 18_000),),
    ),
    Tenant(
        code="quiet-cove",
        name="Quiet Cove Observatory",
        zone="Pacific/Auckland",
        policy="postpaid",
        owner="tama@quietcove.example",
        profile=ProfileFacts(
            legal_name="Quiet Cove Observatory Trust",
            street="8 Lookout Road",
            city="Dunedin",
            postcode="9016",
            country="NZ",
            email="tama@quietcove.example",
        ),
        plan="default",
    ),
)

PEOPLE = (
    *(
        Person(login=tenant.owner, name=tenant.owner.partition("@")[0].title(), tenant=tenant.code)
        for tenant in TENANTS
    ),
    Person(login="bram@northwind.example", name="Bram", tenant="northwind", role="viewer"),
    Person(login="mia@plumbline.example", name="Mia (finance)", staff_role="maker"),
    Person(login="otto@plumbline.example", name="Otto (finance)", staff_role="approver"),
    Person(login="root@plumbline.example", name="Root (admin)", staff_role="admin"),
)
