// The stored wavelets: low-pass filters of analysis and synthesis; the high-pass ones follow from them.
#pragma once
#include <span>

namespace lapwing::multiscale {

struct stored_bank {
  const char* name;
  int length;
  const double* dec_lo;
  const double* rec_lo;
};
std::span<const stored_bank> stored_banks();

}  // namespace lapwing::multiscale
