"""The codes that SEG and SR speak: SNOMED CT, DICOM, UCUM, and our own scheme where none fits."""

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr.coding import CodedConcept

from fontanelle.errors import Code
from fontanelle.imaging.regions import Coded, Region
from fontanelle.norms.comparison import Flag

OWN_SCHEME = "99FONTANELLE"
OWN_SCHEME_ITEM = CodingSchemeIdentificationItem(
    designator=OWN_SCHEME,
    name="Fontanelle measurements and reasons",
    responsible_organization="Fontanelle",
)

CATEGORY = CodedConcept("91723000", "SCT", "Anatomical Structure")
HEAD = CodedConcept("69536005", "SCT", "Head")
BRAIN = CodedConcept("12738006", "SCT", "Brain")
SIDES = {
    "left": CodedConcept("7771000", "SCT", "Left"),
    "right": CodedConcept("24028007", "SCT", "Right"),
}

VOLUME = CodedConcept("118565006", "SCT", "Volume")
MILLILITRE = CodedConcept("ml", "UCUM", "milliliter")
NO_UNITS = CodedConcept("1", "UCUM", "no units")
PERCENT = CodedConcept("%", "UCUM", "percent")
CENTIMETRE = CodedConcept("cm", "UCUM", "centimeter")
SUM_OF_VOXELS = CodedConcept("126030", "DCM", "Sum of segmented voxel method for volume")
TOTAL = CodedConcept("255619001", "SCT", "Total")
Z_SCORE = CodedConcept("121416", "DCM", "Z-Score of measurement")
CENTILE = CodedConcept("121415", "DCM", "Percentile Ranking of measurement")
POPULATION_MEAN = CodedConcept("373098007", "SCT", "Mean Value of population")
POPULATION_MEDIAN = CodedConcept("population_p50", OWN_SCHEME, "Median of population")
POPULATION_SD = CodedConcept("121414", "DCM", "Standard deviation of population")
RANGE_HIGH = CodedConcept("371933006", "SCT", "Normal Range Upper Limit")
RANGE_LOW = CodedConcept("385524004", "SCT", "Normal Range Lower Limit")
COMMENT = CodedConcept("121106", "DCM", "Comment")
EQUATION = CodedConcept("121421", "DCM", "Equation Citation")
QUALITY = CodedConcept("111050", "DCM", "Quality Assessment")
QUALITY_MET = CodedConcept("111237", "DCM", "Meets quality standards")
QUALITY_NOT_MET = CodedConcept("111236", "DCM", "Does not meet quality standards")
HEAD_CT = CodedConcept("24725-4", "LN", "CT Head")

NORMALITY = {
    Flag.NOT_FLAGGED: CodedConcept("17621005", "SCT", "Normal"),
    Flag.LOW: CodedConcept("371880002", "SCT", "Abnormally Low"),
    Flag.HIGH: CodedConcept("371879000", "SCT", "Abnormally High"),
    Flag.UNCALIBRATED: CodedConcept("371934000", "SCT", "Normality Undetermined"),
    Flag.NOT_COMPARED: CodedConcept("371934000", "SCT", "Normality Undetermined"),
}

PARENCHYMA = CodedConcept("parenchyma", OWN_SCHEME, "Volume of parenchyma")
REGION_CSF = CodedConcept("csf", OWN_SCHEME, "Volume of cerebrospinal fluid of the region")
VENTRICLES = CodedConcept("ventricles", OWN_SCHEME, "Volume of the brain ventricles")
INTRACRANIAL = CodedConcept("intracranial", OWN_SCHEME, "Intracranial volume")
SHARE = CodedConcept("share", OWN_SCHEME, "Share of the total of the regions")
Z_LOW = CodedConcept("z_low", OWN_SCHEME, "Lower end of the 95 % interval of the z-score")
Z_HIGH = CodedConcept("z_high", OWN_SCHEME, "Upper end of the 95 % interval of the z-score")
CENTILE_LOW = CodedConcept(
    "centile_low", OWN_SCHEME, "Lower end of the 95 % interval of the centile"
)
CENTILE_HIGH = CodedConcept(
    "centile_high", OWN_SCHEME, "Upper end of the 95 % interval of the centile"
)
CHRONOLOGICAL_Z = CodedConcept("z_since_birth", OWN_SCHEME, "Z-score at the age since birth")
# LOINC 11984-2 is a fetal ultrasound code.
CIRCUMFERENCE = CodedConcept("head_circumf", OWN_SCHEME, "Head circumference after birth")
CEPHALIC_INDEX = CodedConcept("cephalic_index", OWN_SCHEME, "Intracranial width to length")
POOLED_Z = CodedConcept("pooled_z", OWN_SCHEME, "Z-score against the pooled population")
POOLED_CENTILE = CodedConcept("pooled_centile", OWN_SCHEME, "Centile in the pooled population")
NO_COMPARISON = CodedConcept("no_comparison", OWN_SCHEME, "Reason for the missing comparison")
LIMITATION = CodedConcept("limitation", OWN_SCHEME, "Limitation of the result")


def concept(coded: Coded) -> CodedConcept:
    """Return a code triplet of a package in highdicom's form."""
    return CodedConcept(coded.value, coded.scheme, coded.meaning)


def laterality(region: Region) -> CodedConcept | None:
    """Return Left or Right, or None for a region in the midline."""
    return None if region.laterality is None else SIDES[region.laterality]


def asymmetry(pair: str) -> CodedConcept:
    """Return the name of one pair's asymmetry index, 200 (L - R) / (L + R)."""
    return CodedConcept(f"asym_{pair}"[:16], OWN_SCHEME, f"Asymmetry index of the {pair} pair")


def reason_code(code: Code) -> CodedConcept:
    """Return a stable code of ours; the catalogue's meaning fits the 64 characters of an LO."""
    return CodedConcept(code.value, OWN_SCHEME, code.meaning[:64])
