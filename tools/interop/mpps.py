"""Performed procedure steps by pynetdicom, as a scanner reports them; the worklist tells what came of it.

WHAT is `rules`: every rule of the service, one after the other; `begin`: the step begins and is left
so; `again`: it has begun before, and ends now; `ended`: it has ended before; `group`: one step for
the orders ACCESSION and the one after it; `procedure`: of the requested procedures of the order, which
count their steps alike, RP2 begins and ends; `unscheduled`: a step without order.
"""
import copy

from lab import EXPLICIT_LE, answers, arguments, associated
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import evt

WORKLIST, MPPS, RETRIEVE = "1.2.840.10008.5.1.4.31", "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.3.1.2.3.4"
CT = "1.2.840.10008.5.1.4.1.1.2"
UID = "2.25.329800735698586629295641978511506172918"

host, port, called, accession, what = arguments("host", "port", "called", "accession", "what")


def data_set(**attributes):
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def code(value, meaning):
    return data_set(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)


def worklist(association, accession, status=None):
    """Items of the worklist; those that have started only when that is asked for."""
    step = data_set(ScheduledProcedureStepID="", ScheduledProcedureStepDescription="", Modality="")
    step.ScheduledProtocolCodeSequence = []
    step.ScheduledProcedureStepStatus = status or ""
    keys = data_set(AccessionNumber=accession, PatientName="", PatientID="", StudyInstanceUID="")
    keys.RequestedProcedureID = keys.RequestedProcedureDescription = keys.PatientBirthDate = keys.PatientSex = ""
    keys.ScheduledProcedureStepSequence = [step]
    return answers(association.send_c_find(keys, WORKLIST))


def status_of(association, accession):
    """SCHEDULED, STARTED, ...; None: it is on no worklist."""
    found = {
        status
        for status in "SCHEDULED ARRIVED READY STARTED DEPARTED COMPLETED DISCONTINUED".split()
        if worklist(association, accession, status)
    }
    assert len(found) < 2, found
    return found.pop() if found else None


def scheduled(item):
    (step,) = item.ScheduledProcedureStepSequence
    return data_set(
        StudyInstanceUID=item.StudyInstanceUID,
        ReferencedStudySequence=[],
        AccessionNumber=item.AccessionNumber,
        RequestedProcedureID=item.RequestedProcedureID,
        RequestedProcedureDescription=item.RequestedProcedureDescription,
        ScheduledProcedureStepID=step.ScheduledProcedureStepID,
        ScheduledProcedureStepDescription=step.ScheduledProcedureStepDescription,
        ScheduledProtocolCodeSequence=step.ScheduledProtocolCodeSequence,
    )


def begun(items, patient="P12345"):
    return data_set(
        SpecificCharacterSet="ISO_IR 100",
        ScheduledStepAttributesSequence=items,
        PatientName="Müller^Jörg",
        PatientID=patient,
        PatientBirthDate="19800101",
        PatientSex="F",
        ReferencedPatientSequence=[],
        PerformedProcedureStepID="PPS1",
        PerformedStationAETitle="PYMOD1",
        PerformedStationName="",
        PerformedLocation="",
        PerformedProcedureStepStartDate="20260105",
        PerformedProcedureStepStartTime="080000",
        PerformedProcedureStepStatus="IN PROGRESS",
        PerformedProcedureStepDescription="",
        PerformedProcedureTypeDescription="",
        ProcedureCodeSequence=[],
        PerformedProcedureStepEndDate="",
        PerformedProcedureStepEndTime="",
        PerformedProcedureStepDiscontinuationReasonCodeSequence=[],
        Modality="CT",
        StudyID="",
        PerformedProtocolCodeSequence=[],
        PerformedSeriesSequence=[],
    )


def series():
    return data_set(
        PerformingPhysicianName="",
        OperatorsName="",
        ProtocolName="CT CHEST ROUTINE",
        SeriesInstanceUID=generate_uid(),
        SeriesDescription="",
        RetrieveAETitle="",
        ReferencedImageSequence=[data_set(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=generate_uid())],
        ReferencedNonImageCompositeSOPInstanceSequence=[],
    )


def ends(status="COMPLETED"):
    return data_set(
        SpecificCharacterSet="ISO_IR 192",
        PerformedProcedureStepStatus=status,
        PerformedProcedureStepEndDate="20260105",
        PerformedProcedureStepEndTime="081530",
        PerformedSeriesSequence=[series()],
    )


def but(original, **attributes):
    """With other values; None: without the attribute."""
    changed = copy.deepcopy(original)
    for keyword, value in attributes.items():
        if value is None:
            delattr(changed, keyword)
        else:
            setattr(changed, keyword, value)
    return changed


