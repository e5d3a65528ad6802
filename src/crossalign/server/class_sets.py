"""Classes that the service remembers: named class sets, and what came with recent requests."""

from __future__ import annotations

import dataclasses
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossalign.classifier import Classifier
from crossalign.encoders.base import Encoder
from crossalign.engine.cache.store import Store
from crossalign.errors import DescriptionError
from crossalign.server.errors import ApiError, unprocessable
from crossalign.server.settings import Settings
from crossalign.texts.descriptions import DescriptionSet
from crossalign.texts.everyday import everyday_classes
from crossalign.utils.digests import value_digest
from crossalign.utils.files import failing_as

log = logging.getLogger("crossalign.server")

NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Names of class sets; they are parts of addresses, and names of files."""

EVERYDAY = "everyday"
"""The class set that is always there: 48 everyday classes with eight descriptions each."""


class ClassMemory:
    """Encoded classes of recent requests, within a bound; the least recently used go first.

    Two requests with the same classes share one classifier, and so encode them once even if they
    come at the same time.

    Args:
        encoder: The encoder of all classifiers.
        settings: ``kept_texts`` bounds the number of texts; ``bank``, ``store`` and ``max_pixels``
            go to the classifiers.
        on_lookup: Called with whether the classes were known.

    Raises:
        StoreError: If there is to be a store and it cannot be used.
    """

    def __init__(
        self,
        encoder: Encoder,
        settings: Settings,
        on_lookup: Callable[[bool], object] = bool,
    ) -> None:
        self._encoder = encoder
        self._settings = settings
        self._on_lookup = on_lookup
        store, limit = settings.store, settings.store_bytes
        self._store = None if store is None else Store(store, max_bytes=limit)
        self._recent: dict[str, Classifier] = {}  # the least recently used first
        self._texts = 0
        self._lock = threading.Lock()

    def get(self, classes: DescriptionSet, method: str, seed: int) -> Classifier:
        """Find or make the classifier of some classes.

        Args:
            classes: The classes.
            method: Name of a method.
            seed: For random words; without effect on other methods' classes.

        Returns:
            A classifier; its crops and their seed are for the caller to set.

        Raises:
            ApiError: If the method makes more texts of them than may be kept.
            DescriptionError: If the method cannot use these classes.
            MethodError: If the method is unknown.
        """
        seed_used = seed if method == "waffle" else 0
        key = value_digest([method, seed_used, classes.classes, classes.texts])
        with self._lock:
            classifier = self._recent.pop(key, None)
            self._on_lookup(classifier is not None)
            if classifier is None:
                classifier = self.make(classes, method, seed)
                if weight(classifier) > self._settings.kept_texts:
                    raise unprocessable(
                        "too_many_texts",
                        f"method {method!r} makes {weight(classifier)} texts of these classes; "
                        f"this service keeps at most {self._settings.kept_texts}. Give fewer "
                        "classes or descriptions.",
                    )
                self._texts += weight(classifier)
            self._recent[key] = classifier
            while self._texts > self._settings.kept_texts:
                self._texts -= weight(self._recent.pop(next(iter(self._recent))))
        return classifier

    def make(self, classes: DescriptionSet, method: str, seed: int = 0) -> Classifier:
        """Make a classifier without remembering it; see :meth:`get`."""
        return Classifier(
            classes,
            encoder=self._encoder,
            method=method,
            seed=seed,
            bank=self._settings.bank,
            store=self._store,
            # All views of an image go to the shared batches in one call, and one thread an image is
            # enough: the processors are kept busy by other requests.
            batch_size=self._settings.max_crops + 1,
            workers=1,
            max_pixels=self._settings.max_pixels,
        )

    def close(self) -> None:
        """Let go of the store, if there is one."""
        if self._store is not None:
            self._store.close()

    def __len__(self) -> int:
        return len(self._recent)


@dataclass(frozen=True, slots=True)
class ClassSet:
    """Classes under a name.

    Args:
        name: The name.
        classes: The classes.
        classifier: Labels among them with the service's own method; it keeps them encoded.
        fixed: Whether it came with the package, and cannot be deleted.
    """

    name: str
    classes: DescriptionSet
    classifier: Classifier
    fixed: bool = False

    def summary(self) -> dict[str, Any]:
        """Give its name and how much there is of it, as answers have it."""
        return {
            "name": self.name,
            "classes": len(self.classes),
            "descriptions": sum(map(len, self.classes.texts)),
            "fixed": self.fixed,
        }


class ClassSets:
    """The named class sets, in memory and, if there is a folder for them, on disk.

    Args:
        memory: Makes the classifiers.
        settings: Limits and the folder.

    Raises:
        DescriptionError: If a file of the folder cannot be read.
    """

    def __init__(self, memory: ClassMemory, settings: Settings) -> None:
        self._memory = memory
        self._settings = settings
        self._sets: dict[str, ClassSet] = {}
        self._lock = threading.RLock()
        self._sets[EVERYDAY] = dataclasses.replace(
            self._make(EVERYDAY, everyday_classes()), fixed=True
        )
        if settings.class_sets is not None:
            self._load(settings.class_sets)

    def all(self) -> list[ClassSet]:
        """List them by name."""
        with self._lock:
            return [self._sets[name] for name in sorted(self._sets)]

    def get(self, name: str) -> ClassSet:
        """Find one.

        Args:
            name: Its name.

        Returns:
            The class set.

        Raises:
            ApiError: 404 if there is none of that name.
        """
        with self._lock:
            found, names = self._sets.get(name), sorted(self._sets)
        if found is None:
            known = ", ".join(names[:5])
            raise ApiError(
                404, "no_such_class_set", f"there is no class set {name!r}; there are: {known}."
            )
        return found

    def create(self, name: str, classes: DescriptionSet) -> ClassSet:
        """Encode classes and keep them under a name.

        Args:
            name: The name, of the pattern :data:`NAME_PATTERN`.
            classes: The classes.

        Returns:
            The class set.

        Raises:
            ApiError: 409 if the name is taken, 422 if no more can be kept.
        """
        made = self._make(name, classes)
        with self._lock:
            self._check_room(made)  # before the work and, as others may come first, after it
        made.classifier.prepare()
        with self._lock:
            self._check_room(made)
            if self._settings.class_sets is not None:
                classes.save(_file(self._settings.class_sets, name))
            self._sets[name] = made
        return made

    def delete(self, name: str) -> None:
        """Forget a class set.

        Args:
            name: Its name.

        Raises:
            ApiError: 404 if there is none, 409 if it came with the package.
        """
        with self._lock:
            if self.get(name).fixed:
                raise ApiError(409, "fixed", f"the class set {name!r} belongs to the service.")
            if self._settings.class_sets is not None:
                _file(self._settings.class_sets, name).unlink(missing_ok=True)
            del self._sets[name]

    def _make(self, name: str, classes: DescriptionSet) -> ClassSet:
        return ClassSet(name, classes, self._memory.make(classes, self._settings.method))

    def _check_room(self, new: ClassSet) -> None:
        # Some file systems take two names that differ in case for one.
        if new.name.lower() in {name.lower() for name in self._sets}:
            raise ApiError(
                409, "name_taken", f"there is a class set {new.name!r} already; delete it first."
            )
        own = [found for found in self._sets.values() if not found.fixed]
        if len(own) >= self._settings.max_class_sets:
            raise unprocessable(
                "too_many_class_sets",
                f"expected at most {self._settings.max_class_sets} class sets; delete one first.",
            )
        kept = sum(weight(found.classifier) for found in own)
        if kept + weight(new.classifier) > self._settings.kept_texts:
            raise unprocessable(
                "too_many_texts",
                f"expected class sets of at most {self._settings.kept_texts} texts in all; there "
                f"are {kept} and this one has {weight(new.classifier)}. Delete a class set first.",
            )

    def _load(self, folder: Path) -> None:
        expected = f"{folder}: expected a folder for class sets; it cannot be made ("
        with failing_as(DescriptionError, expected, ")."):
            folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.glob("*.json")):
            if not re.fullmatch(NAME_PATTERN, file.stem) or file.stem in self._sets:
                log.warning("%r is no name for a class set; the file is left alone", file.name)
                continue
            self._sets[file.stem] = self._make(file.stem, DescriptionSet.load(file))
        log.info("%d class sets found in %s", len(self._sets) - 1, folder)


def weight(classifier: Classifier) -> int:
    """Count the embeddings that a classifier keeps: its texts and its label prompts."""
    return len(classifier.classes) + sum(map(len, classifier.texts))


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"
