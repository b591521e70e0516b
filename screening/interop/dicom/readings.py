"""A model's reading as DICOM: a structured report (TID 1500, "Measurement Report") and, if it found
the lesion, its mask as a segmentation (PS3.3, A.35.13 and A.51). The person is a pseudonym, as in
``writer``.

The outcome of a reading may change later, through a symptom or a corrected day. Each state has its
own UIDs (``uids.document_uid``), so that no archive takes a newer one for what it has.
"""

from __future__ import annotations

from collections.abc import Container
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import numpy.typing as npt
from django.db.models import Q, QuerySet
from PIL import Image

from accounts.models import User
from ml.diagnoses import Diagnosis
from screening.interop.codes import BODY_SITES
from screening.interop.dicom import uids
from screening.interop.dicom.uids import Document
from screening.interop.dicom.writer import ABOUT, FAMILY, describe_identity, described
from screening.interop.fhir.observation import changed
from screening.measurements.masks import model_mask
from screening.models import LesionImage, Outcome, Prediction
from screening.predictions.advice import DISCLAIMER, advise

if TYPE_CHECKING:
    from highdicom.sr import Measurement
    from pydicom import Dataset
    from pydicom.sr.coding import Code

CLASSES = {
    Document.REPORT: "1.2.840.10008.5.1.4.1.1.88.33",
    Document.MASK: "1.2.840.10008.5.1.4.1.1.66.4",
}
MODALITIES = {Document.REPORT: "SR", Document.MASK: "SEG"}
HAVE = {
    Document.REPORT: Q(),
    Document.MASK: ~Q(outcome=Outcome.NOT_ASSESSABLE) & Q(maps__isnull=False),
}
"""Conditions on readings: ``documents_of`` in SQL."""
SCHEME = "99SKINCHECK"
"""The coding scheme of our own codes: outcomes, and the probability of each diagnosis."""
RESEARCH = "Research, not a diagnosis"
UNREADABLE = "The mask of this reading cannot be opened. The reading stands."
ONE_PICTURE = (
    "This is about one picture. A warning from another picture of the spot still stands beside it: "
    "see the report of the spot."
)


def told_to(user: User) -> QuerySet[Prediction]:
    """The readings that count, of those that ``user`` may see, with what ``dataset`` reads."""
    return needed(listed_to(user)).select_related("maps")


def listed_to(user: User) -> QuerySet[Prediction]:
    """As ``told_to``, with nothing but the rows."""
    return Prediction.objects.visible_to(user).counting()


def needed(found: QuerySet[Prediction]) -> QuerySet[Prediction]:
    """With what ``header`` reads of each."""
    return found.select_related("image__lesion__patient").prefetch_related(
        "image__identifiers", "image__lesion__positions"
    )


def has_mask(prediction: Prediction) -> bool:
    """Whether there is a segmentation. Reads ``prediction.maps``."""
    return prediction.outcome != Outcome.NOT_ASSESSABLE and hasattr(prediction, "maps")


def documents_of(prediction: Prediction) -> list[Document]:
    return [Document.REPORT, Document.MASK] if has_mask(prediction) else [Document.REPORT]


def uid_of(prediction: Prediction, document: Document) -> str:
    """Reads ``prediction.image.lesion``."""
    return uids.document_uid(prediction.pk, document, changed(prediction))


def to_dicom(prediction: Prediction, document: Document, tells: Container[str] = ABOUT) -> bytes:
    """A DICOM file. tells: as in ``writer.to_dicom``."""
    from pydicom import dcmwrite

    buffer = BytesIO()
    dcmwrite(buffer, dataset(prediction, document, tells), enforce_file_format=True)
    return buffer.getvalue()


def header(prediction: Prediction, document: Document, tells: Container[str] = ABOUT) -> Dataset:
    """What a search tells of a document: of its picture, but for what the document has of its own.
    Opens no mask.
    """
    image = prediction.image
    told = described(image, [one for one in ("patients", "lesions") if one in tells])
    told.SOPClassUID = CLASSES[document]
    told.SOPInstanceUID = uid_of(prediction, document)
    told.SeriesInstanceUID = uids.document_series_uid(image.lesion_id, image.captured_on, document)
    told.SeriesNumber = document.value
    told.Modality = MODALITIES[document]
    if document == Document.REPORT:
        del told.Rows, told.Columns, told.BitsAllocated
    else:
        told.BitsAllocated = 1
    return told


