"""CUDA 13 kernels of lapwing."""

import lapwing
from lapwing_cuda13 import _cuda

__version__: str = _cuda.__version__

if __version__ != lapwing.__version__:
    raise ImportError(
        f"lapwing-cuda13 {__version__} does not fit lapwing {lapwing.__version__}; "
        f"pip install lapwing-cuda13=={lapwing.__version__}"
    )
