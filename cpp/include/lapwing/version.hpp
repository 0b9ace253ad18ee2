// The one place where the version stands: the build reads it from here.
#pragma once
#define LAPWING_VERSION "0.1.0"
#define LAPWING_VERSION_MAJOR 0
#define LAPWING_VERSION_MINOR 1
#define LAPWING_VERSION_PATCH 0
