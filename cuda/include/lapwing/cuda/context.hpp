/// \file
/// The circumstances of a run on a GPU. No CUDA header is needed to include this one.
#pragma once
#include <stdexcept>

namespace lapwing::cuda {

/// A launch or a copy failed. The message names the function and gives the run time's own words.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A cudaStream_t; null is the legacy default stream.
using stream_t = void*;

/// Everything is queued on `stream`, which must belong to the current device, and the functions return at
/// once: results are there when the stream has got that far, and an error inside a kernel shows at the
/// caller's next synchronisation.
struct context {
  stream_t stream = nullptr;
};

}  // namespace lapwing::cuda
