"""C-GET by pynetdicom: role selection, objects over the same association, counts of each response."""
from lab import EXPLICIT_LE, arguments
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt

STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
IMPLICIT_LE = "1.2.840.10008.1.2"

host, port, called, study, count, classes, taken = arguments(
    "host", "port", "called", "study", "count", "classes", "taken"
)
count, classes, taken, received = int(count), classes.split(","), taken.split(","), []


def on_store(event):
    assert event.dataset.StudyInstanceUID == study
    received.append(event.request.AffectedSOPInstanceUID)
    return 0x0000


def get(roles):
    """The final response; contexts for all classes, the role of SCP for some."""
    received.clear()
    ae = AE(ae_title="PYNETGET")
    ae.add_requested_context(STUDY_ROOT_GET, EXPLICIT_LE)
    for uid in classes:
        ae.add_requested_context(uid, [EXPLICIT_LE, IMPLICIT_LE])
    association = ae.associate(
        host, int(port), ae_title=called,
        ext_neg=[build_role(uid, scp_role=True) for uid in roles],
        evt_handlers=[(evt.EVT_C_STORE, on_store)],
    )
    assert association.is_established, "no association"
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = study
    status, failed = None, None
    for status, failed in association.send_c_get(query, STUDY_ROOT_GET):
        assert status, "no response: the association was aborted or timed out"
        if status.Status == 0xFF00:
            total = (
                status.NumberOfRemainingSuboperations
                + status.NumberOfCompletedSuboperations
                + status.NumberOfFailedSuboperations
                + status.NumberOfWarningSuboperations
            )
            assert total == count, status
    association.release()
    return status, failed


status, _ = get(classes)
assert status.Status == 0x0000, status
assert status.NumberOfCompletedSuboperations == count == len(set(received)), status

# without the role nothing is sent, and the answer says why
status, failed = get([])
assert status.Status == 0xA702, status
assert status.NumberOfFailedSuboperations == count and not received, status
assert len(failed.FailedSOPInstanceUIDList) == count, failed
assert "role" in status.ErrorComment, status

# with the role for some classes, those are
status, failed = get(taken)
assert status.Status == 0xB000, status
assert 0 < len(received) == status.NumberOfCompletedSuboperations < count, status
assert len(failed.FailedSOPInstanceUIDList) == count - len(received), failed
print("got", count)
