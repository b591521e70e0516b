"""Standard codes for our terms: only those found in a published source. ``ml.types`` has those of
the diagnoses.

SNOMED CT: DICOM PS3.16 has the body sites, the sides, 201101007 and 400210000; HL7's terminology
server and the International Patient Summary have the other diagnoses. ICD-10-CM: its 2026 release.
Terms without a verified code are left out: no code is better than a wrong one.
"""

from __future__ import annotations

from dataclasses import dataclass

from ml.diagnoses import Diagnosis, Foreign
from screening.models import BodySite, Side

SNOMED = "http://snomed.info/sct"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"


@dataclass(frozen=True, slots=True)
class Code:
    value: str
    meaning: str


# Acral skin (palm, sole, nail fold) has no code.
BODY_SITES: dict[str, Code] = {
    BodySite.ABDOMEN: Code("75093004", "Skin structure of abdomen"),
    BodySite.BACK: Code("66643007", "Skin structure of back"),
    BodySite.CHEST: Code("74160004", "Skin structure of chest"),
    BodySite.EAR: Code("1902009", "Skin structure of ear"),
    BodySite.FACE: Code("73897004", "Skin structure of face"),
    BodySite.FOOT: Code("60496002", "Skin structure of foot"),
    BodySite.GENITAL: Code("60944009", "Skin structure of external genitalia"),
    BodySite.HAND: Code("33712006", "Skin structure of hand"),
    BodySite.LOWER_EXTREMITY: Code("371304004", "Skin structure of lower limb"),
    BodySite.NECK: Code("43081002", "Skin structure of neck"),
    BodySite.SCALP: Code("43067004", "Skin structure of scalp"),
    BodySite.TRUNK: Code("22943007", "Trunk structure"),
    BodySite.UPPER_EXTREMITY: Code("371311000", "Skin structure of upper limb"),
}

SIDES: dict[str, Code] = {
    Side.LEFT: Code("7771000", "Left"),
    Side.RIGHT: Code("24028007", "Right"),
}

# Finer and coarser locations from DICOM's lists, and the body site that contains them.
PLACES: dict[str, str] = {code.value: site for site, code in BODY_SITES.items()} | {
    "113345001": BodySite.ABDOMEN,
    "818981001": BodySite.ABDOMEN,
    "699914002": BodySite.ABDOMEN,
    "699935000": BodySite.ABDOMEN,
    "315003": BodySite.ABDOMEN,
    "52034004": BodySite.ACRAL,
    "70887009": BodySite.ACRAL,
    "84607009": BodySite.ACRAL,
    "244169007": BodySite.ACRAL,
    "77568009": BodySite.BACK,
    "113182001": BodySite.BACK,
    "244111001": BodySite.BACK,
    "51185008": BodySite.CHEST,
    "244106003": BodySite.CHEST,
    "244107007": BodySite.CHEST,
    "2059009": BodySite.EAR,
    "38407007": BodySite.EAR,
    "23747009": BodySite.FACE,
    "36141000": BodySite.FACE,
    "68698007": BodySite.FACE,
    "88089004": BodySite.FACE,
    "89545001": BodySite.FACE,
    "110488009": BodySite.FACE,
    "113179006": BodySite.FACE,
    "362916000": BodySite.FACE,
    "56459004": BodySite.FOOT,
    "35900000": BodySite.GENITAL,
    "81992007": BodySite.GENITAL,
    "85562004": BodySite.HAND,
    "4578000": BodySite.LOWER_EXTREMITY,
    "25763004": BodySite.LOWER_EXTREMITY,
    "47224004": BodySite.LOWER_EXTREMITY,
    "61248009": BodySite.LOWER_EXTREMITY,
    "61685007": BodySite.LOWER_EXTREMITY,
    "181553006": BodySite.LOWER_EXTREMITY,
    "4658004": BodySite.NECK,
    "5272005": BodySite.NECK,
    "11584001": BodySite.NECK,
    "45048000": BodySite.NECK,
    "21672008": BodySite.SCALP,
    "61719002": BodySite.SCALP,
    "79951008": BodySite.SCALP,
    "181491009": BodySite.TRUNK,
    "41550009": BodySite.UPPER_EXTREMITY,
    "45981001": BodySite.UPPER_EXTREMITY,
    "53120007": BodySite.UPPER_EXTREMITY,
    "70559009": BodySite.UPPER_EXTREMITY,
    "72939005": BodySite.UPPER_EXTREMITY,
    "181536004": BodySite.UPPER_EXTREMITY,
}

