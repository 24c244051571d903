"""What can be wrong, as data: stable codes, their meaning, and the three kinds of error.

    FontanelleError           carries a Reason
    ├── Refused               the input cannot be measured; trying again will not help
    └── Unavailable           something we need is away or wrong; the same work may succeed later

A reason for having no z, or for a limited result, is no error: it is returned as a value.
"""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Stable identifiers. They are stored, sent and documented: add, never rename."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> "Code":
        """Make a member whose `meaning` is the entry of the catalogue (docs/codes.md)."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    # Input as files
    INPUT_NOT_FOUND = "input.not_found", "There is no such file or folder."
    INPUT_UNREADABLE = "input.unreadable", "A file or folder cannot be read."
    INPUT_NO_DICOM = "input.no_dicom", "The folder or archive holds no DICOM instance."
    INPUT_SEVERAL_STUDIES = (
        "input.several_studies",
        "The files belong to more than one study or patient.",
    )
    INPUT_ARCHIVE = "input.archive", "The archive cannot be read or holds unsafe names."
    INPUT_NIFTI = "input.nifti", "The NIfTI file cannot be read as a three-dimensional image."
    INPUT_NIFTI_AFFINE = "input.nifti_affine", "The NIfTI file has no usable affine."
    OUTPUT_UNWRITABLE = "output.unwritable", "The output folder cannot be written."

    # Settings and servers
    SETTINGS_INVALID = "settings.invalid", "A setting is unknown or has an unusable value."
    DATABASE_AWAY = "records.database_away", "The database does not answer."
    DATABASE_SCHEMA = "records.schema", "The database has another schema than this version needs."
    BROKER_AWAY = "queue.broker_away", "The message broker does not answer."
    EMBEDDED_SERVER = "servers.embedded", "An embedded server cannot be started."
    DATA_FOLDER = "servers.data_folder", "The data folder cannot be used."
    PORT_TAKEN = "servers.port", "A port cannot be listened on."
    ROLE_FAILS = "servers.role", "A part of the service does not start."
    ROLE_SILENT = "servers.role_silent", "A part of the service gives no sign of life."
    LEASE_LOST = "records.lease_lost", "The analysis was taken over by another worker."
    MOVE_REFUSED = "records.move", "In its present state this cannot be done."
    NOT_FOUND = "records.not_found", "There is nothing of that id."
    FILE_MISSING = "records.file_missing", "A stored file is missing or is not what it was."

    # Intake: what a sender is told
    ASSOCIATION_CALLING = "intake.calling_ae_title", "The calling AE title is not a known source."
    ASSOCIATION_CALLED = "intake.called_ae_title", "The called AE title is not ours."
    ASSOCIATION_HOST = "intake.host", "The source calls from a host that is not the configured one."
    ASSOCIATION_LIMIT = "intake.associations", "There are too many associations."
    CONTEXT_REFUSED = "intake.presentation_context", "No offered transfer syntax can be taken."
    DATASET_UNREADABLE = "intake.dataset", "The data set is empty, cut or cannot be read."
    DATASET_MISMATCH = "intake.mismatch", "Command and data set name different instances."
    UID_MALFORMED = "intake.uid", "A UID is missing or malformed."
    SPOOL_FULL = "intake.spool_full", "There is too little room on the spool; nothing is deleted."
    SPOOL_ERROR = "intake.spool_error", "The spool cannot be written."
    INSTANCE_CONFLICT = (
        "intake.conflict",
        "An instance of the same UID and other content is here; both are kept.",
    )
    PATIENT_CORRECTION = (
        "intake.patient_correction",
        "The patient's attributes were changed; a person has to look.",
    )
    NEVER_MEASURED = "selection.never_measured", "Objects of this kind are kept, not measured."

    # Analyses
    WORKER_DIED = "analysis.worker_died", "The worker died at every attempt."
    ANALYSIS_BUG = "analysis.internal", "An error of ours; the log says where."
    CANCELLED_BY_PERSON = "analysis.cancelled", "A person cancelled the analysis."
    SUPERSEDED = "analysis.superseded", "A newer analysis took its place."

    # Deliveries
    AWAITING_REVIEW = "delivery.awaiting_review", "The result waits for a person to accept it."
    REVIEW_REJECTED = "delivery.review_rejected", "A person rejected the result."
    DESTINATION_AWAY = "delivery.destination_away", "The destination cannot be reached."
    DESTINATION_REFUSED = "delivery.refused", "The destination refused the association."
    CONTEXT_NOT_ACCEPTED = (
        "delivery.presentation_context",
        "The destination does not take objects of this kind.",
    )
    DESTINATION_STATUS = "delivery.status", "The destination answered with a failure status."
    DESTINATION_SILENT = "delivery.silent", "The destination aborted or gave no answer."
    DESTINATION_UNKNOWN = "delivery.unknown_destination", "The destination is not configured."

    # HTTP
    REQUEST_INVALID = "http.request", "The request is malformed."
    KEY_MISSING = "http.key_missing", "An API key is needed."
    KEY_INSUFFICIENT = "http.key_role", "The API key does not allow this."
    PERSON_NEEDED = "http.person_needed", "Only a person's key may do this."
    AMBIGUOUS = "http.ambiguous", "The accession number belongs to more than one study."
    IDEMPOTENCY = "http.idempotency", "The Idempotency-Key was used for another request."
    PATH_UNKNOWN = "http.path", "There is nothing at this address."
    METHOD = "http.method", "The address does not take this method."
    TOO_LARGE = "http.too_large", "The body is larger than any request needs."
    CROSS_SITE = "http.cross_site", "The request came from another site."
    REQUEST_BUG = "http.internal", "An error of ours; the log says where."
    NOTHING_SERVED = "http.nothing_served", "No worker has said yet what it measures with."

    # Admission: may this be measured?
    EMPTY = "admission.empty", "A file is empty or ends before its header does."
    UID_INVALID = "admission.uid_invalid", "A UID is missing or is not a valid DICOM UID."
    UID_DUPLICATE = "admission.uid_duplicate", "Different slices share a SOPInstanceUID."
    NOT_CT = "admission.not_ct", "The instances are not CT images."
    ENHANCED = "admission.enhanced", "Multi-frame CT is recognised but not measured."
    LOCALIZER = "admission.localizer", "The series is a localizer."
    DERIVED = "admission.derived", "The series was computed from another one."
    TWO_PATIENTS = "admission.two_patients", "The series holds more than one patient."
    NO_PIXEL_DATA = "admission.no_pixel_data", "An instance has no pixel data."
    PIXEL_DATA_SHORT = "admission.pixel_data_short", "Pixel data are truncated."
    UNDECODABLE = "admission.undecodable", "Pixel data cannot be decoded."
    LOSSY = "admission.lossy", "The images were compressed with loss."
    PHOTOMETRIC = "admission.photometric", "The pixels are not plain grey values."
    BITS = "admission.bits", "The bit layout is not that of a CT image."
    RESCALE = "admission.rescale", "Rescale slope or intercept is unusable."
    RESCALE_ASSUMED = "admission.rescale_assumed", "Rescale values are missing and were assumed."
    HU_RANGE = "admission.hu_range", "The values are not Hounsfield units."
    GEOMETRY_MISSING = "admission.geometry_missing", "Position, orientation or spacing is missing."
    ORIENTATION_MIXED = "admission.orientation_mixed", "The slices have different orientations."
    MATRIX_MIXED = "admission.matrix_mixed", "The slices have different numbers of rows or columns."
    POSITION_DUPLICATE = "admission.position_duplicate", "Two slices share a position."
    POSITION_IRREGULAR = "admission.position_irregular", "Slice positions do not lie on one line."
    SPACING_INPLANE = "admission.spacing_inplane", "The pixel spacing is unusual or not constant."
    SLICES_MISSING = "admission.slices_missing", "Slices are missing within the stack."
    UNEVEN = "admission.uneven", "The distances between slices are uneven."
    SLICE_THICKNESS = "admission.slice_thickness", "The slices are too thick for a comparison."
    SLICE_OVERLAP = "admission.slice_overlap", "Slice thickness and slice distance disagree."
    COVERAGE = "admission.coverage", "The stack is too short to hold a head."
    OVERSIZE = "admission.oversize", "The field or the stack is larger than that of any head."
    TILT = "admission.tilt", "The slices are strongly tilted against their direction of travel."
    OBLIQUE_PLANE = "admission.oblique_plane", "The slices are not axial."
    KERNEL = "admission.kernel", "The series was reconstructed with a sharp kernel."
    CONTRAST = "admission.contrast", "Contrast medium was given."
    TYPE2_MISSING = (
        "admission.type2_missing",
        "Attributes are absent that should at least be empty.",
    )
    IMAGE_TYPE_FORM = "admission.image_type_form", "The image type varies within the series."
    PADDING = "admission.padding", "Pixels outside the field carry a padding value."
    OUTSIDE_INTENDED_USE = (
        "admission.outside_intended_use",
        "The age is unknown or outside the ages that the package is meant for.",
    )
    NO_BRAIN = "admission.no_brain", "There is no brain in the images."
    BRAIN_CUT = "admission.brain_cut", "The field ends inside the brain."

    RESAMPLED_LABELS = (
        "imaging.resampled_labels",
        "The NIfTI labels of an uneven stack lie on a regular grid; SEG and volumes do not.",
    )

    # Selection: which series of the study?
    SELECTION_BETTER = "selection.better_series", "Another series of the study suits better."
    SELECTION_NONE = "selection.none", "No series of the study can be measured."

    # Quality of a finished segmentation
    QUALITY_BRAIN_CUT = "quality.brain_cut", "The brain touches a face of the field."
    QUALITY_REGION_EMPTY = "quality.region_empty", "A region was not found."
    QUALITY_TOTAL = "quality.total", "The total volume is implausible."
    QUALITY_RATIO = "quality.left_right", "Left and right differ implausibly."
    QUALITY_PLACE = "quality.region_place", "A region lies where it cannot lie."
    QUALITY_POSE = "quality.head_pose", "How the head lies could not be told."
    QUALITY_PIECES = "quality.pieces", "A region lies in several pieces."
    QUALITY_SKULL = "quality.outside_skull", "What was segmented is partly bone or air."
    QUALITY_TISSUE = "quality.tissue_share", "The share of brain tissue in the head is implausible."
    QUALITY_SIZE = "quality.size_for_age", "The intracranial volume is far from that of the age."
    QUALITY_VALUES = "quality.values", "The values are not the Hounsfield units of a head."
    QUALITY_METAL = "quality.metal", "There is much metal in the field."
    QUALITY_STREAKS = "quality.streaks", "Streaks or motion cover the brain."
    QUALITY_AGREEMENT = "quality.agreement", "Two looks at the head differ."
    QUALITY_UNLIKE = "quality.unlike_training", "The scan is unlike those in training."

    # Comparison with a reference
    AGE_OUT_OF_RANGE = "comparison.age_out_of_range", "The age is outside the reference."
    AGE_UNKNOWN = "comparison.age_unknown", "The age is not known."
    AGE_IMPRECISE = "comparison.age_imprecise", "The age is not known exactly enough."
    AGE_CONFLICT = "comparison.age_conflict", "Birth date and stated age disagree."
    AGE_NOT_CORRECTED = (
        "comparison.age_not_corrected",
        "The child was born preterm, and no corrected age is computed.",
    )
    AGE_PLACEHOLDER = "comparison.age_placeholder", "The birth date is a placeholder."
    SEX_UNKNOWN = "comparison.sex_unknown", "The sex is neither M nor F."
    SEX_CONFLICT = "comparison.sex_conflict", "The sex given is not the header's."
    NOT_COVERED = "comparison.not_covered", "The reference does not cover such a scan."
    PROTOCOL_OTHER = "comparison.protocol_other", "Package and reference follow other protocols."
    PACKAGE_OTHER = "comparison.package_other", "The reference belongs to another package."
    PROTOCOL_APPROXIMATE = (
        "comparison.protocol_approximate",
        "The regions match the reference's by assignment only; z is provisional.",
    )
    PACKAGE_UNQUALIFIED = (
        "comparison.package_unqualified",
        "The package has not reached the accuracy asked of it; z is provisional.",
    )
    SITE_UNCALIBRATED = (
        "comparison.site_uncalibrated",
        "No normal heads of this site were measured yet.",
    )
    IMPLAUSIBLE = "comparison.implausible", "The comparison is too far out to be believed."
    EDGE_OF_RANGE = "comparison.edge_of_range", "The age is close to the end of the reference."
    AGE_CORRECTED = (
        "comparison.age_corrected",
        "The child was born preterm; its corrected age decides.",
    )
    CORRECTION_ENDED = (
        "comparison.correction_ended",
        "The child was born preterm, and is older than ages are corrected.",
    )
    BEYOND_95_PERCENT = (
        "comparison.beyond_95_percent",
        "Outside the middle 95 % of typical children, but within the limit of a flag.",
    )
    VOLUMES_INVALID = (
        "comparison.volumes_invalid",
        "Volumes cannot be compared: their regions, units or values are wrong.",
    )
    SMALL_HEAD = (
        "comparison.small_head",
        "Most regions are low together: one finding, a small head.",
    )
    # Head size, and the same child's earlier scans
    HEAD_NOT_IN_VIEW = (
        "head_size.not_in_view",
        "The outer surface of the vault is not wholly in view.",
    )
    HEAD_POSE_UNKNOWN = "head_size.pose_unknown", "How the head lies is not known."
    HEAD_NOT_COVERED = "head_size.not_covered", "The chart does not cover this age or sex."
    SERIAL_CHILD = "serial.child", "The earlier scan may be of another child."
    SERIAL_PACKAGE = "serial.package_other", "The earlier scan was measured by another package."
    SERIAL_PROTOCOL = "serial.protocol_other", "The earlier scan follows another label protocol."
    SERIAL_REFERENCE = "serial.reference_other", "The earlier scan has another reference."
    SERIAL_NO_VOLUME = "serial.no_volume", "The earlier or the present scan lacks the region."
    SERIAL_REPEATABILITY = (
        "serial.repeatability_unknown",
        "The package's repeatability was not measured, so that no change is called.",
    )
    SERIAL_GROWTH = "serial.growth_unknown", "The growth to be expected is not known."
    SERIAL_SAME_DAY = "serial.same_day", "Both scans are of the same day: a repetition."

    REFERENCE_INVALID = "reference.invalid", "The reference file is malformed."
    REFERENCE_DIGEST = "reference.digest_mismatch", "The reference is not what its digest says."
    REFERENCE_UNKNOWN = "reference.unknown", "There is no such reference."
    REFERENCE_TAKEN = "reference.taken", "Another reference has this id and revision."
    TABLES_INVALID = "reference.tables", "The tables as typed in do not fit the article."

    COHORT_INVALID = "cohort.invalid", "A table of children is malformed; nothing is used of it."
    COHORT_NONE = "cohort.none_marked", "No accepted result of a normal head can be used."
    COHORT_PACKAGES = "cohort.packages_mixed", "Children were measured by more than one package."
    CALIBRATION_INVALID = "calibration.invalid", "The calibration file is malformed or was altered."
    CALIBRATION_REFUSED = (
        "calibration.refused",
        "The normal heads do not fit the reference: another protocol, or not normal.",
    )

    # Label maps and training
    LABELS_NUMBER = (
        "labels.number",
        "A label map holds numbers that its numbering does not have, or lacks some.",
    )
    LABELS_GRID = "labels.grid", "Label maps do not lie on one grid of cubes along the patient."
    LABELS_ORIENTATION = (
        "labels.orientation",
        "The anatomy of a label map denies what its affine says of left, front or top.",
    )
    PROTOCOL_UNKNOWN = "labels.protocol_unknown", "There is no such label protocol."
    REGISTRATION_FAILED = (
        "training.registration_failed",
        "Labels cannot be carried over: the registration does not fit.",
    )
    TRAINING_CONFIG = "training.config", "The training configuration is malformed."
    HELD_OUT = "training.held_out", "A head on which networks are judged was to be learnt from."
    NETWORK_OTHER = "training.network_other", "The weights belong to another network."
    CHECKPOINT_INVALID = "training.checkpoint_invalid", "The checkpoint cannot be read."
    PAIRS_INVALID = (
        "training.pairs_invalid",
        "A folder of scans with labels cannot be trained on.",
    )

    # Packages and engines
    PACKAGE_UNKNOWN = "package.unknown", "There is no such package."
    PACKAGE_INVALID = "package.invalid", "The package description is malformed."
    PACKAGE_DIGEST = "package.digest_mismatch", "A file of the package is not what its digest says."
    PACKAGE_LIMITS = "package.known_limits", "What is known to be wrong with the package's volumes."
    PACKAGE_EXISTS = "package.exists", "There is a finished package already."
    PACKAGE_GOLDEN = (
        "package.golden_case",
        "The engine does not reproduce the package's golden case.",
    )
    ENGINE_ABSENT = "engine.absent", "The engine that was asked for cannot run here."
    ENGINE_TWO_RUNTIMES = "engine.two_runtimes", "Two builds of ONNX Runtime are installed."
    ENGINE_FIELD = "engine.field", "The head does not fit the largest field of the package."


_BY_VALUE = {code.value: code for code in Code}


def code_of(value: str) -> Code:
    """Return the code of a stored value."""
    return _BY_VALUE[value]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was refused or limited: a code for machines, a sentence for people.

    The sentence holds numbers, never names, identifiers or dates of a patient.
    """

    code: Code
    sentence: str


class FontanelleError(Exception):
    """Root of all errors raised on purpose. Always carries a `Reason`."""

    def __init__(self, code: Code, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.reason = Reason(code, sentence)


class Refused(FontanelleError):
    """The input cannot be measured; trying again will not help."""


class Unavailable(FontanelleError):
    """Something we depend on is away or wrong; the same work may succeed later."""
