"""pynetdicom as the department of a scanner: a worklist of one item, an archive, and who is told of the
performed steps. Prints its port, and what it was told as one JSON line each; runs until it is killed.

MODE is `whole`, `full` (the archive takes three images and no more) or `without` (no MPPS).
"""
import json
import threading

from lab import EXPLICIT_LE, arguments
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

WORKLIST, MPPS, CT = "1.2.840.10008.5.1.4.31", "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.5.1.4.1.1.2"

(mode,) = arguments("mode")
steps, stored = {}, []


def tell(what, **more):
    print(json.dumps({"what": what, "images": len(stored), **more}), flush=True)


def item():
    made, step, code = Dataset(), Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "CTCHW", "99PACSLAB", "CT CHEST W CONTRAST"
    step.ScheduledStationAETitle, step.Modality = "PYMOD1", "CT"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20260105", "090000"
    step.ScheduledProcedureStepID, step.ScheduledProcedureStepDescription = "SPS1", "CT CHEST ROUTINE"
    step.ScheduledProtocolCodeSequence = [code]
    made.SpecificCharacterSet = "ISO_IR 192"
    made.AccessionNumber, made.StudyInstanceUID = "ACC1001", "2.25.329800735698586629295641978511506172918"
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = "Müller^Jörg", "P1", "19800101", "M"
    made.RequestedProcedureID, made.RequestedProcedureDescription = "RP1", "CT CHEST W CONTRAST"
    made.RequestedProcedureCodeSequence, made.ScheduledProcedureStepSequence = [code], [step]
    return made


def on_find(event):
    yield 0xFF00, item()


def on_store(event):
    if mode == "full" and len(stored) == 3:
        return 0xA700
    stored.append(event.dataset)
    return 0x0000


def on_create(event):
    made, uid = event.attribute_list, event.request.AffectedSOPInstanceUID
    assert made.PerformedProcedureStepStatus == "IN PROGRESS", made
    for keyword in (
        "PatientName PatientID PatientBirthDate PatientSex ReferencedPatientSequence PerformedStationName "
        "PerformedLocation PerformedProcedureStepDescription PerformedProcedureTypeDescription "
        "ProcedureCodeSequence PerformedProcedureStepEndDate PerformedProcedureStepEndTime StudyID "
        "PerformedProcedureStepDiscontinuationReasonCodeSequence PerformedProtocolCodeSequence "
        "PerformedSeriesSequence"
    ).split():
        assert keyword in made, f"{keyword} is missing"
    for keyword in (
        "PerformedProcedureStepID PerformedStationAETitle PerformedProcedureStepStartDate "
        "PerformedProcedureStepStartTime Modality"
    ).split():
        assert made.get(keyword), f"{keyword} is empty or missing"
    (scheduled,) = made.ScheduledStepAttributesSequence
    asked = item()
    assert made.PatientName == asked.PatientName and made.PatientID == asked.PatientID, made
    for keyword in "StudyInstanceUID AccessionNumber RequestedProcedureID RequestedProcedureDescription".split():
        assert scheduled.get(keyword) == asked.get(keyword), keyword
    (step,) = asked.ScheduledProcedureStepSequence
    for keyword in "ScheduledProcedureStepID ScheduledProcedureStepDescription ScheduledProtocolCodeSequence".split():
        assert scheduled.get(keyword) == step.get(keyword), keyword
    assert scheduled.ReferencedStudySequence == [], scheduled
    steps[uid] = made
    tell("create", uid=uid)
    return 0x0000, None


def on_set(event):
    uid, changes = event.request.RequestedSOPInstanceUID, event.modification_list
    made = steps[uid]
    for element in changes:
        assert element.tag in made, f"{element.keyword} was not created"
    assert changes.PerformedProcedureStepEndDate and changes.PerformedProcedureStepEndTime, changes
    assert changes.PerformedSeriesSequence, "a step ends with its series"
    listed = []
    for series in changes.PerformedSeriesSequence:
        assert series.ProtocolName and series.SeriesInstanceUID, series
        for keyword in "PerformingPhysicianName OperatorsName SeriesDescription RetrieveAETitle".split():
            assert keyword in series, f"{keyword} is missing"
        assert series.ReferencedNonImageCompositeSOPInstanceSequence == [], series
        listed += [one.ReferencedSOPInstanceUID for one in series.ReferencedImageSequence]
    assert sorted(listed) == sorted(image.SOPInstanceUID for image in stored), "other images than were stored"
    for image in stored:
        (reference,) = image.ReferencedPerformedProcedureStepSequence
        assert (reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID) == (MPPS, uid), reference
        for keyword in (
            "PerformedProcedureStepID PerformedProcedureStepStartDate PerformedProcedureStepStartTime "
            "PerformedProcedureStepDescription PerformedProtocolCodeSequence"
        ).split():
            assert image.get(keyword) == made.get(keyword), keyword
    reasons = changes.get("PerformedProcedureStepDiscontinuationReasonCodeSequence", [])
    tell("set", uid=uid, status=changes.PerformedProcedureStepStatus, reasons=[code.CodeValue for code in reasons])
    return 0x0000, None


def guarded(handler):
    """What does not hold is told, and refused."""

    def handle(event):
        try:
            return handler(event)
        except Exception as error:
            tell("wrong", error=f"{type(error).__name__}: {error}")
            return 0x0110, None

    return handle


ae = AE(ae_title="DEPARTMENT")
for abstract in [WORKLIST, CT] + ([] if mode == "without" else [MPPS]):
    ae.add_supported_context(abstract, EXPLICIT_LE)
handlers = [
    (evt.EVT_C_FIND, on_find),
    (evt.EVT_C_STORE, on_store),
    (evt.EVT_N_CREATE, guarded(on_create)),
    (evt.EVT_N_SET, guarded(on_set)),
]
server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
tell("ready", port=server.socket.getsockname()[1])
threading.Event().wait()
