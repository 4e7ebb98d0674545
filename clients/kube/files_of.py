"""Names the files that a Python program needs, one a line: the interpreter first, then the modules.

They are what a container image of it has to have, beside the shared libraries of each.
"""

import contextlib
import encodings.idna  # Taken when a host's name is looked up.
import io
import os
import runpy
import sys


def main():
    program = sys.argv[1]
    sys.argv = [program, "--help"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        runpy.run_path(program, run_name="__main__")
    interpreter = os.path.realpath(sys.executable)
    files = {getattr(module, "__file__", None) for module in sys.modules.values()}
    folder = os.path.dirname(os.__file__)
    # Without this one the interpreter does not find its own folder.
    files.add(os.path.join(folder, "os.py"))
    print("\n".join([interpreter, *sorted(file for file in files if file and os.path.isfile(file))]))


if __name__ == "__main__":
    main()
