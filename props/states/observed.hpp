// observed.hpp: a world of TinyWorld's geometry that tells what happens inside the allocator as it
// happens, and in which calls of several threads can be under way at once.
#pragma once

#include <cstddef>
#include <exception>

#include "props/kit/fibers.hpp"
#include "props/kit/worlds.hpp"

namespace states {

inline kit::Fibers<kit::kThreads> fibers([](unsigned t) { kit::threads.current = t; });

// Told right after each change of a word by the thread that made it.
void tell(const void* word, hak::Token from, hak::Token to);
void tell(const void* word, hak::UnitState from, hak::UnitState to);
void tell(const void* word, hak::Address from, hak::Address to);
void tell(const void* word, const void* from, const void* to);
void tell_unlock(const void* lock);
void tell_call(kit::Call call, const void* p, std::size_t bytes);
void tell_called(kit::Call call, const void* p, std::size_t bytes, bool works);
void tell_unreserve();

struct Observed : kit::TinyWorld {
    struct Sync : hak::StdSync {
        template <class T>
        class Atomic : public hak::StdSync::Atomic<T> {
            using Base = hak::StdSync::Atomic<T>;

          public:
            using Base::Base;
            void store(T value, std::memory_order o) {
                const T before = Base::load(hak::order::relaxed);
                Base::store(value, o);
                changed(before, value);
            }
            T exchange(T value, std::memory_order o) {
                const T before = Base::exchange(value, o);
                changed(before, value);
                return before;
            }
            bool cas_weak(T& expected, T desired, std::memory_order success,
                          std::memory_order failure) {
                return cas_strong(expected, desired, success, failure);
            }
            bool cas_strong(T& expected, T desired, std::memory_order success,
                            std::memory_order failure) {
                const T before = expected;
                if (!Base::cas_strong(expected, desired, success, failure)) return false;
                changed(before, desired);
                return true;
            }

          private:
            void changed(T before, T after) const {
                constexpr bool kIsTold = std::is_pointer_v<T> || std::is_same_v<T, hak::Token> ||
                                         std::is_same_v<T, hak::UnitState> ||
                                         std::is_same_v<T, hak::Address>;
                if constexpr (kIsTold) {
                    if (before != after) tell(this, before, after);
                }
            }
        };
        static constexpr int kSpins = 2;
    };
    struct Pal : kit::FakePal {
        static void* reserve(std::size_t n, std::size_t alignment, Where where = Where::current()) {
            void* const p = kit::FakePal::reserve(n, alignment, where);
            tell_called(kit::Call::reserve, p, n, p != nullptr);
            return p;
        }
        static void unreserve(void* p, std::size_t n) {
            kit::FakePal::unreserve(p, n);
            tell_unreserve();
        }
        static bool expose(void* p, std::size_t n, Where where = Where::current()) {
            return told(kit::Call::expose, p, n, kit::FakePal::expose, where);
        }
        static bool commit(void* p, std::size_t n, Where where = Where::current()) {
            return told(kit::Call::commit, p, n, kit::FakePal::commit, where);
        }
        static bool decommit(void* p, std::size_t n, Where where = Where::current()) {
            return told(kit::Call::decommit, p, n, kit::FakePal::decommit, where);
        }
        static bool purge(void* p, std::size_t n, Where where = Where::current()) {
            return told(kit::Call::purge, p, n, kit::FakePal::purge, where);
        }
        static void sleep_while(std::uint32_t* word, std::uint32_t value) {
            fibers.sleep_while(word, value);
        }

