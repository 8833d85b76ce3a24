// front_end.hpp: the one place that says which front end the exported functions call.
#pragma once

#if HAKMEM_DEBUG
#    include "api/checked_front_end.hpp"
#else
#    include "api/direct_front_end.hpp"
#endif
#include "api/real_world.hpp"  // IWYU pragma: export

namespace hak {

#if HAKMEM_DEBUG
using FrontEnd = CheckedFrontEnd;
#else
using FrontEnd = DirectFrontEnd<RealWorld>;
#endif

inline void RealWorld::before_fork() {
    FrontEnd::before_fork();
}
inline void RealWorld::after_fork(bool is_child) {
    FrontEnd::after_fork(is_child);
}

}  // namespace hak
