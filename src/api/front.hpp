// front.hpp: the one place that says which front the exported functions call.
#pragma once

#if HAKMEM_DEBUG
#    include "api/checked.hpp"
#else
#    include "api/direct.hpp"
#    include "api/real_world.hpp"
#endif

namespace hak {

#if HAKMEM_DEBUG
using Front = Checked;
#else
using Front = Direct<RealWorld>;
#endif

inline void RealWorld::before_fork() {
    Front::before_fork();
}
inline void RealWorld::after_fork(bool is_child) {
    Front::after_fork(is_child);
}

}  // namespace hak