class Scanner:
    def __init__(self, association):
        self.association = association

    def create(self, attributes, expected, uid=UID, names=""):
        return self.check(self.association.send_n_create(attributes, MPPS, uid)[0], expected, names)

    def set(self, attributes, expected, uid=UID, names=""):
        return self.check(self.association.send_n_set(attributes, MPPS, uid)[0], expected, names)

    def check(self, status, expected, names):
        assert status, "no response: the association was aborted or timed out"
        assert status.Status == expected, f"0x{status.Status:04x} instead of 0x{expected:04x}\n{status}"
        comment = status.get("ErrorComment", "")
        print(f"Status: 0x{status.Status:04x} {comment}")
        assert names in comment, f"'{names}' is not named in '{comment}'"
        assert (expected == 0) == (comment == ""), comment
        return status

    def get(self, expected=0x0000, uid=UID, tags=()):
        status, found = self.association.send_n_get(list(tags), RETRIEVE, uid)
        assert status.Status == expected, status
        return found


def rules(association):
    scanner = Scanner(association)
    (item,) = worklist(association, accession)
    assert status_of(association, accession) == "SCHEDULED"
    good = begun([scheduled(item)])

    # what is missing or empty is named, and nothing has happened by it
    scanner.create(but(good, PerformedProcedureStepID=None), 0x0120, names="PerformedProcedureStepID")
    scanner.create(but(good, PatientName=None), 0x0120, names="PatientName")
    assert heard.AttributeIdentifierList == 0x00100010, heard
    scanner.create(but(good, Modality=""), 0x0121, names="Modality")
    assert heard.AttributeIdentifierList == 0x00080060, heard
    scanner.create(but(good, ScheduledStepAttributesSequence=[]), 0x0121, names="ScheduledStepAttributesSequence")
    nested = but(scheduled(item), StudyInstanceUID="")
    scanner.create(but(good, ScheduledStepAttributesSequence=[nested]), 0x0121, names="StudyInstanceUID")
    nested = but(scheduled(item), AccessionNumber=None)
    scanner.create(but(good, ScheduledStepAttributesSequence=[nested]), 0x0120, names="AccessionNumber")
    for status in ("COMPLETED", "DISCONTINUED", "STARTED"):
        scanner.create(but(good, PerformedProcedureStepStatus=status), 0x0106, names=status)
    scanner.set(ends(), 0x0112)
    scanner.get(0x0112)
    assert status_of(association, accession) == "SCHEDULED"

    scanner.create(good, 0x0000)
    assert worklist(association, accession) == [], "a step that has started is offered no longer"
    assert status_of(association, accession) == "STARTED"
    scanner.create(good, 0x0111)

    # what may change does, sequences as a whole
    scanner.set(data_set(PerformedSeriesSequence=[series(), series()]), 0x0000)
    assert len(scanner.get().PerformedSeriesSequence) == 2
    scanner.set(data_set(PerformedSeriesSequence=[series()]), 0x0000)
    scanner.set(data_set(PerformedProcedureStepStatus="IN PROGRESS"), 0x0000)
    kept = scanner.get(tags=[0x00400340, 0x00100010])
    assert len(kept.PerformedSeriesSequence) == 1 and "Modality" not in kept, kept
    assert kept.PatientName == "Müller^Jörg", kept
    # what may not does not
    scanner.set(data_set(PatientID="P9"), 0x0105, names="PatientID")
    assert heard.AttributeIdentifierList == 0x00100020, heard
    scanner.set(data_set(Modality="MR"), 0x0105, names="Modality")
    # and what was not created is not there to be changed
    scanner.set(
        data_set(CommentsOnThePerformedProcedureStep="late"), 0x0105, names="CommentsOnThePerformedProcedureStep"
    )
    scanner.set(data_set(PerformedProcedureStepStatus="DONE"), 0x0106, names="DONE")
    assert scanner.get().PatientID == "P12345"

    # the end has to be told whole
    scanner.set(but(ends(), PerformedProcedureStepEndTime=None), 0x0121, names="PerformedProcedureStepEndTime")
    scanner.set(but(ends(), PerformedSeriesSequence=[]), 0x0121, names="PerformedSeriesSequence")
    for keyword, value in {"ProtocolName": "", "SeriesInstanceUID": ""}.items():
        incomplete = but(series(), **{keyword: value})
        scanner.set(but(ends(), PerformedSeriesSequence=[incomplete]), 0x0121, names=keyword)
    incomplete = but(series(), OperatorsName=None)
    scanner.set(but(ends(), PerformedSeriesSequence=[incomplete]), 0x0120, names="OperatorsName")
    assert scanner.get().PerformedProcedureStepStatus == "IN PROGRESS"
    assert status_of(association, accession) == "STARTED"

    scanner.set(ends(), 0x0000)
    assert status_of(association, accession) is None, "what is completed is on no worklist"
    for late in (ends(), ends("DISCONTINUED"), data_set(PerformedProcedureStepDescription="late")):
        status = scanner.set(late, 0x0110, names="may no longer be updated")
        assert status.ErrorID == 0xA710, status
    scanner.create(good, 0x0111)
    assert scanner.get().PerformedProcedureStepStatus == "COMPLETED"

    # without a UID the provider chooses one; images later are a step of their own
    scanner.create(good, 0x0000, uid=None)
    chosen = heard.AffectedSOPInstanceUID
    assert chosen.is_valid and chosen != UID, chosen
    scanner.set(ends(), 0x0000, uid=chosen)
    scanner.create(good, 0x0117, uid="1.2.abc")


