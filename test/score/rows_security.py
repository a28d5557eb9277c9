"""Row R30: the probes of the table of threats (SECURITY.md, test/security), all of them."""

import glob
import os
import re
import subprocess
import sys

from card import Figure, row

# Of S1 to S19, those whose surface there is not yet.
NOT_YET = {"S15": "webhooks", "S17": "MCP"}


@row("R30", "security probes that failed", "0")
def security_probes(run):
    scripts = sorted(glob.glob(os.path.join(run.source, "test", "security", "*_test.py")))
    tests, failed, skipped, threats = 0, [], 0, set()
    for script in scripts:
        name = os.path.basename(script).removesuffix("_test.py")
        run.say(name)
        done = subprocess.run([sys.executable, script, "-v"], capture_output=True, text=True,
                              timeout=600, check=False, env={
                                  **os.environ, "TRUED_BINARY": run.binary,
                                  "TRUED_SOURCE_DIR": run.source, "PYTHONDONTWRITEBYTECODE": "1"})
        counted = re.search(r"^Ran (\d+) tests? in", done.stderr, re.MULTILINE)
        tests += int(counted.group(1)) if counted else 0
        skipped += len(re.findall(r" \.\.\. skipped ", done.stderr))
        threats.update(re.findall(r"^test_(S\d+)_\S+ .* \.\.\. ok$", done.stderr, re.MULTILINE))
        failed += re.findall(r"^(?:FAIL|ERROR): (\S+)", done.stderr, re.MULTILINE)
        if done.returncode != 0 and (not counted or not failed):
            failed.append(name)
    missing = {f"S{n}" for n in range(1, 20)} - threats - set(NOT_YET)
    holds = not failed and not missing and tests > 0
    detail = f"threats {', '.join(sorted(threats, key=lambda each: int(each[1:])))}"
    if skipped:
        detail += f"; {skipped} of the tests could not be done with this build"
    if failed:
        detail += "; failed: " + ", ".join(sorted(set(failed)))
    if missing:
        detail += "; no test succeeded for " + ", ".join(sorted(missing))
    detail += "; not there yet: " + ", ".join(f"{s} ({why})" for s, why in NOT_YET.items())
    return Figure(f"{len(set(failed))} of {tests}", holds, detail)
