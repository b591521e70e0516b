"""A stored picture as a DICOM file: Dermoscopic Photography or, of an ordinary photograph, VL
Photographic (PS3.3, A.32.11 and A.32.4). The person is a pseudonym; the day of capture stays."""

from __future__ import annotations

import struct
from collections.abc import Container
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING
from uuid import uuid5

from PIL import ImageCms

from screening.images import delivery
from screening.images.dicom import DERMOSCOPIC, UNKNOWN, VL_PHOTOGRAPHIC
from screening.interop.codes import BODY_SITES, Code
from screening.interop.dicom import uids
from screening.measurements.millimetres import scale_of
from screening.models import BodySite, LesionImage, Modality, Patient, Side

if TYPE_CHECKING:
    from pydicom import Dataset

FAMILY = "SkinCheck"
"""The family name of every pseudonym."""
HOW_DEIDENTIFIED = "Pseudonym; no name, birth date or number of the person"
CLASSES: dict[str, str] = {
    Modality.DERMATOSCOPIC: DERMOSCOPIC,
    Modality.CLINICAL: VL_PHOTOGRAPHIC,
}
MODALITIES: dict[str, str] = {Modality.DERMATOSCOPIC: "DMS", Modality.CLINICAL: "XC"}
LATERALITY: dict[str, str] = {Side.LEFT: "L", Side.RIGHT: "R"}
DERIVATION = "Written anew by SkinCheck: upright, in sRGB"


EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"

ABOUT = ("patients", "lesions", "scales")
"""Metadata beside the picture: sex and age, location of the lesion, size of a pixel."""


def to_dicom(
    image: LesionImage, picture: bytes, tells: Container[str] = ABOUT, *, plain: bool = False
) -> bytes:
    """Write the image as DICOM. picture: the bytes of the stored file. A JPEG is embedded
    unchanged, unless plain; a PNG is stored uncompressed. tells: a subset of ``ABOUT``.
    Raises Http404 if a picture that must be decoded is damaged.

    The same image always gets the same UIDs: see ``uids``. Reads ``image.lesion.patient``,
    identifiers, scale and body map.
    """
    from pydicom import dcmwrite
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax_of(image, plain=plain))
    told = metadata(image, len(picture), tells, plain=plain)
    dataset = FileDataset("", told, file_meta=meta, preamble=b"\0" * 128)
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if meta.TransferSyntaxUID == JPEG:
        dataset.PixelData = encapsulate([picture])
        dataset["PixelData"].is_undefined_length = True
    else:
        pixels = values(image, picture)
        dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def metadata(
    image: LesionImage, stored_bytes: int, tells: Container[str] = ABOUT, *, plain: bool = False
) -> Dataset:
    """The data set of ``to_dicom`` without pixels. stored_bytes: the length of the stored file."""
    dataset = described(image, tells)
    _describe_pixels(dataset, image, stored_bytes, plain=plain)
    return dataset


def described(image: LesionImage, tells: Container[str] = ABOUT) -> Dataset:
    """Whose picture it is, what it shows, and when it was taken."""
    from pydicom import Dataset

    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    _identify(dataset, image)
    describe_patient(dataset, image.lesion.patient)
    describe_identity(dataset, image)
    if "patients" in tells:
        _describe_person(dataset, image)
    _describe_capture(dataset, image)
    if "scales" in tells and (scale := scale_of(image)) is not None:
        dataset.PixelSpacing = [f"{scale:.10g}"] * 2
    _describe_skin(dataset, image, tells_site="lesions" in tells)
    dataset.Rows, dataset.Columns = image.height, image.width
    dataset.BitsAllocated = 8
    return dataset


def is_jpeg(image: LesionImage) -> bool:
    """Whether the picture is stored as JPEG."""
    return str(image.file.name).endswith(".jpg")


def syntax_of(image: LesionImage, *, plain: bool = False) -> str:
    """The transfer syntax that ``to_dicom`` writes."""
    return JPEG if is_jpeg(image) and not plain else EXPLICIT


def values(image: LesionImage, picture: bytes) -> bytes:
    """The pixels of a stored file: RGB, row by row. Raises Http404 if it is damaged."""
    return delivery.decoded(image, picture).tobytes()


