# lapwing_isa(target level flags...): compiles the kernels for one instruction set and puts the object into the target.
# Feature flags, not -march names: gcc, clang and zig spell only those alike. Never -ffast-math (NaN must stay NaN), never
# -march=native. -Wno-maybe-uninitialized: gcc 12 warns about its own AVX-512 header.
function(lapwing_isa target level)
  add_library(lapwing_${level} OBJECT cpp/src/kernels/kernels.cpp)
  target_compile_definitions(lapwing_${level} PRIVATE LAPWING_ISA=${level})
  target_compile_options(lapwing_${level} PRIVATE ${LAPWING_WARNINGS} -Wno-psabi -Wno-maybe-uninitialized -O3 -fno-math-errno -fno-trapping-math
                         -ffp-contract=fast -fopenmp-simd ${ARGN})
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:lapwing_${level}>)
  set(LAPWING_LEVELS ${LAPWING_LEVELS} ${level} PARENT_SCOPE)
endfunction()

set(LAPWING_LEVELS "")   # lowest first
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(_sse4 -msse4.2 -mpopcnt)
  set(_avx2 ${_sse4} -mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt)
  set(_avx512 ${_avx2} -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mprefer-vector-width=512)
  target_compile_options(lapwing_core PRIVATE ${_sse4})
  lapwing_isa(lapwing_core baseline ${_sse4} -O2 -ftree-vectorize)  # old processors need not have every loop unrolled
  lapwing_isa(lapwing_core avx2 ${_avx2})
  lapwing_isa(lapwing_core avx512 ${_avx512})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  lapwing_isa(lapwing_core neon)
else()
  lapwing_isa(lapwing_core baseline)
endif()

# The one file that knows which levels were built gets them as X(baseline) X(avx2) ...
list(TRANSFORM LAPWING_LEVELS REPLACE "(.+)" "X(\\1)" OUTPUT_VARIABLE _levels)
list(JOIN _levels " " _levels)
set_property(SOURCE cpp/src/isa.cpp APPEND PROPERTY COMPILE_DEFINITIONS "LAPWING_LEVELS=${_levels}")
