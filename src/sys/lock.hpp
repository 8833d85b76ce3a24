// lock.hpp: the lock of cold paths. Spins briefly, then sleeps on a futex. Ranked (lock_rank.hpp).
// Registry and pool are never held across a system call; start and reclaim are, and nobody who
// allocates while the process runs normally waits for them.
#pragma once

#include <cstdint>

#include "sys/world.hpp"

namespace hak {

// fork() holds every lock from prepare to parent or child; in between the forking thread may
// allocate. While it is set, the thread it names passes through locks that are held on its behalf.
// Zero: no fork is under way.
template <World W>
inline constinit Atomic<W, std::uintptr_t> forking_thread{};

template <World W>
class Lock {
  public:
    constexpr Lock() = default;
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

    // Returns false where the calling thread holds the lock already through fork's prepare: such a
    // caller must not release it.
    HAK_INLINE bool acquire() {
        W::Probe::on_lock(this);
        if (swap_alone<W, std::uint32_t>(word_, kFree, kHeld)) return true;
        typename W::Sync::Loop loop;
        std::uint32_t seen = kFree;
        // acquire: pairs with release(): the previous holder's writes to what the lock guards are
        // visible.
        return word_.cas_strong(seen, kHeld, order::acquire, order::relaxed) ||
               acquire_contended(loop);
    }
    bool try_acquire() {
        std::uint32_t seen = kFree;
        // acquire: as in acquire()
        if (!swap_alone<W, std::uint32_t>(word_, kFree, kHeld) &&
            !word_.cas_strong(seen, kHeld, order::acquire, order::relaxed))
            return false;
        W::Probe::on_lock(this);
        return true;
    }
    HAK_INLINE void release() {
        W::Probe::on_unlock(this);
        if (swap_alone<W, std::uint32_t>(word_, kHeld, kFree)) return;
        // release: pairs with acquire().
        if (word_.exchange(kFree, order::release) == kContended) [[unlikely]]
            wake();
    }
    // In a forked child, for a lock that prepare took: there are no sleepers here.
    void reset() {
        W::Probe::on_unlock(this);
        word_.store(kFree, order::relaxed);  // relaxed: the child has one thread
    }
    // relaxed: for checks only
    bool is_held() const { return word_.load(order::relaxed) != kFree; }

  private:
    static constexpr std::uint32_t kFree = 0, kHeld = 1, kContended = 2;

    // The lock is held: on this thread's behalf while it forks, or by another thread, which is
    // waited for.
    HAK_COLD bool acquire_contended(typename W::Sync::Loop& loop) {
        // relaxed: only the forking thread itself ever reads its own id here, so it reads its own
        // store or somebody else's value.
        if (forking_thread<W>.load(order::relaxed) == W::Pal::thread_id()) return false;
        for (int spin = 0; spin < W::Sync::kSpins; ++spin) {
            loop.wait();
            std::uint32_t seen = kFree;
            // acquire: as in acquire()
            if (word_.load(order::relaxed) == kFree &&
                word_.cas_strong(seen, kHeld, order::acquire, order::relaxed))
                return true;
        }
        // acquire: as above. From here on the word says that somebody sleeps, so that whoever
        // releases wakes one.
        while (word_.exchange(kContended, order::acquire) != kFree)
            W::Pal::sleep_while(futex(), kContended);
        return true;
    }
    HAK_COLD void wake() { W::Pal::wake_one(futex()); }

    // A futex is the address of the word; Atomic<T> has the size and the representation of T.
    std::uint32_t* futex() { return reinterpret_cast<std::uint32_t*>(&word_); }

    Atomic<W, std::uint32_t> word_{};
};

template <World W>
class LockGuard {
  public:
    explicit LockGuard(Lock<W>& lock) : lock_(lock), owned_(lock.acquire()) {}
    ~LockGuard() {
        if (owned_) lock_.release();
    }
    LockGuard(const LockGuard&) = delete;
    LockGuard& operator=(const LockGuard&) = delete;

  private:
    Lock<W>& lock_;
    bool owned_;
};

}  // namespace hak
