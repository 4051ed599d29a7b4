"""Run: LOTA=target/debug/lota PYTHONPATH=sdk/python/src python3 -m unittest discover sdk/python/tests"""

import os
import shutil
import stat
import tempfile
import unittest
from pathlib import Path

import lota

try:
    import pandas
except ImportError:
    pandas = None

HAS_PROGRAM = bool(os.environ.get("LOTA") or shutil.which("lota"))


@unittest.skipIf(pandas is None, "pandas is not installed (Debian: python3-pandas)")
@unittest.skipUnless(HAS_PROGRAM, "there is no program lota; name it in the variable LOTA")
class WithTheProgram(unittest.TestCase):
    def test_one_line_gives_a_row_for_each_run(self):
        runs = lota.sim.run("first-market", seeds=3, set={"job.collateral": 2})
        self.assertEqual(list(runs["run"]), [1, 2, 3])
        self.assertTrue((runs["settled"] == 40).all())
        self.assertIsInstance(runs["paid"][0], int)
        self.assertAlmostEqual(runs["paid"][0] / 1e18 / 40, runs["mean_price_fil"][0])

    def test_sweeps_are_columns_and_tables_are_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            steps = lota.sim.run(
                "first-market", seeds=2, sweep={"job.collateral": [0.5, 2]}, output=folder, table="timesteps"
            )
            self.assertEqual(len(steps.groupby(["subset", "run"])), 4)
            self.assertEqual(steps.groupby(["subset", "run"])["settled"].last().unique(), [40])
            runs = lota.sim.read(folder)
            self.assertEqual(list(runs["job.collateral"]), [0.5, 0.5, 2, 2])
            ledger = lota.sim.read(folder, "ledger")
            prices = ledger[(ledger["reason"] == "paid") & (ledger["subset"] == 0) & (ledger["run"] == 1)]
            self.assertEqual(sum(prices["amount"]), runs["paid"][0], "to the last attoFIL")

    def test_what_the_program_says_is_the_error(self):
        with self.assertRaises(lota.sim.SimulationError) as caught:
            lota.sim.run("frist-market")
        self.assertIn("did you mean first-market?", str(caught.exception))
        self.assertEqual(caught.exception.code, 2)


@unittest.skipIf(pandas is None, "pandas is not installed (Debian: python3-pandas)")
class WithAStandIn(unittest.TestCase):
    """Without the program: one that writes down how it was called."""

    def test_arguments_are_arguments_and_never_words_for_a_shell(self):
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder, "lota")
            program.write_text(
                '#!/bin/sh\nfor word in "$@"; do echo "$word" >> "$0.called"; done\n'
                'for word in "$@"; do case "$word" in --output=*) echo "simulation,subset,run,paid" > "${word#--output=}/runs.csv"\n'
                'echo "0,0,1,340000000000000000001" >> "${word#--output=}/runs.csv";; esac; done\n'
            )
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            before, os.environ["LOTA"] = os.environ.get("LOTA"), str(program)
            try:
                runs = lota.sim.run("-x; rm", seeds=2, set={"a": True, "b": "$(id)"}, sweep={"c": [1, 2], "d": "0..1:0.5"})
            finally:
                os.environ.pop("LOTA") if before is None else os.environ.update(LOTA=before)
            called = Path(f"{program}.called").read_text().splitlines()
        self.assertEqual(called[-2:], ["--", "-x; rm"])
        for word in ["--seeds=2", "--set=a=true", "--set=b=$(id)", "--sweep=c=1,2", "--sweep=d=0..1:0.5"]:
            self.assertIn(word, called)
        self.assertEqual(list(runs["paid"]), [340000000000000000001])


class Refusals(unittest.TestCase):
    def test_a_table_that_there_is_not_is_named_before_anything_runs(self):
        with self.assertRaisesRegex(ValueError, "no table 'ledgers'"):
            lota.sim.run("first-market", table="ledgers")


if __name__ == "__main__":
    unittest.main()