# All other codes of CID 4029 (PS3.16) that lie within one site of ours.
CID_4029: dict[str, dict[BodySite, str]] = {
    "SCT": {
        BodySite.ABDOMEN: "30598005 367578008",
        BodySite.ACRAL: (
            "26795005 35739000 52953006 89784008 699909001 699919007 "
            "770805009 770809003 770810008 770815003 770816002 770817006 "
            "770818001 770820003 770821004 770822006 770823001 770825008"
        ),
        BodySite.BACK: "699893008",
        BodySite.CHEST: "54468004 66288003 72005009 699915001",
        BodySite.EAR: "45591000 51098001 57726007 79313003 79502000 86409001",
        BodySite.FACE: (
            "16251004 16621002 27887005 37108007 37671003 40069000 "
            "41310005 66934001 68598004 79283007 84365009 86719006 "
            "244097004 314395006 367577003"
        ),
        BodySite.GENITAL: (
            "4019005 7991003 18857001 23213005 29353003 48014002 73058008 "
            "76723005 128252004 128253009 244117002 244118007 279478000 "
            "279479008 279867004"
        ),
        BodySite.HAND: "281642007",
        BodySite.LOWER_EXTREMITY: "73958006 84507004 181563003 181564009",
        BodySite.NECK: "5713008 76072005 182329002",
        BodySite.TRUNK: "54440003",
        BodySite.UPPER_EXTREMITY: "17957002 24527008 52876008",
    },
    "FMA": {
        BodySite.ACRAL: "38107 38110 38113 38116 38119 38341 38344 38347 38354 38357",
        BodySite.BACK: "49943",
        BodySite.CHEST: "61423 61426 61427 61439",
        BodySite.FACE: "59532 312647 312651",
        BodySite.FOOT: "37873 37876 37879 37882 37885",
        BodySite.HAND: "38321 38324 38327 38330 38333",
    },
    "DCM": {
        BodySite.ACRAL: "130317",
        BodySite.BACK: "130301 130302 130303 130304 130323",
        BodySite.EAR: ("130305 130307 130308 130310 130315 130316 130318 130319 130320 130321"),
        BodySite.FACE: "130306 130311 130312 130314 130322",
        BodySite.FOOT: "130309 130313",
        BodySite.NECK: "130300",
    },
}
OTHER_PLACES: dict[tuple[str, str], str] = {
    (scheme, code): site
    for scheme, sites in CID_4029.items()
    for site, codes in sites.items()
    for code in codes.split()
}

# Terms of BodyPartExamined (PS3.16, annex L) that lie within one site of ours.
BODY_PARTS: dict[str, str] = {
    "ABDOMEN": BodySite.ABDOMEN,
    "ANKLE": BodySite.LOWER_EXTREMITY,
    "ARM": BodySite.UPPER_EXTREMITY,
    "BACK": BodySite.BACK,
    "BREAST": BodySite.CHEST,
    "CALF": BodySite.LOWER_EXTREMITY,
    "CHEEK": BodySite.FACE,
    "CHEST": BodySite.CHEST,
    "EAR": BodySite.EAR,
    "ELBOW": BodySite.UPPER_EXTREMITY,
    "EYE": BodySite.FACE,
    "EYELID": BodySite.FACE,
    "FACE": BodySite.FACE,
    "FINGER": BodySite.HAND,
    "FOOT": BodySite.FOOT,
    "FOREARM": BodySite.UPPER_EXTREMITY,
    "HAND": BodySite.HAND,
    "JAW": BodySite.FACE,
    "KNEE": BodySite.LOWER_EXTREMITY,
    "LEG": BodySite.LOWER_EXTREMITY,
    "LOWERLEG": BodySite.LOWER_EXTREMITY,
    "LOWERLIMB": BodySite.LOWER_EXTREMITY,
    "NECK": BodySite.NECK,
    "NOSE": BodySite.FACE,
    "PENIS": BodySite.GENITAL,
    "SCALP": BodySite.SCALP,
    "SCROTUM": BodySite.GENITAL,
    "STERNUM": BodySite.CHEST,
    "THIGH": BodySite.LOWER_EXTREMITY,
    "THUMB": BodySite.HAND,
    "TOE": BodySite.FOOT,
    "TRUNK": BodySite.TRUNK,
    "UMBILICUS": BodySite.ABDOMEN,
    "UPPERARM": BodySite.UPPER_EXTREMITY,
    "UPPERLIMB": BodySite.UPPER_EXTREMITY,
    "VULVA": BodySite.GENITAL,
    "WRIST": BodySite.UPPER_EXTREMITY,
}

DIAGNOSES: dict[str, dict[str, tuple[Foreign, ...]]] = {
    SNOMED: {one: one.about.snomed for one in Diagnosis if one.about.snomed},
    ICD_10_CM: {one: one.about.icd_10_cm for one in Diagnosis if one.about.icd_10_cm},
}
