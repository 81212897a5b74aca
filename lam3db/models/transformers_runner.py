"""Any image-text model that transformers can load, as a lam3db model.

``describe`` looks at files and settings only; ``load`` imports torch. Requests are sorted by
length, answered in batches, and the next batch's images and texts are prepared in a thread
while the device works. A batch that does not fit the device's memory is halved, and the
size that fitted is kept; a batch that fails otherwise is asked again one by one, so that
only the culprit fails.

What must hold: every request is answered exactly once, with an answer or a failure; a text
depends on plan, messages and replicate only (in fp32 exactly).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lam3db.errors import MissingDependencyError
from lam3db.models.effective import effective_config
from lam3db.models.families import family_named
from lam3db.models.set_up import check_set_up
from lam3db.models.weights import find_checkpoint
from lam3db.records import ModelPlan, ModelVersion

if TYPE_CHECKING:
    from lam3db.config import ModelConfig, RuntimeConfig
    from lam3db.models.answering import TransformersModel
    from lam3db.plugins import ImageOpener, Tick


@dataclass(frozen=True, slots=True)
class TransformersKind:
    """How these models are described and loaded."""

    def describe(self, config: ModelConfig, runtime: RuntimeConfig, tick: Tick) -> ModelPlan:
        """Return identity and effective settings; imports no torch.

        Raises:
            ModelError: files are missing or broken.
            ConfigError: settings contradict each other or the checkpoint.

        """
        checkpoint = find_checkpoint(config)
        family = family_named(config.family, checkpoint.read_json("config.json"))
        check_set_up(config, runtime, family, checkpoint)
        effective, notes = effective_config(config, runtime, family, checkpoint)
        version = ModelVersion(
            name=config.name,
            family=family.name,
            source=config.source,
            revision=checkpoint.revision,
            manifest=checkpoint.manifest(tick),
        )
        requested = {
            "runtime": runtime.model_dump(mode="json"),
            "model": config.model_dump(mode="json"),
        }
        options = {
            "folder": str(checkpoint.folder.resolve()),
            "device_map": runtime.device_map,
            "batch_size": runtime.batch_size,
            "allow_pickle": config.allow_pickle,
            "tells_tags": config.reasoning != "none",
        }
        return ModelPlan(version, effective, requested, options, (*checkpoint.notes, *notes))

    def load(self, plan: ModelPlan, open_image: ImageOpener) -> TransformersModel:
        """Load processor and weights.

        Raises:
            ModelError: they cannot be loaded whole.
            MissingDependencyError: torch or transformers is not installed.

        """
        try:
            from lam3db.models.answering import TransformersModel
            from lam3db.models.loading import load_model
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"running models needs {error.name}: pip install 'lam3db[local]'"
            ) from error
        loaded = load_model(
            Path(plan.options["folder"]),
            plan.config.value,
            plan.options["device_map"],
            allow_pickle=plan.options["allow_pickle"],
        )
        return TransformersModel(loaded, plan, open_image)


KIND = TransformersKind()