def without_pixels(told: Dataset) -> Dataset:
    if "PixelData" in told:
        del told.PixelData
    return told


def dataset(prediction: Prediction, document: Document, tells: Container[str] = ABOUT) -> Dataset:
    """The data set of a finished reading. Reads its maps, and the image as ``writer.to_dicom`` does
    except the scale.

    Raises ValueError if there is no mask, and Unreadable if it does not open.
    """
    image = prediction.image
    picture = described(image, [one for one in ("patients", "lesions") if one in tells])
    build = _report if document == Document.REPORT else _mask
    told = build(prediction, picture, tells)
    moment = changed(prediction)
    for name in ("Content", "InstanceCreation", "Series"):
        setattr(told, f"{name}Date", moment.strftime("%Y%m%d"))
        setattr(told, f"{name}Time", moment.strftime("%H%M%S"))
    del told.ContributingEquipmentSequence  # the camera, known only from the picture
    told.TimezoneOffsetFromUTC = "+0000"
    told.SpecificCharacterSet = "ISO_IR 192"
    if "PatientAge" in picture:
        told.PatientAge = picture.PatientAge
    describe_identity(told, image)
    return told


def _report(prediction: Prediction, picture: Dataset, tells: Container[str]) -> Dataset:
    from highdicom import sr
    from pydicom.sr.codedict import codes

    version = prediction.model_version
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=uids.uid_of(uuid5(NAMESPACE_OID, version)),
        name=FAMILY,
        manufacturer_name=FAMILY,
        model_name=version,
    )
    context = sr.ObservationContext(
        observer_device_context=sr.ObserverContext(codes.DCM.Device, device)
    )
    content = sr.MeasurementReport(
        observation_context=context,
        procedure_reported=codes.SCT.DermoscopicPhotography,
        imaging_measurements=[_group(prediction, picture, tells)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    evidence = [picture]
    if has_mask(prediction):
        evidence.append(_named(prediction, Document.MASK, picture))
    return sr.ComprehensiveSR(
        evidence=evidence,
        content=content,
        is_complete=True,
        is_final=False,
        **_of_document(prediction, Document.REPORT),
    )


def _group(prediction: Prediction, picture: Dataset, tells: Container[str]) -> Any:
    """The findings, in TID 1410 or, without a mask, 1501; the words to show with them last."""
    from highdicom import sr
    from pydicom.sr.codedict import codes

    lesion = prediction.image.lesion
    site = BODY_SITES.get(lesion.body_site) if "lesions" in tells else None
    known = {
        "tracking_identifier": sr.TrackingIdentifier(
            uid=uids.uid_of(lesion.pk), identifier=str(lesion.pk)
        ),
        "finding_type": codes.SCT.SkinLesion,
        "algorithm_id": sr.AlgorithmIdentification(name=FAMILY, version=prediction.model_version),
        "finding_sites": [sr.FindingSite(_sct(site.value, site.meaning))] if site else None,
        "measurements": _probabilities(prediction),
        "qualitative_evaluations": [
            sr.QualitativeEvaluation(_own("outcome", "Outcome"), _outcome(prediction))
        ],
    }
    if has_mask(prediction):
        mask = sr.ReferencedSegmentationFrame(
            sop_class_uid=CLASSES[Document.MASK],
            sop_instance_uid=uid_of(prediction, Document.MASK),
            frame_number=1,
            segment_number=1,
            source_image=sr.SourceImageForSegmentation(picture.SOPClassUID, picture.SOPInstanceUID),
        )
        # Only one of the two may be given (PS3.3, table 10-3).
        del mask[0].ReferencedSOPSequence[0].ReferencedSegmentNumber
        group: Any = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=mask, **known
        )
    else:
        source = sr.SourceImageForMeasurementGroup(picture.SOPClassUID, picture.SOPInstanceUID)
        group = sr.MeasurementsAndQualitativeEvaluations(source_images=[source], **known)
    for text in _words(prediction):
        comment = sr.TextContentItem(
            name=codes.DCM.Comment, value=text, relationship_type="CONTAINS"
        )
        group[0].ContentSequence.append(comment)
    return group


def _words(prediction: Prediction) -> list[str]:
    advice = advise(prediction)
    told = (advice.title, *advice.text, advice.false_alarms) if advice else ()
    return [text for text in (RESEARCH, *told, ONE_PICTURE, DISCLAIMER) if text]


def _probabilities(prediction: Prediction) -> list[Measurement]:
    from highdicom.sr import Measurement
    from pydicom.sr.codedict import codes

    if prediction.outcome == Outcome.NOT_ASSESSABLE:
        return []
    found = [(codes.DCM.ProbabilityOfCancer, prediction.p_malignant or 0.0)]
    found += [
        (_own(f"p-{one.value}", f"Probability: {one.about.label}"), prediction.probabilities[one])
        for one in Diagnosis
    ]
    return [Measurement(name, round(100 * share, 2), codes.UCUM.Percent) for name, share in found]


def _outcome(prediction: Prediction) -> Code:
    told = Outcome(prediction.outcome_told)
    return _own(told.value, told.label)


def _mask(prediction: Prediction, picture: Dataset, tells: Container[str]) -> Dataset:
    from highdicom import AlgorithmIdentificationSequence, seg
    from pydicom.sr.codedict import codes

    if not has_mask(prediction):
        raise ValueError("This reading has no mask.")
    lesion = prediction.image.lesion
    site = BODY_SITES.get(lesion.body_site) if "lesions" in tells else None
    segment = seg.SegmentDescription(
        segment_number=1,
        segment_label="Lesion",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.SkinLesion,
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=FAMILY,
            family=codes.DCM.ArtificialIntelligence,
            version=prediction.model_version,
        ),
        tracking_uid=uids.uid_of(lesion.pk),
        tracking_id=str(lesion.pk),
        anatomic_regions=[_sct(site.value, site.meaning)] if site else None,
    )
    told = seg.Segmentation(
        source_images=[picture],
        pixel_array=_pixels(prediction),
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        content_label="LESION",
        content_description=RESEARCH,
        omit_empty_frames=False,
        **_of_document(prediction, Document.MASK),
    )
    told.PatientOrientation = ""
    # A random one each time otherwise.
    organization = uids.uid_of(uuid5(prediction.pk, "dimensions"))
    for part in (*told.DimensionOrganizationSequence, *told.DimensionIndexSequence):
        part.DimensionOrganizationUID = organization
    return told


