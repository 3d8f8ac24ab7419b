"""What the rules keep over a restart, on its way into the database and back."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Kept(NamedTuple):
    """The state of one operator; row i of every array of `state` is that of the device or resident `keys[i]`."""

    name: str
    """The operator's, the same after a restart."""
    made_of: str
    """Digest of the rule: the state that another rule made is not taken up."""
    since: int
    """Unix ms: what was measured from then on is to be shown to the operator again."""
    keys: npt.NDArray[np.int64]
    state: dict[str, npt.NDArray[Any]]
