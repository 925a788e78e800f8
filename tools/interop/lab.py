"""What the scripts share: one association with pynetdicom, opened and closed."""
import contextlib
import sys

from pynetdicom import AE

EXPLICIT_LE = "1.2.840.10008.1.2.1"


@contextlib.contextmanager
def associated(host, port, called, contexts, calling="PYMOD1", **options):
    """An established association; `contexts` are (abstract syntax, transfer syntaxes)."""
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
    for abstract, transfer in contexts:
        ae.add_requested_context(abstract, transfer)
    association = ae.associate(host, int(port), ae_title=called, **options)
    assert association.is_established, "the association was not accepted"
    try:
        yield association
        assert association.is_established, "the association was aborted"
    finally:
        if association.is_established:
            association.release()


def answers(responses):
    """Identifiers of the pending responses of a C-FIND; the last status has to be success."""
    found, status = [], None
    for status, identifier in responses:
        assert status, "no response: the association was aborted or timed out"
        print(f"Status: 0x{status.Status:04x}")
        if status.Status in (0xFF00, 0xFF01):
            found.append(identifier)
    assert status is not None and status.Status == 0x0000, status
    print(f"Matches: {len(found)}")
    return found


def arguments(*names):
    """Command-line arguments, or how to call this."""
    if len(sys.argv) != len(names) + 1:
        sys.exit(f"usage: {sys.argv[0]} {' '.join(names).upper()}")
    return sys.argv[1:]
