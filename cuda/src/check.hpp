// CUDA's status codes as exceptions.
#pragma once
#include <cuda_runtime_api.h>

#include <lapwing/cuda/context.hpp>
#include <string>

namespace lapwing::cuda {

inline void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw error(std::string(what) + ": " + cudaGetErrorString(status));
}

}  // namespace lapwing::cuda
