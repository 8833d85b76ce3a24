// export.hpp: what the names that the library exports have in common: how they are marked, and who
// serves the C functions. For the files that define such names.
#pragma once

#include "api/front_end.hpp"
#include "api/malloc.hpp"

#define HAK_EXPORT __attribute__((visibility("default")))

namespace {
using C = hak::api::CFamily<hak::FrontEnd>;
}
