"""A scheduler's log of any size: the real one over and over, each time with other ids. Written as a stream.

`python -m tests.bench.generated_log SOURCE.gz 1000000 > big.log`
"""

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path


def generated_lines(source: Path, count: int) -> Iterator[bytes]:
    """`count` lines of the log at `source`; every pass adds 10,000,000 to the job ids, so that no id repeats."""
    lines = gzip.decompress(source.read_bytes()).splitlines(keepends=True)
    parts = [line.split(b"|", 2) for line in lines]
    for number in range(count):
        turn, place = divmod(number, len(parts))
        job_id, raw_id, rest = parts[place]
        shift = turn * 10_000_000
        yield b"%d|%d|%b" % (int(job_id) + shift, int(raw_id) + shift, rest)


def main() -> None:
    """Write the lines to standard output."""
    sys.stdout.buffer.writelines(generated_lines(Path(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
