"""Parses HL7 messages with hl7apy in strict mode.

hl7apy 1.3.5 reads the choice in the order detail of ORM_O01 and ORR_O02 (one of OBR, RQD, RQ1, RXO,
ODS, ODT) as 'all of them', so that no legal order passes. Those children are made optional before it
starts.
"""
import os
import sys
import tempfile

import hl7apy
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

CHOICES = {
    f"{message}_{group}" for message in ("ORM_O01", "ORR_O02") for group in ("CHOICE", "OBRRQDRQ1RXOODSODT_SUPPGRP")
}
# tables of local codes that the standard leaves open
OPEN_TABLES = ("HL70396",)


def relaxed(name, structure):
    """The same structure with every child of a choice optional, at any depth."""
    children = []
    for child, reference, cardinality, kind in structure[1]:
        if kind == "GRP" and isinstance(reference, tuple):
            reference = relaxed(child, reference)
        children.append((child, reference, (0, 1) if name in CHOICES else cardinality, kind))
    return (structure[0], tuple(children), *structure[2:])


for version in ("2.3.1", "2.5", "2.5.1"):
    library = hl7apy.load_library(version)
    for name in [name for name in library.GROUPS if name.startswith(("ORM_O01", "ORR_O02"))]:
        library.GROUPS[name] = relaxed(name, library.GROUPS[name])
    for name in ("ORM_O01", "ORR_O02"):
        library.MESSAGES[name] = relaxed(name, library.MESSAGES[name])

failed = 0
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        text = file.read().decode("utf-8").replace("\r\n", "\r").replace("\n", "\r").strip("\r") + "\r"
    report = os.path.join(tempfile.mkdtemp(), "report")
    try:
        message = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
        message.validate(report_file=report)
        with open(report) as file:
            problems = [line for line in file.read().splitlines() if not any(t in line for t in OPEN_TABLES)]
        problems = [line for line in problems if line.startswith("Error")]
    except Exception as error:  # whatever hl7apy raises is its verdict
        problems = [f"{type(error).__name__}: {error}"]
    print("ok " if not problems else "BAD", os.path.basename(path), "; ".join(problems))
    if problems:
        failed += 1
        print(text.replace("\r", "\n"))
sys.exit(1 if failed else 0)
