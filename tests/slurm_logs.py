"""Lines of Slurm's accounting log for tests: one real line, changed field by field."""

from billing.metering.sources.slurm_sacct import FIELDS

_LINE = (
    "977669|977669|pozidriv|croutons|apple|calla|calla|104475|turdo|503801|2016-12-21T21:43:34|2016-12-21T21:43:34"
    "|2016-12-22T07:03:30|2016-12-30T03:43:09|7-20:39:39|0:0|COMPLETED|1|12|12|48000Mn|cpu=12,mem=48000M,node=1"
    "|billing=12,cpu=12,mem=48000M,node=1|125-00:00:00|cpn-f15-27|3594a1a3e1db227a60491d4376b97f97"
)


def job_line(**changes: str) -> str:
    """The line with some of its fields changed. `id` sets both ids; `ncpus` alone also changes the cpu of alloctres."""
    fields = dict(zip(FIELDS, _LINE.split("|"), strict=True))
    if "id" in changes:
        fields["jobid"] = fields["jobidraw"] = changes.pop("id")
    if "ncpus" in changes and "alloctres" not in changes:
        fields["alloctres"] = f"cpu={changes['ncpus']},mem=48000M"
    unknown = changes.keys() - fields.keys()
    if unknown:
        raise ValueError(f"no such fields: {unknown}")
    return "|".join((fields | changes).values())
