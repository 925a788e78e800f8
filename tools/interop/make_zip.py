"""ZIP files as Python's zipfile makes them: make_zip.py deflated|stored|stream OUT FILE...

`stream` writes to something that cannot be sought in: lengths follow behind each member.
"""

import os
import sys
import zipfile


class Unseekable:
    """A file that only takes bytes, as a socket does."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        return self.file.write(data)

    def flush(self):
        self.file.flush()


def main(kind, out, *files):
    method = zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED
    with open(out, "wb") as file:
        target = Unseekable(file) if kind == "stream" else file
        with zipfile.ZipFile(target, "w", method) as archive:
            for path in files:
                archive.write(path, os.path.join("folder", os.path.basename(path)))


main(*sys.argv[1:])
