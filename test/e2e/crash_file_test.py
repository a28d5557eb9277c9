"""A crash in the middle of writes over files that stood there: nobody has to be asked."""

import http.client
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from trued_server import Scratch, Server, until  # noqa: E402

FILES = 300
ANSWERED = 50       # before the crash, of those


def submit(server, numbers, answered):
    """Asks for writes, and waits for none of them; until the server is gone."""
    try:
        connection = server.connect(timeout=30)
        for n in numbers:
            server.write("site", f"k{n}", {f"{n}.txt": f"after {n}"}, wait=0,
                         connection=connection)
            answered.append(n)
    except (OSError, http.client.HTTPException):
        pass


class CrashFileTest(unittest.TestCase):
    def test_T1_files_that_nobody_touched_are_written_after_a_crash(self):
        with Scratch() as scratch:
            site, state = scratch.sub("site"), scratch.sub("state")
            for n in range(FILES):
                with open(os.path.join(site, f"{n}.txt"), "w", encoding="utf-8") as file:
                    file.write(f"before {n}")
            time.sleep(2.2)  # they are older than anything accepted from now on
            targets = ["site=file:" + site]
            with Server(state, targets) as server:
                answered = []
                threads = [threading.Thread(target=submit,
                                            args=(server, range(at, FILES, 10), answered))
                           for at in range(10)]
                for thread in threads:
                    thread.start()
                until(lambda: len(answered) >= ANSWERED, "some are under way")
                server.kill()
                for thread in threads:
                    thread.join()
            with Server(state, targets) as server:
                self.assertGreater(server.hello["recovered"], 0, "it crashed in the middle")
                for n in range(FILES):
                    _, _, receipt = server.write("site", f"k{n}", {f"{n}.txt": f"after {n}"},
                                                 wait=30)
                    self.assertEqual(receipt["status"], "confirmed", receipt["reason"])
            for n in range(FILES):
                with open(os.path.join(site, f"{n}.txt"), encoding="utf-8") as file:
                    self.assertEqual(file.read(), f"after {n}")


if __name__ == "__main__":
    unittest.main()
