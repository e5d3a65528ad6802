"""The one place where the parts meet: classes, an encoder and a method, ready for images."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import os
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, overload

import numpy as np

from crossalign import alignment
from crossalign.alignment.adaptive import Adaptive, SequentialTest
from crossalign.alignment.calibration import PLAIN_TEMPERATURE
from crossalign.encoders.base import Embeddings, Encoder
from crossalign.encoders.registry import load_encoder
from crossalign.engine.cache.store import Store
from crossalign.engine.classes import EncodedClasses, crop_weights, encode_classes
from crossalign.engine.explanations import (
    LOCAL_CROPS,
    ChanceTexts,
    explain_crops,
    explain_locally,
    explain_score,
)
from crossalign.engine.rounds import in_rounds
from crossalign.engine.stream import Planner, all_views, encode_stream
from crossalign.engine.views import Opener
from crossalign.errors import ImageError, MethodError
from crossalign.images.load import DEFAULT_MAX_PIXELS, ImageSource, is_one_image, source_name
from crossalign.methods import Crops as Crops
from crossalign.methods import Method, class_texts, get_method, with_crops
from crossalign.predictions import (
    CropScores,
    EncodedImage,
    Explanation,
    LocalEvidence,
    Prediction,
)
from crossalign.predictions.pipeline import Pipeline
from crossalign.texts.descriptions import DescriptionSet
from crossalign.texts.validation import as_items, clean
from crossalign.utils.processors import usable_processors
from crossalign.utils.validation import whole_number


class Classifier:
    """Labels images with words alone.

    The classes are encoded once, when they are first needed (or by :meth:`prepare`). The crops of
    an image depend on the seed and its content alone, so predictions do not depend on the order of
    the images, on batches or on the number of workers. Safe to use from several threads.

    Args:
        classes: A :class:`DescriptionSet`, ``{class: [description, ...]}`` or class names.
        encoder: Name of an encoder, see :func:`load_encoder`, or an encoder.
        method: Name of a method, see :data:`crossalign.methods.METHODS`, or a method.
        crops: Number of crops, or a :class:`CropSpec`; the method's own by default. ``"auto"``, or
            an :class:`Adaptive` with settings of its own, takes crops of each image until its label
            is settled. A method that looks at the whole image alone has no use for it.
        seed: For random crops and random words; 0 by default.
        bank: Where names alone are given and the method asks for descriptions (``cupl``, ``wca``),
            use those of :mod:`crossalign.texts.bank` for the classes that it knows, see
            :func:`crossalign.methods.class_texts`. False gives templates to all, as published.
        batch_size: Views in one call of the encoder.
        workers: Threads that decode and cut; as many as there are processors by default, at most 4.
        max_pixels: Larger images are refused.
        store: A :class:`crossalign.Store` or its folder, where embeddings are kept and found again:
            what was encoded once is never encoded again. Scores move by some 1e-6, since a store
            keeps 16 bits a number.
        draft: Decode large JPEGs at a half or less of their size, where even the smallest crop
            still has twice the encoder's side. Several times faster for photos of many megapixels;
            embeddings differ a little, and so do the random crops, as with another seed.
        background: Texts that stand for whatever is none of the classes. They are encoded word for
            word, and predictions hold their scores; nothing else about a prediction changes.

    Raises:
        DescriptionError: If the classes are not usable, or not by this method, or a background text
            is not.
        EncoderError: If the encoder is not known or not on this machine.
        MethodError: If the method is unknown, or a setting is out of range.
        CropError: If the crops are out of range.
        StoreError: If the store cannot be used.

    Example:
        >>> from PIL import Image
        >>> classifier = Classifier(["red square", "green field"], crops=4)
        >>> prediction = classifier(Image.new("RGB", (64, 64), "green"))
        >>> prediction.label in classifier.classes
        True
    """

    def __init__(
        self,
        classes: DescriptionSet | Mapping[str, Iterable[str]] | Iterable[str],
        *,
        encoder: str | Encoder = "builtin",
        method: str | Method = "wca",
        crops: Crops | None = None,
        seed: int | None = None,
        bank: bool = True,
        batch_size: int = 32,
        workers: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        store: Store | str | os.PathLike[str] | None = None,
        draft: bool = False,
        background: Iterable[str] = (),
    ) -> None:
        self._descriptions = DescriptionSet.of(classes)
        self._method, self._adaptive = with_crops(get_method(method), crops, seed)
        self._texts = class_texts(self._method, self._descriptions, seed or 0, bank=bank)
        self._seed, self._bank = seed or 0, bank
        self._background = tuple(
            clean(text, "a background text", f"at position {place}")
            for place, text in as_items(background, "background texts")
        )
        self._encoder = load_encoder(encoder)
        self._batch_size = whole_number("batch_size", batch_size, 1, error=MethodError)
        self._workers = whole_number(
            "workers",
            min(4, usable_processors()) if workers is None else workers,
            1,
            error=MethodError,
        )
        self._store = store if isinstance(store, Store) or store is None else Store(store)
        self._opener = Opener(
            encoder=self._encoder,
            spec=self._method.crops,
            max_pixels=whole_number("max_pixels", max_pixels, 1, error=MethodError),
            draft=draft,
            store=self._store,
        )
        self._chance = ChanceTexts(self._encoder, self._store)
        self._lock = threading.Lock()
        self._class_side: EncodedClasses | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the scores."""
        return self._descriptions.classes

    @property
    def descriptions(self) -> DescriptionSet:
        """The classes as they were given."""
        return self._descriptions

    @property
    def texts(self) -> tuple[tuple[str, ...], ...]:
        """The texts that stand for each class, as the method writes them."""
        return self._texts.texts

    @property
    def undescribed(self) -> tuple[str, ...]:
        """Classes that the bank was asked for and does not know; templates stand in for them."""
        return self._texts.undescribed

    @property
    def background(self) -> tuple[str, ...]:
        """Texts that stand for whatever is none of the classes."""
        return self._background

    @property
    def encoder(self) -> Encoder:
        """The encoder."""
        return self._encoder

    @property
    def method(self) -> Method:
        """The method, with the crops that are really taken."""
        return self._method

    @property
    def adaptive(self) -> Adaptive | None:
        """When an image has enough crops; None if each has all of them."""
        return self._adaptive

    @property
    def draft(self) -> bool:
        """Whether large JPEGs are decoded at a part of their size."""
        return self._opener.draft

    def prepare(self, on_progress: Callable[[int, int], None] | None = None) -> EncodedClasses:
        """Encode the classes now, unless that is done already.

        Args:
            on_progress: Called with the number of texts encoded and their total.

        Returns:
            The encoded classes.
        """
        with self._lock:
            if self._class_side is None:
                self._class_side = encode_classes(
                    self._encoder,
                    self._method,
                    self._texts,
                    self._background,
                    store=self._store,
                    on_progress=on_progress,
                )
            return self._class_side

    def with_classes(
        self, classes: DescriptionSet | Mapping[str, Iterable[str]] | Iterable[str]
    ) -> Classifier:
        """Make a classifier that differs in its classes alone.

        Args:
            classes: As in the constructor.

        Returns:
            The other classifier: the same as one made anew with all other arguments of this one.

        Raises:
            DescriptionError: If the classes or their texts cannot be used.

        Example:
            >>> pets = Classifier(["cat", "dog"], crops=4, bank=False)
            >>> pets.with_classes(["rose", "tulip"])
            Classifier(2 classes, ensemble templates; builtin; wca, 4 random crops)
        """
        descriptions = DescriptionSet.of(classes)
        texts = class_texts(self._method, descriptions, self._seed, bank=self._bank)
        other = copy.copy(self)
        other._descriptions, other._texts = descriptions, texts
        other._lock, other._class_side = threading.Lock(), None
        return other

    def with_crops(self, crops: Crops | None = None, seed: int | None = None) -> Classifier:
        """Make a classifier that differs in its crops alone and shares the encoded classes.

        Args:
            crops: As in the constructor, ``"auto"`` for at most as many as now; as now by default.
            seed: For random crops; as now by default. Random words stay as they are.

        Returns:
            The other classifier. The classes are encoded now, unless that is done already.

        Raises:
            CropError: If the crops are out of range.

        Example:
            >>> few = Classifier(["cat", "dog"], crops=4)
            >>> many = few.with_crops(16)
            >>> many.method.crops.count, many.prepare() is few.prepare()
            (16, True)
        """
        method, rule = with_crops(self._method, self._adaptive if crops is None else crops, seed)
        self.prepare()
        other = copy.copy(self)
        other._method, other._adaptive = method, rule
        other._opener = dataclasses.replace(self._opener, spec=method.crops)
        return other

    @overload
    def __call__(self, image: list[Any] | tuple[Any, ...]) -> list[Prediction]: ...

    @overload
    def __call__(self, image: ImageSource) -> Prediction: ...

    def __call__(
        self, image: ImageSource | list[Any] | tuple[Any, ...]
    ) -> Prediction | list[Prediction]:
        """Label one image, or a list of them.

        Args:
            image: A path, bytes, an open file, a PIL image or an array; or a list of these.

        Returns:
            A prediction that can be explained at once; for a list what :meth:`predict` gives.

        Raises:
            ImageError: If a single image cannot be used. In a list it becomes a prediction with
                ``error``.
            CropError: If a single image cannot be cut.
            MemoryError: If a single image is too large for this machine.
        """
        if isinstance(image, list | tuple):
            return list(self.predict(image))
        return self._decide(self.encode(image), keep_evidence=True)

    def encode(self, image: ImageSource) -> EncodedImage:
        """Encode one image and its crops.

        Args:
            image: A path, bytes, an open file, a PIL image or an array.

        Returns:
            Its embeddings, and the crops that they are of.

        Raises:
            ImageError: If it cannot be used.
            CropError: If it cannot be cut.
            MemoryError: If it is too large for this machine.
        """
        with contextlib.closing(self._encode([image])) as stream:
            encoded = next(stream)
        if encoded.error is not None:
            raise encoded.error
        return encoded

    def predict(
        self, images: Iterable[ImageSource], *, keep_evidence: bool = False
    ) -> Generator[Prediction, None, None]:
        """Label a stream of images, in order, with memory that does not grow.

        Images are decoded and cut in threads a few ahead, and views of several images share encoder
        batches. An image that cannot be used becomes a prediction with ``error``.

        Args:
            images: Anything that yields images; read only as far ahead as needed.
            keep_evidence: Keep each image's embeddings with its prediction, so that ``explain``
                need not read and encode it again. Some 0.4 MB a prediction with 60 crops.

        Returns:
            An iterator over one prediction for each image. Its threads end with it, or when it is
            closed.

        Raises:
            ImageError: If a single image was given, or something that yields none.
        """
        if is_one_image(images):
            raise ImageError(
                f"expected several images (a list or another iterable); got one, "
                f"{source_name(images)}. Call the classifier itself with a single image, or put it "
                "in a list."
            )
        if not hasattr(images, "__iter__") and not hasattr(images, "__getitem__"):
            raise ImageError(
                "expected several images (a list or another iterable); got "
                f"{type(images).__name__}."
            )
        encoded = self._encode(images)

        def predictions() -> Generator[Prediction, None, None]:
            with contextlib.closing(encoded):
                for image in encoded:
                    yield self._decide(image, keep_evidence=keep_evidence)

        return predictions()

    def to_pipeline(self, temperature: float = PLAIN_TEMPERATURE) -> Pipeline:
        """Give what is called like Transformers' ``zero-shot-image-classification`` pipeline.

        Args:
            temperature: Its scores are softmax(cosines / temperature).

        Returns:
            A callable for these classes, or for those that are named at a call.

        Example:
            >>> from PIL import Image
            >>> pipeline = Classifier(["red square", "green field"], method="clip").to_pipeline()
            >>> found = pipeline(Image.new("RGB", (64, 64), "green"), candidate_labels=["a", "b"])
            >>> sorted(found[0]), round(sum(one["score"] for one in found), 6)
            (['label', 'score'], 1.0)
        """
        return Pipeline(self, self.with_classes, temperature)

    def __repr__(self) -> str:
        spec = self._method.crops
        most = "" if self._adaptive is None else "up to "
        looks = "whole image" if spec is None else f"{most}{spec.count} {spec.kind} crops"
        return (
            f"Classifier({len(self.classes)} classes, {self._texts.origin}; "
            f"{self._encoder.card.name}; {self._method.name}, {looks})"
        )

    def crop_weights(self, image: Embeddings, parts: Embeddings) -> Any:
        """Weigh the crops of an image as the method does.

        Args:
            image: Embedding of the whole image, shape (D,).
            parts: Embeddings of its crops, shape (N, D).

        Returns:
            float32, shape (N,), adding up to 1.
        """
        return crop_weights(self._method, self.prepare(), image, parts)

    def _encode(self, images: Iterable[Any]) -> Generator[EncodedImage, None, None]:
        classes = self.prepare()
        planner: Planner = all_views
        if self._adaptive is not None:
            test = SequentialTest(classes.vectors, self._method.crop_scale, self._adaptive)
            planner = in_rounds(test, self._encoder.preprocess)
        return encode_stream(
            images, self._opener, planner, batch_size=self._batch_size, workers=self._workers
        )

    def _decide(self, encoded: EncodedImage, *, keep_evidence: bool) -> Prediction:
        name = source_name(encoded.source)
        if encoded.views is None:
            message = str(encoded.error) or "out of memory"
            return Prediction(name, self.classes, None, None, None, error=message, _explainer=self)
        image, crops = encoded.parts()
        classes = self.prepare()
        weights = crop_weights(self._method, classes, image, crops)
        vector = alignment.pool(weights, crops, self._method.form)
        scores = alignment.scores(vector, classes.vectors)
        beside = (
            None if classes.background is None else alignment.scores(vector, classes.background)
        )
        best = int(np.argmax(scores))
        return Prediction(
            image=name,
            classes=self.classes,
            label=self.classes[best],
            score=float(scores[best]),
            scores=scores,
            background=beside,
            _evidence=dataclasses.replace(
                encoded,
                source=encoded.source if _readable_again(encoded.source, keep_evidence) else None,
                views=encoded.views if keep_evidence else None,
            ),
            _explainer=self,
        )

    def _explain(self, prediction: Prediction, label: str) -> Explanation:
        looks_closer = self._method.crops is not None and prediction.scored()[0].source is not None
        return explain_score(
            prediction,
            label,
            self._method,
            self.prepare(),
            self._encoder.preprocess,
            functools.partial(self._explain_locally, prediction, label) if looks_closer else None,
        )

    def _explain_locally(self, prediction: Prediction, label: str) -> LocalEvidence:
        """Say how small, even crops answer a class; they are encoded once a prediction."""
        encoded, _ = prediction.scored()

        def encode() -> EncodedImage:
            opener = dataclasses.replace(self._opener, spec=LOCAL_CROPS)
            stream = encode_stream(
                [encoded.source], opener, batch_size=self._batch_size, workers=self._workers
            )
            with contextlib.closing(stream):
                local = next(stream)
            if local.error is not None:
                raise local.error
            if not self._opener.draft:  # of a reduced picture the content is another
                prediction.check_unchanged(local)
            return dataclasses.replace(local, source=None)

        return explain_locally(
            label,
            prediction.local_views(encode),
            self.prepare(),
            prediction.classes.index(label),
            self._encoder.preprocess,
            self._chance.beyond_their_class(label),
        )

    def _crop_scores(self, prediction: Prediction) -> CropScores:
        return explain_crops(prediction, self._method, self.prepare(), self._encoder.preprocess)


def _readable_again(source: object, keep_evidence: bool) -> bool:
    """Whether an image can be read once more, and may be held for that."""
    if isinstance(source, str | os.PathLike):
        return True
    return keep_evidence and not callable(getattr(source, "read", None))