def _identify(dataset: Dataset, image: LesionImage) -> None:
    dataset.SOPClassUID = CLASSES[image.modality]
    dataset.SOPInstanceUID = uids.instance_uid(image)
    dataset.StudyInstanceUID = uids.study_uid(image.lesion.patient_id, image.captured_on)
    dataset.SeriesInstanceUID = uids.series_uid(image.lesion_id, image.captured_on, image.modality)
    dataset.Modality = MODALITIES[image.modality]
    dataset.StudyID = dataset.SeriesNumber = dataset.InstanceNumber = "1"
    dataset.AccessionNumber = ""


def describe_patient(dataset: Dataset, patient: Patient) -> None:
    dataset.PatientName = f"{FAMILY}^{patient.pk.hex[-8:].upper()}"
    dataset.PatientID = str(patient.pk)
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.ReferringPhysicianName = ""


def describe_sex(dataset: Dataset, patient: Patient) -> None:
    dataset.PatientSex = {"female": "F", "male": "M"}.get(patient.sex, "")


def describe_identity(dataset: Dataset, image: LesionImage) -> None:
    if image.has_burned_in_text:  # the header holds no name, but the picture may
        dataset.PatientIdentityRemoved = "NO"
        dataset.BurnedInAnnotation = "YES"
    else:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = HOW_DEIDENTIFIED


def _describe_person(dataset: Dataset, image: LesionImage) -> None:
    age = image.age
    describe_sex(dataset, image.lesion.patient)
    if age is not None:
        dataset.PatientAge = f"{age:03}Y"


def _describe_capture(dataset: Dataset, image: LesionImage) -> None:
    day = image.captured_on.strftime("%Y%m%d")
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = day
    dataset.AcquisitionDateTime = day
    dataset.StudyTime = ""
    dataset.Manufacturer = dataset.DeviceSerialNumber = UNKNOWN
    dataset.ManufacturerModelName = image.camera_model[:64] or UNKNOWN
    dataset.SoftwareVersions = "SkinCheck"
    dataset.AcquisitionContextSequence = []
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.DerivationDescription = DERIVATION
    dataset.PatientOrientation = ""
    if image.is_synthetic:
        dataset.ImageComments = "Drawn by SkinCheck, not skin."


def _describe_skin(dataset: Dataset, image: LesionImage, *, tells_site: bool) -> None:
    site = image.lesion.body_site if tells_site else ""
    position = next(iter(image.lesion.positions.all()), None) if tells_site else None
    dataset.Laterality = LATERALITY.get(position.side, "") if position else ""
    if site in BODY_SITES:
        dataset.AnatomicRegionSequence = [_item(BODY_SITES[site])]
    if image.modality != Modality.DERMATOSCOPIC:
        return
    dataset.FrameOfReferenceUID = uids.uid_of(uuid5(image.pk, "frame of reference"))
    dataset.PositionReferenceIndicator = ""
    # Palms and soles show ridges that can identify a person.
    dataset.RecognizableVisualFeatures = "YES" if site in ("", BodySite.ACRAL) else "NO"
    dataset.LightSourcePolarization = ""
    dataset.EmitterColorTemperature = None
    dataset.ContactMethod = ""
    dataset.OpticalMagnificationFactor = None


def _describe_pixels(
    dataset: Dataset, image: LesionImage, stored_bytes: int, *, plain: bool
) -> None:
    dataset.SamplesPerPixel = 3
    dataset.PlanarConfiguration = 0
    dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.ICCProfile = _srgb()
    dataset.ColorSpace = "SRGB"
    dataset.LossyImageCompression = ""
    if is_jpeg(image):
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = f"{3 * image.width * image.height / stored_bytes:.4g}"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
    is_embedded = syntax_of(image, plain=plain) == JPEG
    dataset.PhotometricInterpretation = "YBR_FULL_422" if is_embedded else "RGB"


@cache
def _srgb() -> bytes:
    """The profile without its creation time (ICC.1, 7.2.8)."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + profile[36:]


def _item(code: Code) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = "SCT"
    item.CodeMeaning = code.meaning
    return item
