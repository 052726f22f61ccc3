"""Random scripts for copick projects: the same steps for the PyPI package, for ours, and for both in turns."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

__all__ = ["Step", "sequence"]

Step = tuple[str, list[Any]]

RUNS = ["TS_001", "TS 2", "ä-3", "TS_001.b"]
OBJECTS = ["ribosome", "proteasome", "membrane", "microtubule", "nobody", "a_b"]
USERS = ["ada", "ben", "tool", "x y", None]
SESSIONS = ["0", "1", "s.2", "1_1"]
SIZES = [10.0, 7.84, 1.0]
TYPES = ["wbp", "wbp-2", "de_noised"]
FEATURES = ["sobel", "edge"]
KINDS = ["binary", "multilabel", "instance", "panoptic"]
SHAPES = [[8, 8, 8], [4, 8, 16], [5, 6, 7]]
DOCUMENTS = ["picks", "meshes", "filaments"]
URIS = {
    "picks": ["*", "ribosome", "ribosome:ada", "ribosome:*/1", "*:*/0", "re:rib.*:.*:.*", "r*:[ab]*/[01]",
    "ribosome:ada/1",
              "proteasome:ben/0", "re:.*:a.*/.*", ":ada", "a:b:c", "nobody"],
    "mesh": ["*", "membrane", "ribosome:ada/1", "re:.*:.*/[01]", "proteasome:ben/0"],
    "filaments": ["*", "microtubule:*/0", "ribosome:ada/1"],
    "segmentation": ["*", "*@10", "*@7.84", "*?multilabel=true", "*?instance=true", "*?panoptic=1",
    "ribosome:ada/1@10.0",
                     "re:.*@7.*", "ribosome@10.000", "all:ben/0?multilabel=true", "*?multilabel=true&instance=true"],
    "tomogram": ["*", "wbp", "wbp@10", "w*@7.84", "re:wbp.*@1.*", "de-noised"],
    "feature": ["*", "wbp@10:sobel", "wbp:edge", "*@*:s*", "wbp@10.0"],
}  # fmt: skip
TARGETS = ["{object_name}:{user_id}/9", "{object_name}:copy/{session_id}", "proteasome:ben/0", "ribosome:ada/1",
           "nobody:ada/1", "a_b:ada/1", "proteasome:{user_id}/{session_id}"]  # fmt: skip
SEGMENTATION_TARGETS = ["{name}:copy/{session_id}@{voxel_spacing}", "all:ben/0@10.0", "nobody:ada/1@10.0",
    "ribosome:ada/7@7.84",
                        "all:{user_id}/8@{voxel_spacing}", "all:ben/0@10.0?multilabel=true"]  # fmt: skip
REFRESHES = [
    "refresh",
    "refresh_picks",
    "refresh_meshes",
    "refresh_filaments",
    "refresh_segmentations",
    "refresh_voxel_spacings",
]
LISTS = ["picks", "meshes", "filaments", "segmentations", "voxel_spacings", "user_picks", "tool_picks", "user_meshes",
         "tool_meshes", "user_segmentations", "tool_segmentations", "query_picks", "query_meshes",
         "query_segmentations",
         "query_filaments"]  # fmt: skip


class Author:
    """Writes steps; what it made before it names again, mostly."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.runs: list[str] = []
        self.spacings: list[list[Any]] = []
        self.is_at_it = False
        """Whether the next step is about what was made last."""
        self.features: list[list[Any]] = []
        self.documents: list[list[Any]] = []
        self.tomograms: list[list[Any]] = []
        self.segmentations: list[list[Any]] = []

    def any(self, values: list[Any]) -> Any:
        """The first ones more often, so that names meet again."""
        return values[min(int(self.random.expovariate(0.7)), len(values) - 1)]

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def seed(self) -> int:
        return self.random.randrange(1000)

    @property
    def run(self) -> str:
        """One that is there, mostly."""
        return self.random.choice(self.runs) if self.runs and self.chance(0.95) else str(self.any(RUNS))

    def spacing(self) -> list[Any]:
        return list(self.known(self.spacings, lambda: [self.run, self.any(SIZES)]))

    def known(self, made: list[list[Any]], other: Callable[[], list[Any]]) -> list[Any]:
        made = self.there(made)
        if made and self.is_at_it:
            return made[-1]
        return self.random.choice(made[-8:]) if made and self.chance(0.95) else other()

    def there(self, made: list[list[Any]]) -> list[list[Any]]:
        return [each for each in made if {*each[:2]} & {*self.runs}]

    def begun(self) -> list[Step]:
        """Something to work on."""
        self.runs, self.spacings = ["TS_001", "TS 2"], [["TS_001", 10.0]]
        runs: list[Step] = [("new_run", [run, False]) for run in self.runs]
        made = [self.new_tomogram(), self.new_document(), self.new_document(), self.new_segmentation()]
        return [*runs, ("new_spacing", ["TS_001", 10.0, False]), *itertools.chain(*map(self.then, made))]

    def next(self) -> list[Step]:
        """One that finds something to work on, mostly."""
        while True:
            name = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            needed = {
                "picks": [each for each in self.documents if each[0] == "picks"],
                "mesh": [each for each in self.documents if each[0] == "meshes"],
                "filaments": [each for each in self.documents if each[0] == "filaments"],
                "features": self.features, "tomogram": self.tomograms, "segmentation": self.segmentations,
                "volume": self.tomograms,
            }  # fmt: skip
            verb, _, noun = name.partition("_")
            noun = "features" if verb == "features" else noun if noun != "region" else verb
            if verb in ("new", "added") or noun not in needed or self.there(needed[noun]) or self.chance(0.05):
                return self.then(getattr(self, name)())

    def then(self, step: Step) -> list[Step]:
        """A step, and what often follows it: what was made is filled."""
        name, arguments = step
        follows = {"new_tomogram": self.write_tomogram, "new_features": self.write_features,
                   "new_segmentation": self.write_segmentation}  # fmt: skip
        if name == "new_document":
            follows["new_document"] = {"picks": self.write_picks, "meshes": self.write_mesh,
                                       "filaments": self.write_filaments}[arguments[0]]  # fmt: skip
        if name not in follows or self.chance(0.3):
            return [step]
        self.is_at_it = True
        steps = [step, follows[name]()]
        self.is_at_it = False
        return steps

    def box(self) -> dict[str, list[int]]:
        return {
            axis: sorted(self.random.sample(range(6), 2)) if self.chance(0.8) else [-3, None]  # type: ignore[list-item]
            for axis in "xyz"
            if self.chance(0.7)
        }

    # --- names of things

    def tomogram(self) -> list[Any]:
        return [*self.spacing(), self.any(["wbp", "wbp-2", "de-noised"])]

    def segmentation(self) -> list[Any]:
        return [self.run, self.any(SIZES), self.any(["ribosome", "all"]), self.any(["1", "0"]),
                self.any(["ada", "ben"]), self.any(KINDS)]  # fmt: skip

    def document(self) -> list[Any]:
        return [self.any(DOCUMENTS), self.run, self.any(OBJECTS[:4]), self.any(["1", "0"]), self.any(["ada", "ben"])]

    def a_document(self, kind: str) -> list[Any]:
        made = [each for each in self.documents if each[0] == kind]
        found = self.known(made, lambda: [kind, *self.document()[1:]])
        return found[1:]

    # --- steps

    def new_run(self) -> Step:
        run = str(self.any(RUNS))
        self.runs = sorted({*self.runs, run})
        return "new_run", [run, self.chance(0.4)]

    def delete_run(self) -> Step:
        run = self.run
        self.runs = [each for each in self.runs if each != run]
        return "delete_run", [run, self.chance(0.5)]

    def new_spacing(self) -> Step:
        made = [self.run, self.any(SIZES)]
        self.spacings.append(made)
        return "new_spacing", [*made, self.chance(0.4)]

    def delete_spacing(self) -> Step:
        made = self.spacing()
        self.spacings = [each for each in self.spacings if each != made]
        return "delete_spacing", [*made, self.chance(0.5)]

    def new_tomogram(self) -> Step:
        made = [*self.spacing(), self.any(TYPES)]
        self.tomograms.append([*made[:2], made[2].replace("_", "-")])
        return "new_tomogram", [*made, self.chance(0.3)]

    def a_tomogram(self) -> list[Any]:
        return list(self.known(self.tomograms, self.tomogram))

    def write_tomogram(self) -> Step:
        dtype = self.any(["float32", "float64", "int16", "uint8"])
        return "write_tomogram", [*self.a_tomogram(), self.any(SHAPES), self.seed(), self.any([3, 1, 2]), dtype]

    def tomogram_region(self) -> Step:
        return "tomogram_region", [*self.a_tomogram(), self.box(), self.seed(), self.any(["0", "1"])]

    def read_volume(self) -> Step:
        return "read_volume", [*self.a_tomogram(), self.box(), self.any(["0", "0", "7"])]

    def delete_tomogram(self) -> Step:
        run, size, kind = self.a_tomogram()
        by_spacing = self.chance(0.5)
        return "delete_tomogram", [run, size, None if by_spacing and self.chance(0.3) else kind, by_spacing]

    def new_features(self) -> Step:
        made = [*self.a_tomogram(), self.any(FEATURES)]
        self.features.append(made)
        return "new_features", [*made, self.chance(0.3)]

    def a_feature(self) -> list[Any]:
        return list(self.known(self.features, lambda: [*self.a_tomogram(), self.any(FEATURES)]))

    def write_features(self) -> Step:
        return "write_features", [*self.a_feature(), self.any(SHAPES), self.seed(), False, False]

    def features_region(self) -> Step:
        bounds = [sorted(self.random.sample(range(5), 2)) for _ in "zyx"]  # fewer are refused by upstream only
        return "features_region", [*self.a_feature(), bounds, self.seed()]

    def delete_features(self) -> Step:
        made = self.a_feature()
        return "delete_features", [*made[:3], made[3] if self.chance(0.7) else None]

    def added_features(self) -> Step:
        overwrite = self.chance(0.5)
        options = [self.any(SHAPES), self.seed(), overwrite or self.chance(0.3), overwrite]
        return "added_features", [self.run, self.any(["wbp", "wbp-2"]), self.any(FEATURES), *options]

    def new_document(self) -> Step:
        kind = self.any(DOCUMENTS)
        name = self.any(OBJECTS) if kind != "filaments" else self.any(["microtubule", "ribosome", "nobody"])
        session, user = self.any(["1", *SESSIONS]), self.any(USERS)
        run = self.run
        made = [str(each).replace("_", "-").replace(" ", "-") for each in (name, session, user or "ada")]
        self.documents.append([kind, run, *made])
        return "new_document", [kind, run, name, session, user, self.chance(0.3)]

    def write_picks(self) -> Step:
        given = [each for each in ("transforms", "instance_ids", "scores") if self.chance(0.5)]
        return "write_picks", [*self.a_document("picks"), self.random.choice([0, 1, 3, 5]), self.seed(), given]

    def edit_picks(self) -> Step:
        change = self.random.choice(["add", "remove", "move", "trust", "refresh", "nothing"])
        return "edit_picks", [*self.a_document("picks"), change, self.seed()]

    def write_mesh(self) -> Step:
        extents = [1.0 + self.seed() / 8 for _ in range(3)]
        return "write_mesh", [*self.a_document("meshes"), extents, self.chance(0.3)]

    def write_filaments(self) -> Step:
        counts = [self.random.randrange(2, 5) for _ in range(self.random.randrange(3))]
        form = self.random.choice(["", "all", "control"])
        return "write_filaments", [*self.a_document("filaments"), counts, self.seed(), form]

    def delete_document(self) -> Step:
        kind = self.any(DOCUMENTS)
        return "delete_document", [kind, *self.a_document(kind)]

    def filters(self) -> dict[str, Any]:
        return {
            "object_name": self.random.choice([None, "ribosome", ["ribosome", "membrane"], "nobody", []]),
            "user_id": self.random.choice([None, None, "ada", ["ada", "ben"]]),
            "session_id": self.random.choice([None, None, "1", ["0", "1"]]),
        }

    def segmentation_filters(self) -> dict[str, Any]:
        found = self.filters()
        found["name"] = found.pop("object_name")
        found["voxel_size"] = self.random.choice([None, 10.0, [7.84, 10.0], 3.0])
        found["is_multilabel"] = self.random.choice([None, None, True, False])
        for flag in ("is_instance", "is_panoptic"):
            if self.chance(0.5):
                found[flag] = self.random.choice([None, True, False])
        return found

    def delete_documents(self) -> Step:
        filters = self.filters()
        return "delete_documents", [
            self.any(DOCUMENTS),
            self.run,
            *(filters[key] for key in ("object_name", "session_id", "user_id")),
        ]

    def new_segmentation(self) -> Step:
        made = [self.run, self.any(SIZES), self.any(["ribosome", "all", "membrane", "x_y"]), self.any(["1", *SESSIONS]),
                self.any(USERS), self.any(KINDS)]  # fmt: skip
        clean = [str(each).replace("_", "-").replace(" ", "-") for each in (made[2], made[3], made[4] or "ada")]
        self.segmentations.append([*made[:2], *clean, made[5]])
        return "new_segmentation", [*made, self.chance(0.3)]

    def a_segmentation(self) -> list[Any]:
        return list(self.known(self.segmentations, self.segmentation))

    def write_segmentation(self) -> Step:
        shape = self.any(SHAPES)
        levels = 1 if shape == [5, 6, 7] else self.any([1, 1, 2])
        highest = self.random.choice([1, 9, 300, 70000])
        return "write_segmentation", [*self.a_segmentation(), shape, self.seed(), levels, highest]

    def segmentation_region(self) -> Step:
        channel = self.random.choice([None, "label", "instance"])
        entity = self.a_segmentation()
        options = [self.box(), self.seed(), self.random.choice([1, 9]), channel if entity[-1] == "panoptic" else None]
        return "segmentation_region", [*entity, *options]

    def read_segmentation(self) -> Step:
        channel = self.random.choice([None, None, "label", "instance", 1])
        return "read_segmentation", [*self.a_segmentation(), self.box(), channel]

    def delete_segmentation(self) -> Step:
        return "delete_segmentation", self.a_segmentation()

    def delete_segmentations(self) -> Step:
        return "delete_segmentations", [self.run, self.segmentation_filters()]

    def query(self) -> Step:
        kind = self.any([*DOCUMENTS, "segmentations"])
        return "query", [self.run, kind, self.segmentation_filters() if kind == "segmentations" else self.filters()]

    def query_segmentations(self) -> Step:
        return "query", [self.run, "segmentations", self.segmentation_filters()]

    def listed(self) -> Step:
        return "listed", [self.run, self.random.choice(LISTS)]

    def listed_images(self) -> Step:
        run, size, kind = self.a_tomogram()
        return "listed_images", [run, size, kind if self.chance(0.8) else None, self.any([*FEATURES, None])]

    def again(self) -> Step:
        return "again", [self.run, self.any([*SIZES, 3.0])]

    def refresh(self) -> Step:
        return "refresh", [self.run if self.chance(0.7) else None, self.random.choice(REFRESHES)]

    def reopen(self) -> Step:
        return "reopen", []

    def set_user(self) -> Step:
        return "set_user", [self.random.choice(["ada", "ben", None]), self.random.choice(["1", None])]

    def new_object(self) -> Step:
        given = {
            "label": self.random.choice([None, 1, 5, 7, 0]), "color": self.random.choice([None, [1, 2, 3, 4], [1, 2,
            300, 4]]),
            "radius": self.random.choice([None, 10.5]), "metadata": self.random.choice([None, {"a": {"b": [1]}}]),
            "pdb_id": self.random.choice([None, "3J9I"]), "identifier": self.random.choice([None, "GO:1"]),
            "map_threshold": self.random.choice([None, 0.5]),
        }  # fmt: skip
        given = {key: value for key, value in given.items() if value is not None and self.chance(0.6)}
        if self.chance(0.2):
            given["filament"] = {"polar": True}
        if self.chance(0.4):
            given["exist_ok"] = True
        name = self.random.choice(["ribosome", "virus", "virus", "a_b", "fiber", "lipid"])
        return "new_object", [name, self.chance(0.8), given, self.chance(0.7)]

    def save_config(self) -> Step:
        return "save_config", []

    def write_map(self) -> Step:
        return "write_map", [
            self.any(["ribosome", "proteasome", "virus"]),
            self.any(SHAPES),
            self.seed(),
            self.any(SIZES),
        ]

    def map_region(self) -> Step:
        return "map_region", [self.any(["ribosome", "proteasome"]), self.box(), self.seed()]

    def resolve(self) -> Step:
        kind = self.random.choice(sorted(URIS))
        return "resolve", [self.random.choice(URIS[kind]), kind, self.random.choice([None, None, "TS_001", "none"])]

    def manage(self) -> Step:
        verb = self.random.choice(["copy", "copy", "move", "remove"])
        kind = self.random.choice(["picks", "picks", "mesh", "segmentation", "filaments"])
        if verb == "remove" and self.chance(0.3):
            kind = self.random.choice(["tomogram", "feature"])
        run = self.random.choice([None, "TS_001", "TS_001"])
        target = (
            None
            if verb == "remove"
            else self.random.choice(SEGMENTATION_TARGETS if kind == "segmentation" else TARGETS)
        )
        return "manage_", [verb, kind, self.random.choice(URIS[kind]), target, run, self.chance(0.5)]

    def added_run(self) -> Step:
        return "added_run", [self.run, self.chance(0.5)]

    def added_tomogram(self) -> Step:
        overwrite = self.chance(0.5)  # alone it is enough for ours, and refused by upstream
        options = {"exist_ok": overwrite or self.chance(0.3), "overwrite": overwrite, "create": self.chance(0.9)}
        if self.chance(0.5):
            options["create_pyramid"] = True
            options["pyramid_levels"] = self.any([2, 3])
        if self.chance(0.3):
            options["transpose"] = self.any(["2,1,0", "1,0,2"])  # type: ignore[assignment]
        if self.chance(0.3):
            options["flip"] = self.any(["0", "0,2"])  # type: ignore[assignment]
        made = [self.run, self.any(["wbp", "wbp-2"]), self.any(SIZES)]
        self.tomograms.append([made[0], made[2], made[1]])
        self.spacings.append([made[0], made[2]])
        self.runs = sorted({*self.runs, made[0]})
        return "added_tomogram", [*made, self.any(SHAPES[:2]), self.seed(), options]

    def got(self) -> Step:
        kind = self.random.choice(
            ["picks", "meshes", "segmentations", "tomograms", "voxelspacings", "runs", "features"]
        )
        runs = self.random.choice([None, "TS_001", ["TS_001", "TS 2"]])
        filters: dict[str, Any] = {}
        if kind in ("picks", "meshes"):
            filters = {
                "object_name": self.any(["ribosome", "membrane"]),
                "user_id": self.any(["ada", "ben"]),
                "session_id": "1",
            }
        elif kind == "segmentations":
            filters = {
                "user_id": "ada",
                "session_id": "1",
                "is_multilabel": self.chance(0.5),
                "name": "all",
                "voxel_size": 10.0,
            }
        elif kind != "runs":
            filters = {"voxel_size": self.any(SIZES)}
            if kind != "voxelspacings":
                filters["tomo_type"] = "wbp"
            if kind == "features":
                filters["feature_type"] = "sobel"
        return "got", [kind, runs, filters]

    def counted(self) -> Step:
        return "counted", [
            self.random.choice(["picks", "meshes", "segmentations"]),
            self.random.choice([None, ["TS_001"]]),
        ]

    def synced(self) -> Step:
        runs = [self.run, self.run]
        objects = [self.any(["ribosome", "membrane"]), self.any(["ribosome", "proteasome"])]
        return "synced", [
            self.random.choice(["picks", "meshes"]),
            runs,
            objects,
            ["ada", self.any(["carl", "ada"])],
            self.chance(0.5),
        ]

    def freeze(self) -> Step:
        return "freeze", []