      private:
        static bool told(kit::Call call, void* p, std::size_t n,
                         bool (*work)(void*, std::size_t, Where), Where where) {
            fibers.point();
            tell_call(call, p, n);
            const bool works = work(p, n, where);
            tell_called(call, p, n, works);
            return works;
        }
    };
    struct Probe : hak::NoProbe {
        static void on_unlock(const void* lock) { tell_unlock(lock); }
    };
};
static_assert(hak::World<Observed>);

using Heap = hak::Heap<Observed>;
using UnitRecord = hak::UnitRecord<Observed>;
inline constexpr auto& window = hak::window<Observed>;

// What a thread just did, where steps are seen as a whole.
enum Operation : unsigned { kAllocate, kFree, kEnd, kTrim, kFork, kOperations };

// The eyes of a state model.
class Watch {
  public:
    virtual ~Watch() = default;
    // a new history begins
    virtual void on_world() {}
    virtual void on_token(const Heap*, hak::Token /*from*/, hak::Token /*to*/) {}
    virtual void on_remote(const UnitRecord*, hak::Address /*from*/, hak::Address /*to*/) {}
    virtual void on_pending(const Heap*, const UnitRecord* /*from*/, const UnitRecord* /*to*/) {}
    virtual void on_owner(const UnitRecord*, const Heap* /*from*/, const Heap* /*to*/) {}
    virtual void on_unit(const UnitRecord*, hak::UnitState /*from*/, hak::UnitState /*to*/) {}
    // the pool's lock is about to be given back
    virtual void on_pool_unlock() {}
    // of the system, about to be made
    virtual void on_call(kit::Call, const void*, std::size_t /*bytes*/) {}
    virtual void on_called(kit::Call, const void*, std::size_t /*bytes*/, bool /*works*/) {}
    virtual void on_unreserve() {}
    // a call begins
    virtual void on_begin(Operation) {}
    // a thread without a past takes the place
    virtual void on_birth(unsigned /*thread*/) {}
    // A thread's call has ended and none is under way. `is_whole`: nothing else has happened since
    // the step before.
    virtual void on_step(Operation, unsigned /*thread*/, const void* /*block*/, bool /*is_whole*/) {
    }
    // prints what was seen
    virtual void require_all_seen(bool is_full) = 0;
};
inline Watch* watch = nullptr;
inline bool in_fork_child = false;  // the handler of fork runs in the child

inline std::size_t unit_of(const UnitRecord* record) {
    return static_cast<std::size_t>(record - window.record(0));
}
inline std::size_t units_ready() {
    return window.is_open() ? window.slots_ready() * kit::kTinyConfig.units_per_superslab : 0;
}
inline bool is_open() {
    return watch != nullptr && window.is_open();
}

// The heap whose word this is, if it is that of a heap.
inline const Heap* heap_of(const void* word, std::size_t place) {
    const hak::Address offset = hak::address_of(word) - hak::address_of(window.heap_memory(0));
    const bool is_heap = offset < window.heaps_max() * hak::Window<Observed>::kHeapStride &&
                         offset % hak::Window<Observed>::kHeapStride == place;
    return is_heap ? hak::pointer_to<const Heap>(hak::address_of(word) - place) : nullptr;
}
// No call stops where it holds the registry, which is never held across one of the system.
inline void point() {
    if (!hak::heaps<Observed>.lock().is_held() ||
        hak::forking_thread<Observed>.load(hak::order::relaxed) != 0)
        fibers.point();
}
inline void tell(const void* word, hak::Token from, hak::Token to) {
    const Heap* const heap = is_open() ? heap_of(word, offsetof(Heap, token)) : nullptr;
    if (heap == nullptr) return;
    watch->on_token(heap, from, to);
    point();
}
inline void tell(const void* word, hak::UnitState from, hak::UnitState to) {
    if (is_open())
        watch->on_unit(
            hak::pointer_to<const UnitRecord>(hak::address_of(word) - offsetof(UnitRecord, state)),
            from, to);
}
inline void tell(const void* word, hak::Address from, hak::Address to) {
    if (!is_open()) return;
    const hak::Address offset = hak::address_of(word) - hak::address_of(window.record(0));
    if (offset >= units_ready() * sizeof(UnitRecord) ||
        offset % sizeof(UnitRecord) != offsetof(UnitRecord, remote))
        return;
    watch->on_remote(
        hak::pointer_to<const UnitRecord>(hak::address_of(word) - offsetof(UnitRecord, remote)),
        from, to);
    point();
}
inline void tell(const void* word, const void* from, const void* to) {
    if (!is_open()) return;
    const hak::Address offset = hak::address_of(word) - hak::address_of(window.record(0));
    if (offset < units_ready() * sizeof(UnitRecord) &&
        offset % sizeof(UnitRecord) == offsetof(UnitRecord, owner)) {
        return watch->on_owner(
            hak::pointer_to<const UnitRecord>(hak::address_of(word) - offsetof(UnitRecord, owner)),
            static_cast<const Heap*>(from), static_cast<const Heap*>(to));
    }
    const Heap* const heap = heap_of(word, offsetof(Heap, pending));
    if (heap == nullptr) return;
    watch->on_pending(heap, static_cast<const UnitRecord*>(from),
                      static_cast<const UnitRecord*>(to));
    point();
}
// A lock is given back in a destructor, which must not throw: what is wrong there is said when the
// command ends.
inline std::exception_ptr wrong_at_unlock;
inline void tell_unlock(const void* lock) {
    if (!is_open() || lock != &hak::pool<Observed>.lock() || wrong_at_unlock) return;
    try {
        watch->on_pool_unlock();
    } catch (const kit::Broken&) {
        wrong_at_unlock = std::current_exception();
    }
}
inline void tell_call(kit::Call call, const void* p, std::size_t bytes) {
    if (watch != nullptr) watch->on_call(call, p, bytes);
}
inline void tell_called(kit::Call call, const void* p, std::size_t bytes, bool works) {
    if (watch != nullptr) watch->on_called(call, p, bytes, works);
}
inline void tell_unreserve() {
    if (watch != nullptr) watch->on_unreserve();
}

}  // namespace states
