// fork_handlers.hpp: what pthread_atfork is given: the allocator's handlers, inside libc's lock of
// its list of open streams.
//
// libc's fork takes that lock too, but after all handlers. fflush(NULL) holds it while it waits for
// a stream, and whoever has the stream may be allocating under it (getline does). So the list comes
// before the allocator's locks, in every thread; libc's fork then takes it a second time, for it is
// recursive.
#pragma once

#include <sys/single_threaded.h>

#include "sys/hooks.hpp"
#include "sys/world.hpp"

#include "heap/fork.hpp"

// libc exports these for other runtimes, under the version of its oldest interface, and declares
// them nowhere. A libc without them keeps its order.
extern "C" {
[[gnu::weak]] void _IO_list_lock();
[[gnu::weak]] void _IO_list_unlock();
[[gnu::weak]] void _IO_list_resetlock();
}

namespace hak {

template <World W>
class ForkHandlers {
  public:
    // In a process of one thread nobody has a lock but perhaps this thread, which then forks in a
    // signal handler, inside a call of the allocator or a flush of libc. Both processes go on with
    // that call, and have the thread that has the lock: nothing is to be done, but that the child
    // of a profiled process chooses its own samples.
    static void prepare() {
        if (__libc_single_threaded) {
            is_alone_ = true;
            return;
        }
        const bool takes_list =
            _IO_list_lock != nullptr && _IO_list_unlock != nullptr && _IO_list_resetlock != nullptr;
        if (takes_list) _IO_list_lock();
        W::before_fork();
        fork_prepare<W>();
        has_list_ = takes_list;
        is_alone_ = false;
    }
    static void parent() {
        if (is_alone_) return;
        const bool had_list = has_list_;
        fork_parent<W>();
        W::after_fork(false);
        if (had_list) _IO_list_unlock();
    }
    static void child() {
        if constexpr (kProfiled<W>) Hooks<W>::draw_anew();
        if (is_alone_) return;
        // libc has reset the lock before, if it counted several threads as well.
        if (has_list_) _IO_list_resetlock();
        fork_child<W>();
        W::after_fork(true);
    }

  private:
    // Both belong to the fork that is under way: they are written where there is one thread, or by
    // the thread that has the allocator's locks.
    static inline constinit bool has_list_ = false, is_alone_ = false;
};

}  // namespace hak
