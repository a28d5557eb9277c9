"""The faults that need no privileges; all of them: ./dev fault."""

import os
import subprocess
import sys
import unittest


class FaultTest(unittest.TestCase):
    def test_T1_T6_quick_faults(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faults.py")
        done = subprocess.run([sys.executable, script, "--quick"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
