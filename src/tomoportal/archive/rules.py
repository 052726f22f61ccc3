"""The rules of ``verify``: one row per thing that is checked. Ids are never used again for another rule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["GROUPS", "RULES", "Rule", "Severity"]


class Severity(StrEnum):
    """How bad a finding is: an error makes the archive wrong, a warning doubtful; an info needs nobody."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is checked. ``fix`` is what to do about it, unless the finding knows better."""

    id: str
    severity: Severity
    meaning: str
    fix: str


def _error(id: str, meaning: str, fix: str) -> Rule:
    return Rule(id, Severity.ERROR, meaning, fix)


def _warning(id: str, meaning: str, fix: str) -> Rule:
    return Rule(id, Severity.WARNING, meaning, fix)


def _info(id: str, meaning: str, fix: str) -> Rule:
    return Rule(id, Severity.INFO, meaning, fix)


_INGEST = "run 'tomoportal ingest' again with the config of this deposition"
_EDIT = "correct the ingestion config and run 'tomoportal ingest' again"
_SOURCE = "correct the source file, or name the right one in the config, and run 'tomoportal ingest' again"
_BELONG = "check that the files belong to the same tilt series"
_HEADER = "write the file again with a current program, or correct its header, and ingest it again"
_LOOK = "nothing if it is meant so; else correct the ingestion config and run 'tomoportal ingest' again"