def _pixels(prediction: Prediction) -> npt.NDArray[np.uint8]:
    """[1, rows, columns]: 1 in the lesion, at the size of the picture."""
    image: LesionImage = prediction.image
    mask = Image.fromarray(model_mask(prediction.maps)).convert("L")
    grown = mask.resize((image.width, image.height), Image.Resampling.BILINEAR)
    return (np.asarray(grown) >= 128).astype(np.uint8)[np.newaxis]


def _of_document(prediction: Prediction, document: Document) -> dict[str, Any]:
    image = prediction.image
    return {
        "series_instance_uid": uids.document_series_uid(
            image.lesion_id, image.captured_on, document
        ),
        "series_number": int(document.value),
        "sop_instance_uid": uid_of(prediction, document),
        "instance_number": 1,
        "manufacturer": FAMILY,
        "manufacturer_model_name": prediction.model_version,
        "software_versions": prediction.model_version,
        "device_serial_number": prediction.weights_sha256,
    }


def _named(prediction: Prediction, document: Document, picture: Dataset) -> Dataset:
    """What a reference to the document needs."""
    from pydicom import Dataset

    told = Dataset()
    told.StudyInstanceUID = picture.StudyInstanceUID
    told.SOPClassUID = CLASSES[document]
    told.SOPInstanceUID = uid_of(prediction, document)
    told.SeriesInstanceUID = _of_document(prediction, document)["series_instance_uid"]
    return told


def _own(value: str, meaning: str) -> Code:
    from pydicom.sr.coding import Code

    return Code(value, SCHEME, meaning[:64])


def _sct(value: str, meaning: str) -> Code:
    from pydicom.sr.coding import Code

    return Code(value, "SCT", meaning)
