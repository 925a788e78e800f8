"""C-MOVE by pynetdicom, received by the same process; the counts of each response are right."""
from lab import EXPLICIT_LE, arguments, associated
from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt

STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"

host, port, called, study, destination, listen, count = arguments(
    "host", "port", "called", "study", "destination", "listen", "count"
)
count, received = int(count), []


def on_store(event):
    received.append((event.request.AffectedSOPInstanceUID, event.request.MoveOriginatorApplicationEntityTitle))
    return 0x0000


scp = AE(ae_title=destination)
scp.supported_contexts = AllStoragePresentationContexts
server = scp.start_server(("127.0.0.1", int(listen)), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)])
try:
    with associated(host, port, called, [(STUDY_ROOT_MOVE, EXPLICIT_LE)], calling="PYNETMOVE") as association:
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        query.StudyInstanceUID = study
        status = None
        for status, _ in association.send_c_move(query, destination, STUDY_ROOT_MOVE):
            assert status, "no response: the association was aborted or timed out"
            if status.Status == 0xFF00:
                total = (
                    status.NumberOfRemainingSuboperations
                    + status.NumberOfCompletedSuboperations
                    + status.NumberOfFailedSuboperations
                    + status.NumberOfWarningSuboperations
                )
                assert total == count, status
        assert status.Status == 0x0000, status
        assert status.NumberOfCompletedSuboperations == count, status
        assert status.NumberOfFailedSuboperations == 0, status
    assert len({uid for uid, _ in received}) == len(received) == count, received
    assert {str(aet).strip() for _, aet in received} == {"PYNETMOVE"}, received
finally:
    server.shutdown()