GROUPS: dict[str, tuple[Rule, ...]] = {
    "Files": (
        _error("V101", "A file that is on record is missing.", _INGEST),
        _error("V102", "A file has another size than is on record.", _INGEST),
        _error("V103", "A file has another SHA-256 than is on record.", _INGEST),
        _warning(
            "V104",
            "A file lies in a folder of the archive, and no manifest knows it.",
            "remove it, or move it out of the archive",
        ),
        _warning(
            "V105",
            "A metadata document is there, and no manifest knows it.",
            "ingest the entity, or remove its document and files",
        ),
        _info(
            "V106",
            "A dataset, run or deposition has no manifest, so that its files cannot be checked against digests.",
            "nothing, if another program wrote it; else ingest it again",
        ),
        _error("V107", "A manifest cannot be read.", "move it away and ingest again; it is made anew"),
        _error("V108", "A manifest names a file of another container.", _INGEST),
        _warning("V109", "Two entities of a run have a data file with the same content.", "remove one of the two"),
    ),
    "Documents": (
        _error("V201", "A metadata document is not a JSON object.", _INGEST),
        _error("V202", "A metadata document breaks the schema.", _EDIT),
        _warning("V203", "A metadata document holds something doubtful that readers accept.", _EDIT),
        _warning(
            "V204",
            "A title, description, author, organism or sample type is not filled in.",
            "fill it in in the ingestion config and run 'tomoportal ingest' again",
        ),
        _error("V205", "The authors of an entity have no primary or no corresponding author.", _EDIT),
        _error(
            "V206",
            "A key photo is no PNG, JPEG or GIF image.",
            "give another image in the config and ingest it again",
        ),
        _error("V207", "A key photo is smaller than the pages need.", "give a larger image and ingest it again"),
    ),
    "References": (
        _error("V301", "A document names a file that does not exist.", _INGEST),
        _error("V302", "A document refers to a metadata document that does not exist.", _INGEST),
        _error(
            "V303",
            "A document names a deposition that has no document.",
            "give the deposition's metadata in the config and run 'tomoportal ingest' again",
        ),
        _error("V304", "A dataset or run has content, and no document of its own.", _INGEST),
        _error("V305", "A viewer configuration is not JSON or shows a layer that does not exist.", _INGEST),
        _warning(
            "V306",
            "The folder of a tilt series, alignment, tomogram or annotation has files, and no document.",
            "ingest the entity again, or remove the folder; nothing in it is shown anywhere",
        ),
        _error("V307", "A viewer configuration has no layers.", _INGEST),
        _error("V308", "The info of a viewer layer is not a JSON object of a known type.", _INGEST),
    ),
    "Agreement of documents and folders": (
        _error("V401", "A document's voxel spacing is not that of its folder.", _INGEST),
        _error("V402", "A document's run name is not its folder's name.", _INGEST),
        _error("V403", "A document's identifier is not its folder's name.", _INGEST),
        _error(
            "V404",
            "A voxel spacing folder is not named with three decimals.",
            "ingest the run again, and remove the old folder",
        ),
        _error(
            "V405",
            "Two entities of a run have the same identity key.",
            "remove one of them, or make them differ in processing, software or annotation_ingest_id",
        ),
        _warning("V406", "A voxel spacing is outside 1 to 30 Å.", "compare it with the header that it comes from"),
        _warning(
            "V407",
            "A voxel spacing is a whole number of Å, as wrong headers often say.",
            "compare it with pixel size × binning of the tilt series",
        ),
    ),
    "Interrupted work": (
        _info("V501", "An interrupted publication was finished.", "nothing"),
        _warning("V502", "An interrupted publication could not be finished and was taken back.", _INGEST),
        _warning(
            "V503",
            "A publication is under way or was interrupted; its dataset, run or deposition was not checked.",
            "run 'tomoportal verify' with the right to write, when no other command is running",
        ),
        _info(
            "V504",
            "Staged files of another process are there.",
            "nothing while it runs; one day after its end on another machine they are removed",
        ),
        _error(
            "V505",
            "The journal of an interrupted publication cannot be read.",
            "delete it, and ingest again what it names",
        ),
    ),
    "Volumes": (
        _error("V601", "An MRC file cannot be read: header and size contradict each other.", _INGEST),
        _error("V602", "A field of an MRC header is not what the MRC2014 standard demands.", _HEADER),
        _error("V603", "An MRC header says volume where images are stacked, or the other way round.", _HEADER),
        _error("V604", "The voxels have a type that this kind of volume may not have.", _INGEST),
        _error("V605", "An MRC file is longer than its header says.", _HEADER),
        _error(
            "V606", "The voxel size of an MRC header is not the spacing of folder or document (± 0.001 Å).", _INGEST
        ),
        _warning("V607", "An MRC header holds something doubtful that readers accept.", _HEADER),
        _error("V611", "An OME-Zarr image cannot be read, or lacks one of its levels 0, 1, 2.", _INGEST),
        _error("V612", "The axes of an OME-Zarr image are not z, y, x in ångström.", _INGEST),
        _error("V613", "A scale of an OME-Zarr image is not spacing × 2 to the power of the level.", _INGEST),
        _error("V614", "A level of an OME-Zarr image is not half as large as the one before, rounded up.", _INGEST),
        _info(
            "V615",
            "The lower levels of an OME-Zarr image have no translation; viewers show them shifted (F17).",
            "ingest the volume again to have it written",
        ),
        _error("V616", "A translation of an OME-Zarr image is wrong.", _INGEST),
        _error("V617", "The labels of an instance mask are not listed, or not as positive whole numbers.", _INGEST),
        _warning("V618", "An OME-Zarr folder holds something besides its three levels.", "remove it"),
        _error("V621", "A volume has an MRC file and no OME-Zarr, or the other way round.", _INGEST),
        _error("V622", "MRC and OME-Zarr of a volume differ in size.", _INGEST),
        _error("V623", "MRC and OME-Zarr of a volume differ in the type of their voxels.", _INGEST),
        _error("V624", "Size or scales of a document are not those of the files.", _INGEST),
        _error("V625", "The folder of a tilt series or tomogram holds several volumes.", "remove what is not in use"),
        _error("V631", "A volume holds voxels that are NaN or infinite.", _SOURCE),
        _warning("V632", "All voxels of a volume are equal.", _SOURCE),
        _error("V633", "MRC and OME-Zarr of a volume differ in their voxels.", _INGEST),
        _error("V634", "A level of an OME-Zarr image is not made from the one before.", _INGEST),
        _error("V635", "A semantic mask holds other values than 0 and 1.", _SOURCE),
        _error("V636", "The labels in an instance mask are not those that its metadata list.", _INGEST),
        _warning("V637", "The statistics in an MRC header are not those of the voxels.", _HEADER),
        _error("V638", "A chunk of an OME-Zarr image cannot be decoded.", _INGEST),
    ),
    "Acquisition": (
        _error("V701", "An mdoc cannot be read.", _SOURCE),
        _error("V702", "A section of an mdoc has no tilt angle, or one outside −90° to 90°.", _SOURCE),
        _warning("V703", "Sections of an mdoc name no frame file, though frames are there.", _SOURCE),
        _error("V704", "The mdoc has another number of sections than frames_metadata.json.", _BELONG),
        _error("V705", "Frame files and sections of the mdoc do not map one to one.", _BELONG),
        _error("V706", "A frame file has another number of images than the mdoc says.", _BELONG),
        _warning("V707", "Section numbers of an mdoc repeat, have gaps or do not follow the time.", _LOOK),
        _error("V708", "The accumulated doses of the frames do not follow the order of acquisition.", _INGEST),
        _warning("V709", "The doses of the frames do not add up.", _INGEST),
        _warning("V710", "The prior doses of an mdoc do not grow with time.", _BELONG),
        _error("V711", "Frames are not gain-corrected, and no gain reference is there.", "add the gain to the config"),
        _error("V712", "The frames of a run differ in size.", _BELONG),
        _warning("V713", "A frame or gain file has an unusual extension.", _LOOK),
        _error("V714", "The gain reference has not the size of the frames, or several images.", _BELONG),
        _error("V715", "A frame or gain file cannot be read.", _INGEST),
        _error("V721", "A list of raw tilt angles cannot be read, or is missing.", _SOURCE),
        _error("V722", "A raw tilt angle is outside −90° to 90°.", _SOURCE),
        _error("V723", "There are more raw tilt angles than sections of the tilt series.", _BELONG),
        _warning("V724", "There are fewer raw tilt angles than sections of the tilt series.", _BELONG),
        _error("V725", "Raw tilt angles and exposures of the mdoc do not match one to one (± 0.05°).", _BELONG),
        _error("V726", "The tilt series has more sections than the mdoc.", _BELONG),
        _error("V731", "Voltage, spherical aberration or flux of a tilt series is not above 0.", _EDIT),
        _error("V732", "Tilt angles lie outside tilt_range.", _EDIT),
        _warning("V733", "tilt_range is wider than the angles of the tilt series and of the mdoc.", _EDIT),
        _warning("V734", "The steps between tilt angles are not tilt_step.", _EDIT),
        _warning("V735", "The tilt axis of document and mdoc differ by more than 10°.", _EDIT),
        _warning("V736", "The doses of the frames do not add up to total_flux (± 1 e⁻/Å²).", _EDIT),
        _error("V737", "There are more per-section parameters than exposures.", _INGEST),
        _error(
            "V738", "A per-section parameter is out of its range, or its section does not exist or repeats.", _INGEST
        ),
        _error("V739", "A per-section parameter has not the angle of its section or exposure.", _INGEST),
        _warning("V740", "The pixel spacing is not a whole multiple of the mdoc's.", _EDIT),
        _warning("V741", "binning_from_frames is not the ratio of the pixel spacings of tilt series and mdoc.", _EDIT),
        _warning("V742", "Size and pixel spacing of tilt series and mdoc tell different binnings.", _EDIT),
        _error("V745", "A CTF file cannot be read.", _SOURCE),
        _error("V746", "A CTF file has estimates for sections that do not exist.", _BELONG),
        _warning("V747", "A defocus is not between 0.1 and 20 µm.", "check sign and unit (Å) of the estimates"),
        _warning("V748", "CTF estimates of document and file differ.", _INGEST),
    ),
    "Geometry of alignments and tomograms": (
        _error("V751", "An alignment file cannot be read.", _SOURCE),
        _error("V752", "The files of an alignment and its tilt series differ in the number of sections.", _BELONG),
        _error("V753", "A section of an alignment does not exist or repeats.", _INGEST),
        _error("V754", "An aligned tilt angle is missing or outside −90° to 90°.", _SOURCE),
        _error("V755", "The aligned tilt angles run against the raw ones: reversed order or sign.", _BELONG),
        _warning("V756", "Aligned and raw tilt angles differ by more than 5° from section to section.", _BELONG),
        _error(
            "V757", "An in-plane matrix of an alignment is no rotation: it mirrors or distorts (above 0.05).", _SOURCE
        ),
        _warning("V758", "An in-plane matrix of an alignment holds a magnification or shear (above 0.001).", _LOOK),
        _warning("V759", "The in-plane rotation of an alignment is not the tilt axis (± 10°).", _BELONG),
        _error("V760", "The sections in an alignment's document are not those of its files.", _INGEST),
        _warning("V761", "A shift of an alignment is larger than half of the image.", "check the unit of the shifts"),
        _warning("V762", "volume_dimension of the alignment is not size × voxel spacing of its tomogram.", _EDIT),
        _error("V763", "An affine transformation matrix mirrors the specimen (determinant below 0).", _EDIT),
        _warning("V764", "An affine transformation matrix is no rotation with uniform scale.", _LOOK),
        _warning("V771", "A tomogram is wider than the field of view of its tilt series.", _EDIT),
        _warning("V772", "The voxel spacing of a tomogram is below the pixel spacing of its tilt series.", _EDIT),
    ),
    "Annotations": (
        _error("V801", "A file of an annotation cannot be read.", _INGEST),
        _error("V802", "An annotation has another number of objects than object_count.", _INGEST),
        _error("V803", "Points lie outside the tomogram.", "check unit, binning and axis order of the source"),
        _error("V804", "An orientation is no rotation matrix.", _SOURCE),
        _warning("V805", "All points lie in one corner of the tomogram.", "check the binning of the source"),
        _warning("V806", "All orientations are the same.", "use the shape Point if there are no orientations"),
        _error(
            "V807",
            "A mask has another size than its tomogram.",
            "cut or pad the mask, or set 'rescale: true' in the config if both show the same field",
        ),
        _error("V808", "A mesh has no vertices, or some that are not finite.", _SOURCE),
        _warning("V809", "A mesh reaches out of the tomogram.", "check scale_factor: vertices are in voxels"),
        _error("V810", "Captions are not in the form of the archive, or their ids repeat.", _SOURCE),
        _warning("V811", "Captions of single objects name objects that the annotation has not.", _SOURCE),
        _error("V812", "Identified objects are not in the form of the archive.", _SOURCE),
    ),
    "Sources": (
        _error("V901", "A run cannot be ingested as the config says.", "correct the config or the source files"),
        _error(
            "V902", "A pattern of the config matches nothing in any run.", "correct the pattern, or the source root"
        ),
        _warning("V903", "A pattern of the config matches nothing in some runs.", _LOOK),
        _warning("V904", "The plan of the config has a remark.", _LOOK),
        _error("V905", "A source file cannot be read.", "correct the file, or name another one in the config"),
        _warning("V906", "A source header states another voxel size than the config.", _LOOK),
        _error(
            "V907", "The voxels of a source are no cubes.", "resample it, or correct the cell lengths in its header"
        ),
        _warning("V908", "A source header gives no voxel size.", "compare the spacing in the config with your records"),
        _error("V909", "A tilt series has not one section for each raw tilt angle.", _BELONG),
    ),
}
"""The rules by what they are about, in the order of their ids."""

RULES: dict[str, Rule] = {rule.id: rule for group in GROUPS.values() for rule in group}
"""All rules by id, in order."""
