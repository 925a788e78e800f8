"""C-FIND by pynetdicom on all levels of the study and patient root models."""
from lab import EXPLICIT_LE, answers, arguments, associated
from pydicom.dataset import Dataset

PATIENT_ROOT, STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.2.1"

host, port, called, study_uid, accession = arguments("host", "port", "called", "study", "accession")


def query(level, **keys):
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


contexts = [(PATIENT_ROOT, EXPLICIT_LE), (STUDY_ROOT, EXPLICIT_LE)]
with associated(host, port, called, contexts) as association:
    find = lambda model, identifier: answers(association.send_c_find(identifier, model))
    (study,) = find(
        STUDY_ROOT,
        query("STUDY", AccessionNumber=accession, StudyInstanceUID="", PatientName="", StudyDate="20250101-"),
    )
    assert study.StudyInstanceUID == study_uid, study
    assert study.QueryRetrieveLevel == "STUDY", study
    series = find(STUDY_ROOT, query("SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID="", Modality=""))
    assert len({item.SeriesInstanceUID for item in series}) == len(series) > 1, series
    images = []
    for item in series:
        keys = dict(StudyInstanceUID=study_uid, SeriesInstanceUID=item.SeriesInstanceUID, SOPInstanceUID="")
        images += find(STUDY_ROOT, query("IMAGE", **keys))
    assert len({image.SOPInstanceUID for image in images}) == len(images) == 8, images
    (patient,) = find(PATIENT_ROOT, query("PATIENT", PatientName="SYNTH*", PatientID=""))
    (again,) = find(PATIENT_ROOT, query("STUDY", PatientID=patient.PatientID, StudyInstanceUID=""))
    assert again.StudyInstanceUID == study_uid, again
    assert find(STUDY_ROOT, query("STUDY", PatientName="NOBODY*", StudyInstanceUID="")) == []
