"""Worklist C-FIND by pynetdicom, as a scanner asks in the morning."""
from lab import EXPLICIT_LE, answers, arguments, associated
from pydicom.dataset import Dataset

WORKLIST = "1.2.840.10008.5.1.4.31"

host, port, called, station, accession = arguments("host", "port", "called", "station", "accession")
query = Dataset()
for keyword in (
    "AccessionNumber PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID "
    "RequestedProcedureID RequestedProcedureDescription ReferringPhysicianName"
).split():
    setattr(query, keyword, "")
step = Dataset()
step.ScheduledStationAETitle = station
for keyword in (
    "Modality ScheduledProcedureStepStartDate ScheduledProcedureStepStartTime "
    "ScheduledProcedureStepID ScheduledProcedureStepDescription ScheduledPerformingPhysicianName"
).split():
    setattr(step, keyword, "")
query.ScheduledProcedureStepSequence = [step]

with associated(host, port, called, [(WORKLIST, EXPLICIT_LE)], calling=station) as association:
    (item,) = answers(association.send_c_find(query, WORKLIST))
assert item.AccessionNumber == accession, item
assert item.StudyInstanceUID, item
(step,) = item.ScheduledProcedureStepSequence
assert step.ScheduledStationAETitle == station, step
# type 1 in table K.6-1
for keyword in "Modality ScheduledProcedureStepStartDate ScheduledProcedureStepStartTime ScheduledProcedureStepID".split():
    assert step.get(keyword), f"{keyword} is empty or missing in\n{step}"
# every attribute that was asked for comes back, if only empty
for asked in query:
    assert asked.tag in item, f"{asked.keyword} was asked for and is not in\n{item}"
