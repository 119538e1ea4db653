# SPDX-License-Identifier: Apache-2.0
"""How fast AccaSim plays a trace in the Standard Workload Format: jobs a second and the mean wait, as one line of JSON.

Usage: python accasim_speed.py TRACE.swf PROCESSORS fifo|easy usual|best

Needs `pip install accasim==1.1.3` in an environment of its own. `usual` is AccaSim as it is used: a machine of nodes with
8 processors each, and the files that it writes when nothing is said. `best` is what makes it fastest: one node with all
processors, where its search for a free one is shortest, and no files. AccaSim reads its trace while it plays, so that
`took_s` holds both; `reading_s` is the part that goes into reading and into making jobs of what was read.
"""

import collections
import collections.abc
import contextlib
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
from accasim.utils.reader_class import DefaultReader  # noqa: E402

NODE_PROCESSORS = 8


class KeptEvent(Event):
    """A job of AccaSim, which is kept so that its wait can be asked for once it is over."""

    kept = []

    def __init__(self, job_id, queued_time, duration, requested_nodes, requested_resources):
        super().__init__(job_id, queued_time, duration, requested_nodes, requested_resources)
        self.kept.append(self)


class TimedSimulator(Simulator):
    """AccaSim, which says how long it has read."""

    def set_workload_input(self, workload_path, **kwargs):
        """Its own reader, with a watch."""
        self.timed_reader = TimedReader(workload_path, **kwargs)
        return self.timed_reader


class TimedReader(DefaultReader):
    """AccaSim's reader, with a watch."""

    took_s = 0.0

    def next(self, *args, **kwargs):
        """The next jobs."""
        begun_s = time.perf_counter()
        jobs = super().next(*args, **kwargs)
        self.took_s += time.perf_counter() - begun_s
        return jobs


def machine(processors: int, setup: str) -> tuple[dict, dict]:
    """The machine, and what AccaSim is told about its outputs."""
    if setup == "best":
        node, nodes = processors, 1
        outputs = {"scheduling_output": False, "statistics_output": False, "show_statistics": False}
        outputs["LOG_LEVEL"] = "ERROR"
    else:
        node, nodes = NODE_PROCESSORS, processors // NODE_PROCESSORS
        outputs = {}
    said = {
        "groups": {"all": {"core": node}},
        "resources": {"all": nodes},
        "equivalence": {"processor": {"core": 1}},
        "start_time": 0,
    }
    return said, outputs


def main(trace: str, processors: str, policy: str, setup: str) -> None:
    """Plays a trace and prints what came of it."""
    discipline = {"fifo": FirstInFirstOut, "easy": EASYBackfilling}[policy]
    description, outputs = machine(int(processors), setup)
    with tempfile.TemporaryDirectory() as folder:
        system = pathlib.Path(folder) / "system.json"
        system.write_text(json.dumps(description))
        with contextlib.redirect_stdout(sys.stderr):
            simulator = TimedSimulator(
                trace,
                str(system),
                discipline(FirstFit()),
                job_class=KeptEvent,
                RESULTS_FOLDER_PATH=folder,
                **outputs,
            )
            begun_s = time.perf_counter()
            simulator.start_simulation()
            took_s = time.perf_counter() - begun_s
        waits_s = [job.start_time - job.queued_time for job in KeptEvent.kept]
    said = {
        "policy": policy,
        "setup": setup,
        "jobs": len(waits_s),
        "took_s": round(took_s, 3),
        "reading_s": round(simulator.timed_reader.took_s, 3),
        "jobs_per_s": round(len(waits_s) / took_s, 1),
        "wait_mean_s": round(sum(waits_s) / len(waits_s), 2),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[4] not in ("usual", "best"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
