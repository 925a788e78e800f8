"""C-STORE by pynetdicom: one object of 48 MB, then 200 small ones on one association; all are
found afterwards."""
import copy

from lab import EXPLICIT_LE, answers, arguments, associated
from pydicom import dcmread
from pydicom.dataset import Dataset

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY = "2.25.7700"

host, port, called, ct = arguments("host", "port", "called", "ct-file")
original = dcmread(ct)


def instance(number, size=None):
    image = copy.deepcopy(original)
    image.StudyInstanceUID, image.SeriesInstanceUID = STUDY, STUDY + ".1"
    image.SOPInstanceUID = f"{STUDY}.1.{number}"
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.InstanceNumber = number
    if size:
        image.Rows, image.Columns = size
        image.PixelData = bytes(size[0] * size[1] * 2)
    return image


images = [instance(1, (6000, 4000))] + [instance(number) for number in range(2, 202)]
contexts = [(CT_IMAGE, EXPLICIT_LE), (STUDY_ROOT_FIND, EXPLICIT_LE)]
with associated(host, port, called, contexts) as association:
    for image in images:
        status = association.send_c_store(image)
        assert status and status.Status == 0x0000, (image.InstanceNumber, status)
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = STUDY
    query.NumberOfStudyRelatedInstances = None
    (study,) = answers(association.send_c_find(query, STUDY_ROOT_FIND))
    assert study.NumberOfStudyRelatedInstances == len(images), study
print(f"stored {len(images)}")
