# SPDX-License-Identifier: Apache-2.0
"""How fast AccaSim plays a trace in the Standard Workload Format: jobs a second and the mean wait, as one line of JSON.

Usage: python accasim_speed.py TRACE.swf.gz PROCESSORS fifo|easy

Needs `pip install accasim==1.1.3` in an environment of its own. AccaSim writes no results here, and the machine is one
node with all processors, where its search for a free one is shortest: both make it faster.
"""

import collections
import collections.abc
import contextlib
import gzip
import json
import pathlib
import sys
import tempfile
import time

# AccaSim 1.1.3 was written for Python before 3.10, which moved these.
for moved in ("Mapping", "MutableMapping", "Sequence", "Iterable"):
    if not hasattr(collections, moved):
        setattr(collections, moved, getattr(collections.abc, moved))

from accasim.base.allocator_class import FirstFit  # noqa: E402
from accasim.base.event_class import Event  # noqa: E402
from accasim.base.scheduler_class import EASYBackfilling, FirstInFirstOut  # noqa: E402
from accasim.base.simulator_class import Simulator  # noqa: E402


class KeptEvent(Event):
    """A job of AccaSim, which is kept so that its wait can be asked for once it is over."""

    kept = []

    def __init__(self, job_id, queued_time, duration, requested_nodes, requested_resources):
        super().__init__(job_id, queued_time, duration, requested_nodes, requested_resources)
        self.kept.append(self)


def main(trace: str, processors: str, policy: str) -> None:
    """Plays a trace and prints what came of it."""
    discipline = {"fifo": FirstInFirstOut, "easy": EASYBackfilling}[policy]
    with tempfile.TemporaryDirectory() as folder:
        here = pathlib.Path(folder)
        workload, system = here / "trace.swf", here / "system.json"
        workload.write_bytes(gzip.open(trace).read())
        machine = {
            "groups": {"all": {"core": int(processors)}},
            "resources": {"all": 1},
            "equivalence": {"processor": {"core": 1}},
            "start_time": 0,
        }
        system.write_text(json.dumps(machine))
        quiet = {"scheduling_output": False, "statistics_output": False, "show_statistics": False}
        with contextlib.redirect_stdout(sys.stderr):
            simulator = Simulator(
                str(workload),
                str(system),
                discipline(FirstFit()),
                job_class=KeptEvent,
                RESULTS_FOLDER_PATH=folder,
                LOG_LEVEL="ERROR",
                **quiet,
            )
            begun_s = time.perf_counter()
            simulator.start_simulation()
            took_s = time.perf_counter() - begun_s
        waits_s = [job.start_time - job.queued_time for job in KeptEvent.kept]
    said = {
        "policy": policy,
        "jobs": len(waits_s),
        "took_s": round(took_s, 2),
        "jobs_per_s": round(len(waits_s) / took_s, 1),
        "wait_mean_s": round(sum(waits_s) / len(waits_s), 2),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
