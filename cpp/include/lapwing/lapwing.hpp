/// \file
/// The whole public C++ interface.
#pragma once
#include <lapwing/context.hpp>
#include <lapwing/error.hpp>
#include <lapwing/graph.hpp>
#include <lapwing/linalg.hpp>
#include <lapwing/multiscale.hpp>
#include <lapwing/operator.hpp>
#include <lapwing/ot.hpp>
#include <lapwing/partition.hpp>
#include <lapwing/phylo.hpp>
#include <lapwing/sparse.hpp>
#include <lapwing/version.hpp>
#include <lapwing/view.hpp>
