"""A stored picture as a DICOM file: Dermoscopic Photography or, of an ordinary photograph, VL
Photographic (PS3.3, A.32.11 and A.32.4). The person is a pseudonym; the day of capture stays."""

from __future__ import annotations

from collections.abc import Container
from io import BytesIO
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from PIL import Image, ImageCms

from screening.images.dicom import DERMOSCOPIC, UNKNOWN, VL_PHOTOGRAPHIC
from screening.interop.codes import BODY_SITES, Code
from screening.measurements.millimetres import scale_of
from screening.models import BodySite, LesionImage, Modality, Side

if TYPE_CHECKING:
    from pydicom import Dataset

HOW_DEIDENTIFIED = "Pseudonym; no name, birth date or number of the person"
LATERALITY: dict[str, str] = {Side.LEFT: "L", Side.RIGHT: "R"}
DERIVATION = "Written anew by SkinCheck: upright, in sRGB"


ABOUT = ("patients", "lesions", "scales")
"""Metadata beside the picture: sex and age, location of the lesion, size of a pixel."""


def to_dicom(image: LesionImage, picture: bytes, tells: Container[str] = ABOUT) -> bytes:
    """Write the image as DICOM. picture: the bytes of the stored file. A JPEG is embedded
    unchanged; a PNG is stored uncompressed. tells: a subset of ``ABOUT``.

    The same image always gets the same UIDs. Images of one lesion on one day form a series, those
    of one patient on one day a study. Reads ``image.lesion.patient``, scale and body map.
    """
    from pydicom import dcmwrite
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

    is_jpeg = picture.startswith(b"\xff\xd8")
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = JPEGBaseline8Bit if is_jpeg else ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    _identify(dataset, image)
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    _describe_patient(dataset, image)
    if "patients" in tells:
        _describe_person(dataset, image)
    _describe_capture(dataset, image)
    if "scales" in tells and (scale := scale_of(image)) is not None:
        dataset.PixelSpacing = [f"{scale:.10g}"] * 2
    _describe_skin(dataset, image, tells_site="lesions" in tells)
    _lay_pixels(dataset, image, picture, is_jpeg=is_jpeg)
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _identify(dataset: Dataset, image: LesionImage) -> None:
    day = image.captured_on.isoformat()
    dermoscopic = image.modality == Modality.DERMATOSCOPIC
    dataset.SOPClassUID = DERMOSCOPIC if dermoscopic else VL_PHOTOGRAPHIC
    dataset.SOPInstanceUID = _uid(image.pk)
    dataset.StudyInstanceUID = _uid(uuid5(image.lesion.patient_id, day))
    dataset.SeriesInstanceUID = _uid(uuid5(image.lesion_id, day))
    dataset.Modality = "DMS" if dermoscopic else "XC"
    dataset.StudyID = dataset.SeriesNumber = dataset.InstanceNumber = "1"
    dataset.AccessionNumber = ""


def _describe_patient(dataset: Dataset, image: LesionImage) -> None:
    patient = image.lesion.patient
    dataset.PatientName = f"SkinCheck^{patient.pk.hex[-8:].upper()}"
    dataset.PatientID = str(patient.pk)
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    if image.has_burned_in_text:  # the header holds no name, but the picture may
        dataset.PatientIdentityRemoved = "NO"
        dataset.BurnedInAnnotation = "YES"
    else:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = HOW_DEIDENTIFIED
    dataset.ReferringPhysicianName = ""


def _describe_person(dataset: Dataset, image: LesionImage) -> None:
    age = image.age
    dataset.PatientSex = {"female": "F", "male": "M"}.get(image.lesion.patient.sex, "")
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
    position = image.lesion.positions.first() if tells_site else None
    dataset.Laterality = LATERALITY.get(position.side, "") if position else ""
    if site in BODY_SITES:
        dataset.AnatomicRegionSequence = [_item(BODY_SITES[site])]
    if image.modality != Modality.DERMATOSCOPIC:
        return
    dataset.FrameOfReferenceUID = _uid(uuid5(image.pk, "frame of reference"))
    dataset.PositionReferenceIndicator = ""
    # Palms and soles show ridges that can identify a person.
    dataset.RecognizableVisualFeatures = "YES" if site in ("", BodySite.ACRAL) else "NO"
    dataset.LightSourcePolarization = ""
    dataset.EmitterColorTemperature = None
    dataset.ContactMethod = ""
    dataset.OpticalMagnificationFactor = None


def _lay_pixels(dataset: Dataset, image: LesionImage, picture: bytes, *, is_jpeg: bool) -> None:
    from pydicom.encaps import encapsulate

    dataset.Rows, dataset.Columns = image.height, image.width
    dataset.SamplesPerPixel = 3
    dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.ICCProfile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    dataset.ColorSpace = "SRGB"
    if is_jpeg:
        dataset.PhotometricInterpretation = "YBR_FULL_422"
        dataset.PixelData = encapsulate([picture])
        dataset["PixelData"].is_undefined_length = True
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = f"{3 * image.width * image.height / len(picture):.4g}"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
        return
    with Image.open(BytesIO(picture), formats=("PNG",)) as opened:
        pixels = opened.convert("RGB").tobytes()
    dataset.PhotometricInterpretation = "RGB"
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset.LossyImageCompression = ""


def _item(code: Code) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = "SCT"
    item.CodeMeaning = code.meaning
    return item


def _uid(identity: UUID) -> str:
    """PS3.5, B.2: a UUID as a number under 2.25."""
    return f"2.25.{identity.int}"
