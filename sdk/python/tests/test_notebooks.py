"""The notebooks of examples/notebooks run from their first cell to their last, and are committed without outputs."""

import json
import os
import tempfile
import unittest
from pathlib import Path

from test_sim import HAS_PROGRAM, pandas

try:
    import ipykernel
    import nbclient
    import nbformat
except ImportError:
    nbclient = None

NOTEBOOKS = sorted((Path(__file__).parents[3] / "examples/notebooks").glob("*.ipynb"))


class Notebooks(unittest.TestCase):
    @unittest.skipUnless(os.environ.get("LOTA_TEST_TOOLS"), "set by scripts/test")
    def test_what_scripts_install_tools_installs_is_there(self):
        self.assertIsNotNone(pandas, "python3-pandas")
        self.assertIsNotNone(nbclient, "python3-nbclient, python3-ipykernel")
        self.assertTrue(HAS_PROGRAM, "lota")

    def test_there_are_some_and_their_outputs_are_stripped(self):
        self.assertGreaterEqual(len(NOTEBOOKS), 2)
        for path in NOTEBOOKS:
            for cell in json.loads(path.read_text())["cells"]:
                self.assertFalse(cell.get("outputs"), path)
                self.assertIsNone(cell.get("execution_count"), path)

    @unittest.skipIf(nbclient is None, "nbclient is not installed (Debian: python3-nbclient python3-ipykernel)")
    @unittest.skipIf(pandas is None, "pandas is not installed (Debian: python3-pandas)")
    @unittest.skipUnless(HAS_PROGRAM, "there is no program lota; name it in the variable LOTA")
    def test_they_run(self):
        package = str(Path(__file__).parents[1] / "src")
        os.environ["PYTHONPATH"] = os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])
        left = set(Path(tempfile.gettempdir()).glob("lota-notebook-*"))
        for path in NOTEBOOKS:
            with self.subTest(path.name):
                notebook = nbformat.read(path, as_version=4)
                nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
                texts = [str(cell.get("outputs", "")) for cell in notebook.cells]
                self.assertIn("text/plain", "".join(texts))
        self.assertEqual(set(Path(tempfile.gettempdir()).glob("lota-notebook-*")), left, "they clean up")


if __name__ == "__main__":
    unittest.main()
