"""Simulations as data frames, by the `lota` program.

>>> import lota
>>> runs = lota.sim.run("first-market", seeds=20, set={"job.collateral": 2})   # doctest: +SKIP
>>> runs["welfare_fil"].mean()                                                # doctest: +SKIP

The program is the one that the environment variable LOTA names, or `lota` on the PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Sequence, Union

if TYPE_CHECKING:
    import pandas

__all__ = ["SimulationError", "read", "run"]

Value = Union[bool, int, float, str]

#: The tables of a folder of runs.
TABLES = ("runs", "populations", "parties", "timesteps", "ledger")

#: Columns of attoFIL: exact, and larger than 64 bits. They are Python's whole numbers.
AMOUNTS = frozenset(
    ["paid", "burned", "slashed", "began", "wallet", "market", "escrow", "collateral", "auction", "bids", "amount"]
)
#: Of these words, what counts jobs or slashes in some tables, and is an amount in others.
_COUNTS = {("runs", "slashed"), ("timesteps", "slashed")}
#: Columns that would be taken for numbers, or for nothing.
_TEXTS = frozenset(["digest", "error", "population", "strategy", "party", "reason", "job", "from", "to"])


class SimulationError(RuntimeError):
    """The program ended with an error: what it said, and its exit code (2: the call is wrong; 1: a run failed)."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def run(
    scenario: str | os.PathLike[str],
    *,
    seeds: int | None = None,
    set: Mapping[str, Value] | None = None,
    sweep: Mapping[str, Union[str, Sequence[Value]]] | None = None,
    every: int = 60,
    threads: int | None = None,
    output: str | os.PathLike[str] | None = None,
    table: str = "runs",
) -> pandas.DataFrame:
    """Run a scenario, and give one of its tables: a row for each run, unless `table` says otherwise.

    scenario: the name of one that comes with the program, or a .toml file.
    seeds: how many runs of each point, each with the next seed.
    set: values that replace the scenario's, by key.
    sweep: values to be run in turn, by key: a sequence, or a range such as "0..0.3:0.1".
    every: seconds of virtual time between rows of "timesteps".
    output: a folder that keeps all tables; what it has already is not run again. Without it they are forgotten.
    table: "runs", "populations", "parties", "timesteps" or "ledger".

    Raises SimulationError when the program says no.
    """
    if table not in TABLES:
        raise ValueError(f"there is no table {table!r}; take one of {', '.join(TABLES)}")
    if output is None:
        with tempfile.TemporaryDirectory(prefix="lota-sim-") as folder:
            return run(
                scenario, seeds=seeds, set=set, sweep=sweep, every=every, threads=threads, output=folder, table=table
            )
    arguments = ["sim", "run", f"--output={os.fspath(output)}", f"--every={every}", "--json"]
    if seeds is not None:
        arguments.append(f"--seeds={seeds}")
    if threads is not None:
        arguments.append(f"--threads={threads}")
    arguments += [f"--set={key}={_toml(value)}" for key, value in (set or {}).items()]
    for key, values in (sweep or {}).items():
        swept = values if isinstance(values, str) else ",".join(_toml(value) for value in values)
        arguments.append(f"--sweep={key}={swept}")
    done = subprocess.run(
        [_program(), *arguments, "--", os.fspath(scenario)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        raise SimulationError(done.stderr.strip() or f"lota ended with code {done.returncode}", done.returncode)
    return read(output, table)


def read(folder: str | os.PathLike[str], table: str = "runs") -> pandas.DataFrame:
    """Read a table of a folder that `run(output=...)`, or `lota sim run --output`, wrote.

    Amounts in attoFIL are Python's whole numbers, exact; columns that end with `_fil` are FIL as floats. Parquet needs pyarrow.
    """
    import pandas

    parquet = Path(folder, f"{table}.parquet")
    if parquet.exists():
        return pandas.read_parquet(parquet)
    path = Path(folder, f"{table}.csv")
    columns = list(pandas.read_csv(path, nrows=0).columns)
    amounts = [name for name in columns if name in AMOUNTS and (table, name) not in _COUNTS]
    types: dict[str, Any] = {name: str for name in columns if name in _TEXTS or name in amounts}
    frame = pandas.read_csv(path, dtype=types, keep_default_na=False, na_values={name: [""] for name in columns})
    for name in amounts:
        whole = [int(text) if isinstance(text, str) else None for text in frame[name]]
        frame[name] = pandas.Series(whole, index=frame.index, dtype=object)
    return frame


def _program() -> str:
    found = os.environ.get("LOTA") or shutil.which("lota")
    if not found:
        raise FileNotFoundError("there is no program `lota` on the PATH; install it, or name it in the variable LOTA")
    return found


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
