"""A stage of torch's pipelines that tells when a micro-batch has passed it, so that a long step looks alive.

In a file of its own, because importing torch.distributed.pipelining takes half a second.
"""

from collections.abc import Callable
from typing import Any

from torch.distributed.pipelining import PipelineStage


class Stage(PipelineStage):
    """Calls `progressed` after each forward and each backward, or part of one, of a micro-batch."""

    progressed: Callable[[], object]

    def forward_one_chunk(self, *args: Any, **kwargs: Any) -> Any:
        result = super().forward_one_chunk(*args, **kwargs)
        self.progressed()
        return result

    def backward_one_chunk(self, *args: Any, **kwargs: Any) -> Any:
        result = super().backward_one_chunk(*args, **kwargs)
        self.progressed()
        return result

    def backward_weight_one_chunk(self, *args: Any, **kwargs: Any) -> Any:
        result = super().backward_weight_one_chunk(*args, **kwargs)
        self.progressed()
        return result