def begin(association):
    (item,) = worklist(association, accession)
    Scanner(association).create(begun([scheduled(item)]), 0x0000)


def again(association):
    scanner = Scanner(association)
    (item,) = worklist(association, accession, "STARTED")
    scanner.create(begun([scheduled(item)]), 0x0111)
    assert status_of(association, accession) == "STARTED"
    reason = code("110513", "Discontinued for unspecified reason")
    discontinued = but(ends("DISCONTINUED"), PerformedProcedureStepDiscontinuationReasonCodeSequence=[reason])
    scanner.set(discontinued, 0x0000)


def ended(association):
    scanner = Scanner(association)
    assert status_of(association, accession) is None
    scanner.set(ends(), 0x0110)
    kept = scanner.get()
    assert kept.PerformedProcedureStepStatus == "DISCONTINUED", kept
    (reason,) = kept.PerformedProcedureStepDiscontinuationReasonCodeSequence
    assert reason.CodeValue == "110513", kept


def group(association):
    scanner = Scanner(association)
    both = [accession, accession[:-1] + str(int(accession[-1]) + 1)]
    items = [worklist(association, one)[0] for one in both]
    first, second = (scheduled(item) for item in items)
    # the scanner has put both into one study: the other order is found by its numbers
    second.StudyInstanceUID = first.StudyInstanceUID
    scanner.create(begun([first, second]), 0x0000)
    assert [status_of(association, one) for one in both] == ["STARTED", "STARTED"]
    scanner.set(ends(), 0x0000)
    assert [status_of(association, one) for one in both] == [None, None]


def procedure(association):
    scanner = Scanner(association)

    def ids(status=None):
        return sorted(item.RequestedProcedureID for item in worklist(association, accession, status))

    waiting = worklist(association, accession)
    (second,) = [item for item in waiting if item.RequestedProcedureID == "RP2"]
    others = [one for one in ids() if one != "RP2"]
    assert others, "it is the only one"
    scanner.create(begun([scheduled(second)], patient=second.PatientID), 0x0000)
    assert (ids(), ids("STARTED")) == (others, ["RP2"])
    scanner.set(ends(), 0x0000)
    assert (ids(), ids("STARTED")) == (others, [])


def unscheduled(association):
    scanner = Scanner(association)
    item = data_set(StudyInstanceUID=generate_uid(), ReferencedStudySequence=[], AccessionNumber="")
    item.RequestedProcedureID = item.RequestedProcedureDescription = ""
    item.ScheduledProcedureStepID = item.ScheduledProcedureStepDescription = ""
    item.ScheduledProtocolCodeSequence = []
    scanner.create(begun([item], patient="WALKIN"), 0x0000)
    scanner.set(ends(), 0x0000)
    assert scanner.get().PatientID == "WALKIN"


heard = None


def hear(event):
    """pynetdicom keeps of a response what it knows; this is all of it."""
    global heard
    heard = event.message.command_set


def answers_for_us_only(association):
    """pynetdicom's own thread looks for requests of the peer, and on a busy machine takes an answer
    that `send_*` waits for; nobody asks us anything here, so it need not look."""
    take = association.dimse.get_msg
    association.dimse.get_msg = lambda block=False: take(block) if block else (None, None)


contexts = [(WORKLIST, EXPLICIT_LE), (MPPS, EXPLICIT_LE), (RETRIEVE, EXPLICIT_LE)]
with associated(host, port, called, contexts, evt_handlers=[(evt.EVT_DIMSE_RECV, hear)]) as opened:
    answers_for_us_only(opened)
    {f.__name__: f for f in (rules, begin, again, ended, group, procedure, unscheduled)}[what](opened)
