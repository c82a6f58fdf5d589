"""What the program itself makes of cases: `kmsgate policy test`."""

import json
import subprocess

from gateway import PROGRAM

# The longest that a file of cases may take, in seconds.
PATIENCE = 300


class Judged:
    """One run of `kmsgate policy test`."""

    def __init__(self, file):
        run = subprocess.run([PROGRAM, "policy", "test", file], capture_output=True, timeout=PATIENCE)
        self.code, self.summary = run.returncode, run.stderr.decode()
        self.answers = [json.loads(line) for line in run.stdout.splitlines()]

    @classmethod
    def of(cls, cases, file):
        """Writes the cases to this file, and answers as many as there are."""
        file.write_text("".join(f"{json.dumps(case)}\n" for case in cases))
        judged = cls(file)
        assert len(judged.answers) == len(cases), judged.summary
        return judged
