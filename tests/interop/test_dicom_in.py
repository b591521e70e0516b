"""DICOM photographs by the normal upload: pixels, values taken over, values discarded."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from datetime import date, time
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from pydicom import dcmread, uid

from screening.images import cleaning
from screening.interop.dicom import services as dicom_services
from screening.interop.dicom.metadata import body_site, read_metadata
from screening.interop.dicom.services import add_image
from screening.models import BodySite, ImageScale, LesionImage, Prediction
from tests.factories import LesionFactory
from tests.interop.dicoms import NAME, NUMBER, SIZE, as_ybr, dicom, encoded, picture, planes

pytestmark = pytest.mark.any_database


def cleaned(data: bytes) -> np.ndarray:
    found = cleaning.clean(BytesIO(data))
    return np.asarray(Image.open(BytesIO(found.data)).convert("RGB")).astype(int)


def without_jfif(stream: bytes) -> bytes:
    """Without the 18 bytes of the segment that says that it is YCbCr."""
    assert stream[2:4] == b"\xff\xe0"
    return stream[:2] + stream[20:]


def off(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


ORIGINAL = np.asarray(picture()).astype(int)
JPEG = encoded(picture(), "JPEG", quality=95)
PHOTOGRAPH = uid.VLPhotographicImageStorage
GREY = picture().convert("L")
DEEP = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}


def values(size: tuple[int, int] = SIZE, mode: str = "RGB") -> np.ndarray:
    return np.asarray(picture(size).convert(mode))


def lossless(size: tuple[int, int] = SIZE, *, mode: str = "RGB", told: bool = False) -> bytes:
    """A lossless JPEG. told: with the segment that names its colours; without, nothing does."""
    data = imagecodecs.jpeg8_encode(
        values(size, mode), lossless=True, colorspace="rgb", outcolorspace="rgb"
    )
    segment = data[2 : 4 + int.from_bytes(data[4:6], "big")]
    assert segment[4:9] == b"Adobe"
    of_jfif = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
    told_by = (of_jfif if mode == "YCbCr" else segment) if told else b""
    return data[:2] + told_by + data[2 + len(segment) :]


def deep() -> bytes:
    return imagecodecs.jpeg8_encode(
        values(mode="L").astype("uint16") << 4, lossless=True, bitspersample=12
    )


def near(size: tuple[int, int] = SIZE, level: int = 0) -> bytes:
    return imagecodecs.jpegls_encode(values(size), level=level)


def high(size: tuple[int, int] = SIZE, *, reversible: bool = True) -> bytes:
    return imagecodecs.htj2k_encode(values(size), reversible=reversible)


@pytest.mark.parametrize(
    ("data", "tolerance"),
    [
        (lambda: dicom(), 0),
        (lambda: dicom(syntax=uid.ImplicitVRLittleEndian), 0),
        (lambda: dicom(syntax=uid.ExplicitVRBigEndian), 0),
        (lambda: dicom(PlanarConfiguration=1, PixelData=planes(picture())), 0),
        (lambda: dicom(PhotometricInterpretation="YBR_FULL", PixelData=as_ybr(picture())), 1.5),
        (lambda: dicom(syntax=uid.JPEGBaseline8Bit, frame=JPEG), 2.5),
        (lambda: dicom(syntax=uid.JPEGExtended12Bit, frame=JPEG), 2.5),
        (
            lambda: dicom(
                syntax=uid.JPEG2000Lossless,
                frame=encoded(picture(), "JPEG2000"),
                PhotometricInterpretation="YBR_RCT",
            ),
            0,
        ),
        (
            lambda: dicom(
                syntax=uid.JPEGBaseline8Bit,
                frame=without_jfif(
                    encoded(Image.frombytes("YCbCr", SIZE, picture().tobytes()), "JPEG", quality=97)
                ),
                PhotometricInterpretation="RGB",
            ),
            4,
        ),
        (lambda: lossless_dicom("RGB"), 0),
        (lambda: lossless_dicom("YBR_FULL", frame=lossless(mode="YCbCr")), 1.5),
        (lambda: lossless_dicom("YBR_FULL", frame=lossless(told=True)), 0),
        (lambda: lossless_dicom("RGB", frame=lossless(mode="YCbCr", told=True)), 1.5),
        (lambda: near_dicom(uid.JPEGLSLossless, near()), 0),
        (lambda: near_dicom(uid.JPEGLSNearLossless, near(level=2)), 2),
        (
            lambda: dicom(
                syntax=uid.HTJ2KLossless, frame=high(), PhotometricInterpretation="YBR_RCT"
            ),
            0,
        ),
        (
            lambda: dicom(
                syntax=uid.HTJ2K,
                frame=high(reversible=False),
                PhotometricInterpretation="YBR_ICT",
            ),
            1.5,
        ),
    ],
    ids=[
        "explicit",
        "implicit",
        "big",
        "planes",
        "ybr",
        "jpeg",
        "extended",
        "jpeg2000",
        "rgb-jpeg",
        "lossless-jpeg",
        "lossless-jpeg-of-ybr",
        "lossless-jpeg-and-a-wrong-tag",
        "lossless-jfif",
        "jpeg-ls",
        "near-lossless",
        "htj2k-lossless",
        "htj2k",
    ],
)
def test_pixels_are_those_that_were_photographed(data, tolerance):
    assert off(cleaned(data()), ORIGINAL) <= tolerance


def lossless_dicom(tag: str, frame: bytes | None = None) -> bytes:
    return dicom(
        syntax=uid.JPEGLosslessSV1, frame=frame or lossless(), PhotometricInterpretation=tag
    )


def near_dicom(syntax: str, frame: bytes) -> bytes:
    return dicom(syntax=syntax, frame=frame, PhotometricInterpretation="RGB")


@pytest.mark.parametrize("tag", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("syntax", [uid.JPEGBaseline8Bit, uid.JPEGLossless, uid.JPEGLSLossless])
def test_compressed_grey_is_as_its_tag_says(syntax, tag):
    grey = np.asarray(GREY)
    shown = grey if tag == "MONOCHROME2" else 255 - grey
    frames = {
        uid.JPEGBaseline8Bit: lambda: encoded(Image.fromarray(shown), "JPEG", quality=97),
        uid.JPEGLossless: lambda: imagecodecs.jpeg8_encode(shown, lossless=True),
        uid.JPEGLSLossless: lambda: imagecodecs.jpegls_encode(shown),
    }
    data = dicom(image=GREY, syntax=syntax, frame=frames[syntax](), PhotometricInterpretation=tag)
    assert off(cleaned(data), np.repeat(grey[..., None].astype(int), 3, axis=2)) < 2.5


def test_what_loses_nothing_is_kept_so():
    for syntax, frame in (
        (uid.JPEGLossless, lossless()),
        (uid.JPEGLSLossless, near()),
        (uid.HTJ2KLossless, high()),
    ):
        assert cleaning.clean(BytesIO(dicom(syntax=syntax, frame=frame))).extension == "png"


@pytest.mark.skipif(not shutil.which("dcmcjpeg"), reason="needs dcmtk")
@pytest.mark.parametrize(
    "command", ["dcmcjpeg +el", "dcmcjpeg +e1", "dcmcjpls +el", "dcmcjpls +en", "dcmcrle"]
)
def test_what_dcmtk_compresses_is_read(command, tmp_path):
    (tmp_path / "in.dcm").write_bytes(dicom())
    done = [*command.split(), tmp_path / "in.dcm", tmp_path / "out.dcm"]
    subprocess.run(done, check=True, capture_output=True, timeout=60)
    data = (tmp_path / "out.dcm").read_bytes()
    assert dcmread(BytesIO(data)).file_meta.TransferSyntaxUID.is_compressed
    assert off(cleaned(data), ORIGINAL) <= (2 if "+en" in command else 0)


def test_a_frame_that_promises_too_much_is_refused_before_it_is_decoded():
    """Of a few hundred bytes each, that announce 65,000 x 65,000 pixels."""
    side = (65_000).to_bytes(2, "big")
    for syntax, frame, mark in (
        (uid.JPEGLossless, lossless(), b"\xff\xc3"),
        (uid.JPEGLSLossless, near(), b"\xff\xf7"),
    ):
        at = frame.index(mark) + 5
        grown = frame[:at] + side + side + frame[at + 4 : 600]
        with pytest.raises(cleaning.InvalidImage, match="contradicts itself"):
            cleaning.clean(BytesIO(dicom(syntax=syntax, frame=grown)))
    frame = high()
    at = frame.index(b"\xff\x51") + 6
    grown = frame[:at] + (65_000).to_bytes(4, "big") * 2 + frame[at + 8 : 600]
    with pytest.raises(cleaning.InvalidImage, match=r"contradicts itself|damaged"):
        cleaning.clean(BytesIO(dicom(syntax=uid.HTJ2K, frame=grown)))


CAPTURES = [uid.SecondaryCaptureImageStorage, uid.MultiFrameTrueColorSecondaryCaptureImageStorage]


@pytest.mark.parametrize("kind", CAPTURES)
def test_a_secondary_capture_is_added_only_by_choice(personas, bare, kind):
    data = dicom(SOPClassUID=kind, Modality="OT")
    with pytest.raises(ValidationError, match="does not say what it shows"):
        add_image(user=personas.clinician, lesion=bare, file=BytesIO(data))
    bare.refresh_from_db()
    assert bare.body_site == ""
    added = add_image(user=personas.clinician, lesion=bare, file=BytesIO(data), allow_capture=True)
    assert added.taken_over == ("body site: Back",)  # and no scale: the pixels may be a screen's
    assert not ImageScale.objects.exists()


def test_the_page_asks_about_a_secondary_capture(client, personas, bare):
    client.force_login(personas.clinician)
    data = dicom(SOPClassUID=CAPTURES[0], Modality="OT")
    address = f"/lesions/{bare.pk}/images/new/"
    for chosen in ({}, {"allow_capture": "on"}):
        file = SimpleUploadedFile("mole.dcm", data, "application/dicom")
        sent = {"file": file, "modality": "dermatoscopic"} | chosen
        text = client.post(address, sent, follow=True).content.decode()
        assert ("confirm that it is a photograph" in text) is not bool(chosen)
        assert LesionImage.objects.exists() is bool(chosen)


@pytest.mark.parametrize(
    ("kind", "stated", "kept"),
    [
        (PHOTOGRAPH, "", "clinical"),
        (PHOTOGRAPH, "dermatoscopic", "dermatoscopic"),
        (uid.DermoscopicPhotographyImageStorage, "", "dermatoscopic"),
        (uid.DermoscopicPhotographyImageStorage, "clinical", "clinical"),
    ],
)
def test_its_class_says_what_it_is_unless_the_sender_does(personas, bare, kind, stated, kept):
    file = BytesIO(dicom(SOPClassUID=kind))
    sent = {"modality": stated} if stated else {}
    image = add_image(user=personas.clinician, lesion=bare, file=file, **sent).image
    assert image.modality == kept


def test_a_confirmed_capture_is_taken_as_dermatoscopic(personas, bare):
    file = BytesIO(dicom(SOPClassUID=CAPTURES[0]))
    added = add_image(user=personas.clinician, lesion=bare, file=file, allow_capture=True)
    assert added.image.modality == "dermatoscopic"


@pytest.mark.parametrize("insists", [False, True])
def test_the_kind_that_the_page_shows_first_is_no_statement(client, personas, bare, insists):
    client.force_login(personas.clinician)
    file = SimpleUploadedFile("mole.dcm", dicom(SOPClassUID=PHOTOGRAPH), "application/dicom")
    sent = {"file": file, "modality": "dermatoscopic"}
    sent |= {"read_photographs": "on"} if insists else {}
    response = client.post(f"/lesions/{bare.pk}/images/new/", sent, follow=True)
    assert LesionImage.objects.get().modality == ("dermatoscopic" if insists else "clinical")
    text = response.content.decode()
    assert ("not read for a class" in text) is not insists
    assert ("calls it an ordinary photograph" in text) is insists


def test_run_lengths_are_read():
    dataset = dcmread(BytesIO(dicom()))
    dataset.compress(uid.RLELossless)
    buffer = BytesIO()
    dataset.save_as(buffer)
    assert off(cleaned(buffer.getvalue()), ORIGINAL) == 0


@pytest.mark.parametrize("interpretation", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("bits", [8, 12])
def test_grey_is_scaled_to_eight_bits(interpretation, bits):
    grey = np.asarray(GREY).astype(int)
    shown = grey if interpretation == "MONOCHROME2" else 255 - grey
    raw = shown.astype("uint8") if bits == 8 else (shown << 4).astype("<u2")
    data = dicom(
        image=GREY,
        PhotometricInterpretation=interpretation,
        BitsAllocated=8 if bits == 8 else 16,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelData=raw.tobytes() + b"\0" * (raw.nbytes % 2),
    )
    assert off(cleaned(data), np.repeat(grey[..., None], 3, axis=2)) < 0.01


def test_a_palette_is_looked_up():
    ramp = np.arange(256, dtype="<u2") << 8
    data = dicom(
        image=GREY,
        PhotometricInterpretation="PALETTE COLOR",
        RedPaletteColorLookupTableDescriptor=[256, 0, 16],
        GreenPaletteColorLookupTableDescriptor=[256, 0, 16],
        BluePaletteColorLookupTableDescriptor=[256, 0, 16],
        RedPaletteColorLookupTableData=ramp.tobytes(),
        GreenPaletteColorLookupTableData=ramp.tobytes(),
        BluePaletteColorLookupTableData=np.zeros(256, "<u2").tobytes(),
    )
    found = cleaned(data)
    assert off(found[..., 0], np.asarray(GREY)) == 0
    assert found[..., 2].max() == 0


def test_a_jpeg_stays_one_and_the_camera_is_told():
    found = cleaning.clean(BytesIO(dicom(syntax=uid.JPEGBaseline8Bit, frame=JPEG)))
    assert (found.extension, found.camera_model) == ("jpg", "Acme Lens 4")
    assert (found.width, found.height) == SIZE
    found = cleaning.clean(BytesIO(dicom(Manufacturer="UNKNOWN", ManufacturerModelName=None)))
    assert (found.extension, found.camera_model) == ("png", "")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: dicom(NumberOfFrames="2"), "several frames"),
        (lambda: dicom(SOPClassUID=uid.CTImageStorage), "not a photograph of skin"),
        (lambda: dicom(syntax=uid.JPEGLossless, frame=lossless()[:3000]), "damaged"),
        (lambda: dicom(syntax=uid.JPEGLossless, frame=lossless(), Rows=100), "contradicts itself"),
        (lambda: dicom(syntax=uid.JPEGLossless, frame=deep(), **DEEP), "more than 8 bits"),
        (lambda: dicom(syntax=uid.JPEGLossless, frame=deep()), "damaged"),
        (lambda: dicom(syntax=uid.JPEGLSLossless, frame=JPEG), "contradicts itself"),
        (lambda: dicom(syntax=uid.JPEGLSLossless, frame=near()[:3000]), "damaged"),
        (lambda: dicom(syntax=uid.JPEGLSLossless, frame=near(), Rows=100), "contradicts itself"),
        (lambda: dicom(syntax=uid.HTJ2K, frame=JPEG), "damaged"),
        (lambda: dicom(syntax=uid.HTJ2K, frame=high()[:3000]), "damaged"),
        (lambda: dicom(syntax=uid.HTJ2K, frame=high(), Rows=100), "contradicts itself"),
        (lambda: dicom(syntax=uid.MPEG2MPML, frame=JPEG), "a way .1.2.840.10008.1.2.4.100. that"),
        (lambda: dicom(syntax=uid.JPEGBaseline8Bit, frame=b"\xff\xd8" + b"\0" * 400), "damaged"),
        (lambda: dicom(syntax=uid.JPEGBaseline8Bit, frame=JPEG[:3000]), "damaged"),
        (lambda: dicom(syntax=uid.JPEGBaseline8Bit, frame=JPEG, Rows=100), "contradicts itself"),
        (lambda: dicom(Rows=60_000, Columns=60_000), "50 megapixels"),
        (lambda: dicom(Rows=4000), "damaged"),
        (lambda: dicom(PixelData=None), "damaged"),
        (lambda: dicom(PixelRepresentation=1), "signed"),
        (lambda: dicom(image=picture((40, 300))), "only 40 x 300"),
        (lambda: dicom()[:5000], "damaged"),
        (lambda: dicom()[:140], "damaged"),
        (lambda: dicom()[:132], "damaged"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_word(data, words):
    with pytest.raises(cleaning.InvalidImage, match=words):
        cleaning.clean(BytesIO(data()))


def test_a_file_that_swells_is_refused_before_it_does():
    """20 kB that inflate to 20 MB, and could inflate to gigabytes."""
    whole = dicom()
    length = int.from_bytes(whole[140:144], "little")
    head = whole[: 144 + length].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    packer = zlib.compressobj(wbits=-15)
    bomb = head + packer.compress(b"\0" * 20_000_000) + packer.flush()
    assert len(bomb) < 30_000
    with pytest.raises(cleaning.InvalidImage, match="deflated"):
        cleaning.clean(BytesIO(bomb))


def test_damage_anywhere_is_never_a_bug():
    """Every file with some bytes changed or cut off is either a picture or rejected with a
    reason.
    """
    generator = np.random.default_rng(5)
    small = encoded(picture((80, 72)), "JPEG")
    wholes = [
        dicom(image=picture((80, 72))),
        dicom(image=picture((80, 72)), syntax=uid.JPEGBaseline8Bit, frame=small),
        dicom(image=picture((80, 72)), syntax=uid.JPEGLossless, frame=lossless((80, 72))),
        dicom(image=picture((80, 72)), syntax=uid.JPEGLSLossless, frame=near((80, 72))),
        dicom(image=picture((80, 72)), syntax=uid.HTJ2K, frame=high((80, 72))),
    ]
    refused = 0
    for number in range(300):
        data = bytearray(wholes[number % len(wholes)])
        head = min(len(data), 1500)  # where the elements are
        for place in generator.integers(132, head, 3):
            data[place] = generator.integers(256)
        if number % 3 == 0:
            data = data[: generator.integers(132, len(data))]
        read_metadata(BytesIO(data))
        try:
            cleaning.clean(BytesIO(data))
        except cleaning.InvalidImage:
            refused += 1
    assert 30 < refused < 300


@pytest.fixture
def bare(personas):
    return LesionFactory(patient=personas.patient, body_site="")


def test_scale_site_and_day_are_taken_over(personas, bare):
    added = add_image(user=personas.clinician, lesion=bare, file=BytesIO(dicom()))
    assert added.is_new
    assert added.image.captured_on == date(2026, 1, 12)
    bare.refresh_from_db()
    assert bare.body_site == BodySite.BACK
    scale = ImageScale.objects.get(image=added.image)
    assert scale.mm_per_pixel == pytest.approx(0.02)
    assert (scale.source, scale.set_by) == ("pixel_spacing", personas.clinician)
    assert added.taken_over == ("body site: Back", "pixel spacing: 0.02 mm")
    assert Prediction.objects.get(image=added.image).state == "queued"


def test_what_is_known_better_stays(personas, bare):
    bare.body_site = "face"
    bare.save()
    data = dicom(PixelSpacing=None)
    added = add_image(
        user=personas.clinician, lesion=bare, file=BytesIO(data), captured_on=date(2026, 2, 2)
    )
    bare.refresh_from_db()
    assert (bare.body_site, added.image.captured_on) == ("face", date(2026, 2, 2))
    assert added.taken_over == ()
    assert not ImageScale.objects.exists()


def test_nobody_is_named_anywhere_afterwards(personas, bare):
    add_image(user=personas.clinician, lesion=bare, file=BytesIO(dicom()))
    image = LesionImage.objects.get()
    with image.file.open() as file, image.thumbnail.open() as thumbnail:
        stored = file.read() + thumbnail.read()
    told = [stored, repr(LesionImage.objects.values().get()).encode()]
    for secret in (NAME, NUMBER, "1.2.3.4", "Erika", "19610203"):
        assert not any(secret.encode() in text for text in told)


def test_the_same_file_again_is_recognised(personas, bare):
    first = add_image(user=personas.clinician, lesion=bare, file=BytesIO(dicom()))
    again = add_image(user=personas.clinician, lesion=bare, file=BytesIO(dicom()))
    assert not again.is_new
    assert again.image == first.image
    assert ImageScale.objects.count() == 1


def test_a_refused_file_changes_nothing(personas, bare):
    with pytest.raises(ValidationError):
        add_image(user=personas.clinician, lesion=bare, file=BytesIO(dicom(Rows=4000)))
    bare.refresh_from_db()
    assert bare.body_site == ""
    with pytest.raises(PermissionDenied):
        add_image(user=personas.viewer, lesion=bare, file=BytesIO(dicom()))
    assert not LesionImage.objects.exists()


def test_nothing_stays_behind_where_the_scale_cannot_be_kept(personas, bare, monkeypatch, settings):
    def broken(**_):
        raise OSError("disk full")

    monkeypatch.setattr(dicom_services.outlines, "set_scale", broken)
    with pytest.raises(OSError, match="disk full"):
        add_image(user=personas.clinician, lesion=bare, file=BytesIO(dicom()))
    bare.refresh_from_db()
    assert bare.body_site == ""
    assert not LesionImage.objects.exists()
    assert not [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("elements", "day"),
    [
        ({"AcquisitionDateTime": None}, date(2020, 1, 1)),
        ({"AcquisitionDateTime": None, "AcquisitionDate": "20260203"}, date(2026, 2, 3)),
        ({"AcquisitionDateTime": "18990101"}, date(1899, 1, 1)),
        ({"AcquisitionDateTime": "99991231"}, date(9999, 12, 31)),
        ({"AcquisitionDateTime": "20260230"}, None),
        ({"AcquisitionDateTime": "", "StudyDate": ""}, None),
    ],
)
def test_which_day_is_believed(elements, day):
    assert read_metadata(BytesIO(dicom(**elements))).taken_on == day


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("20300101", "1 Jan 2030, lies in the future"),
        ("18990101", "too long ago"),
        ("20260230", "“20260230”, which is no day"),
        ("19590101", "before the patient's birth in 1960"),
    ],
)
def test_a_day_that_cannot_be_is_refused_and_never_today(personas, bare, said, why):
    data = dicom(AcquisitionDateTime=said)
    with pytest.raises(ValidationError, match=why):
        add_image(user=personas.clinician, lesion=bare, file=BytesIO(data))
    bare.refresh_from_db()
    assert bare.body_site == ""
    assert not LesionImage.objects.exists()
    day = date(2026, 2, 2)  # unless the user gives another
    added = add_image(user=personas.clinician, lesion=bare, file=BytesIO(data), captured_on=day)
    assert added.image.captured_on == day


@pytest.mark.parametrize(
    ("spacing", "size"),
    [
        ([0.02, 0.02], 0.02),
        ([0.0201, 0.02], 0.02),
        ([0.03, 0.02], None),
        ([0, 0], None),
        ([5, 5], None),
        ([0.02], None),
        ("", None),
    ],
)
def test_which_spacing_is_believed(spacing, size):
    assert read_metadata(BytesIO(dicom(PixelSpacing=spacing))).mm_per_pixel == size


@pytest.mark.parametrize(
    ("region", "site"),
    [
        (("66643007", "SCT"), "back"),
        (("113182001", "SCT"), "back"),
        (("70887009", "SCT"), "acral"),
        (("T-D4000", "SRT"), "abdomen"),
        (("89545001", "SNM3"), "face"),
        (("66643007", "99LOCAL"), ""),
        (("1", "SCT"), ""),
        (None, ""),
    ],
)
def test_which_site_is_meant(region, site):
    assert body_site(read_metadata(BytesIO(dicom(region=region)))) == site


def test_a_jfif_stream_is_right_and_its_tag_wrong():
    """JFIF is YCbCr by definition; some software tags its frames RGB all the same."""
    frame = encoded(picture(), "JPEG", quality=95)
    assert b"JFIF" in frame[:20]
    shown = [
        cleaned(dicom(syntax=uid.JPEGBaseline8Bit, frame=frame, PhotometricInterpretation=tag))
        for tag in ("RGB", "YBR_FULL_422")
    ]
    assert (shown[0] == shown[1]).all()


@pytest.mark.parametrize(
    ("part", "region", "site"),
    [
        ("CHEST", None, "chest"),
        ("THUMB ", None, "hand"),
        ("ENTIREBODY", None, ""),
        ("CHEST", ("66643007", "SCT"), "back"),
        ("CHEST", ("1", "SCT"), "chest"),
    ],
)
def test_without_a_known_region_the_body_part_tells_the_site(part, region, site):
    said = read_metadata(BytesIO(dicom(region=region, BodyPartExamined=part)))
    assert body_site(said) == site


def test_other_pictures_say_nothing():
    file = BytesIO(encoded(picture(), "JPEG"))
    assert read_metadata(file) is None
    assert file.tell() == 0
    assert read_metadata(BytesIO(b"")) is None


def test_the_page_takes_it_and_says_what_it_took_over(client, personas, bare):
    client.force_login(personas.clinician)
    response = client.post(
        f"/lesions/{bare.pk}/images/new/",
        {
            "file": SimpleUploadedFile("mole.dcm", dicom(), "application/dicom"),
            "modality": "dermatoscopic",
        },
        follow=True,
    )
    text = response.content.decode()
    assert "mole.dcm: Saved as taken on 12 Jan 2026. From the file: body site" in text
    image = LesionImage.objects.get()
    assert (image.captured_on, image.captured_time) == (date(2026, 1, 12), time(10, 30))


@pytest.mark.parametrize("told", [None, "20260112"])
def test_the_pages_day_stands_above_the_files(client, personas, bare, told):
    client.force_login(personas.clinician)
    data = dicom(AcquisitionDateTime=told, StudyDate=None)
    client.post(
        f"/lesions/{bare.pk}/images/new/",
        {
            "file": SimpleUploadedFile("mole.dcm", data),
            "captured_on": "2026-04-04",
            "modality": "dermatoscopic",
        },
    )
    image = LesionImage.objects.get()
    assert (image.captured_on, image.captured_time) == (date(2026, 4, 4), None)