WEIGHTS = {
    "new_run": 2, "delete_run": 0.5, "new_spacing": 3, "delete_spacing": 0.7, "new_tomogram": 5, "write_tomogram": 5,
    "tomogram_region": 3, "read_volume": 3, "delete_tomogram": 2, "new_features": 4, "write_features": 4,
    "features_region": 2, "delete_features": 2, "added_features": 2, "new_document": 12, "write_picks": 7,
    "edit_picks": 6, "write_mesh": 3, "write_filaments": 4, "delete_document": 3, "delete_documents": 2,
    "new_segmentation": 7, "write_segmentation": 6, "segmentation_region": 3, "read_segmentation": 3,
    "delete_segmentation": 2, "delete_segmentations": 1, "query": 4, "query_segmentations": 3, "listed": 4,
    "listed_images": 3, "again": 2, "refresh": 3, "reopen": 2, "set_user": 1, "new_object": 4, "save_config": 1,
    "write_map": 2, "map_region": 1, "resolve": 6, "manage": 8, "added_run": 1, "added_tomogram": 2, "got": 2,
    "counted": 2, "synced": 1,
}  # fmt: skip
"""How often each step is taken."""


def sequence(seed: int, length: int) -> list[Step]:
    """The first steps make something to work on; in half of the sequences that becomes static after a while."""
    author = Author(seed)
    steps = author.begun()
    while len(steps) < length:
        steps += author.next()
    if seed % 2:
        steps.insert(length // 2, author.freeze())
    return steps
