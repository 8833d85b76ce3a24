// profiler.hpp: the heap profile of this process: how it sees every call, and whose stack it takes.
//
// While it is on, a thread's heap word stands at the empty heap between calls, and the heap itself
// in a second word. So every allocation misses, and no hit asks whether there is a profile. What
// misses is given to the functions below, which put the heap in its place for as long as they run;
// what they call, and what that allocates, is served as ever and not sampled.
//
// A sampled block is a Large or Big one whatever its size, so that its free comes to a slow path
// from any thread. The free of any other small block is posted to its owner's slab, as a thread
// without a heap would do it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/attrs.hpp"
#include "base/bits.hpp"
#include "base/size_class.hpp"
#include "base/types.hpp"

#include "sys/errno_keeper.hpp"
#include "sys/text.hpp"
#include "sys/world.hpp"

#include "mem/unit_record.hpp"

#include "heap/heap.hpp"
#include "heap/large.hpp"
#include "heap/resize.hpp"

#include "options/options.hpp"
#include "profile/profile.hpp"
#include "profile/sampler.hpp"
#include "profile/tables.hpp"

extern "C" [[gnu::visibility("hidden")]] const char __ehdr_start[];
extern "C" [[gnu::visibility("hidden")]] const char etext[];
// Of libc; it needs libgcc_s, which it loads when it is called first. Weak: a static program that
// does not use it has no stacks.
extern "C" [[gnu::weak]] int backtrace(void** frames, int count);

namespace hak {

template <class W>
inline constinit profile::Profile<W> heap_profile{};

// The stack of a call: return addresses, the caller of the allocator first. Read without a lock:
// libgcc finds tables through _dl_find_object.
class CallStack {
  public:
    CallStack() {
        if (!unwinds_) return;
        void* all[kOwnFrames + profile::kFramesMax];
        const int count = ::backtrace(all, static_cast<int>(sizeof all / sizeof *all));
        int i = 0;
        while (skips_ && i < count && is_own(address_of(all[i]))) ++i;
        for (; i < count && depth_ < profile::kFramesMax; ++i)
            frames_[depth_++] = address_of(all[i]);
    }
    const Address* frames() const { return frames_; }
    std::uint32_t depth() const { return depth_; }
    Address caller() const { return depth_ == 0 ? 0 : frames_[0]; }

    // In the first call after libc's constructor, which sets the environment and comes after ours:
    // backtrace() loads a library, and so would run libc's constructor too early, without the
    // environment. No two threads meet here: starting a thread allocates.
    static void prepare() {
        if (is_prepared_ || !has_environment()) [[likely]]
            return;
        load();
    }

  private:
    static HAK_COLD void load() {
        is_prepared_ = true;
        if (::backtrace == nullptr) return;
        const ErrnoKeeper keep;
        void* one[1];
        ::backtrace(one, 1);
        // Part of the executable: its own code cannot be told from the allocator's by address.
        skips_ = wrapping_sub(Address{::getauxval(AT_PHDR)}, address_of(__ehdr_start)) >= 4096;
        unwinds_ = true;
    }

    static constexpr unsigned kOwnFrames = 8;
    static bool is_own(Address a) { return a >= address_of(__ehdr_start) && a < address_of(etext); }

    static inline constinit bool is_prepared_ = false, unwinds_ = false, skips_ = false;

    Address frames_[profile::kFramesMax];
    std::uint32_t depth_ = 0;
};

// Adds the profiler to what the world's slow paths meet already.
template <class W, class Base>
struct ProfilingObserver : Base {
    static HAK_INLINE bool takes_call() { return W::is_masked(); }

    // hak_alloc_at, and what realloc moves: of `bytes` the client asked for so many, the others are
    // a reserve.
    static HAK_NOINLINE FreshBlock allocate(std::size_t bytes, Address site, std::size_t asked) {
        if (bytes <= W::kConfig.small_bytes_max)
            return small(bytes, Classes<W>::class_of(bytes), site);
        const Unmasked unmasked;
        return sampled(allocate_missed_at<W>(heap(), bytes, site), asked, site);
    }
    static HAK_NOINLINE FreshBlock allocate_small(std::size_t bytes, SizeClass c) {
        return small(bytes, c, 0);
    }
    static HAK_NOINLINE FreshBlock allocate_above_small(std::size_t bytes, std::size_t alignment) {
        const Unmasked unmasked;
        return sampled(hak::allocate_above_small(heap(), bytes, alignment), bytes, 0);
    }
    static HAK_NOINLINE void deallocate_above_small(UnitRecord<W>* record, void* p) {
        // Before it is free: another thread may have it at once, and be sampled.
        forget(p);
        const Unmasked unmasked;
        hak::deallocate_above_small(heap(), record, p);
    }
    // A Large or Big block that was resized where it is: the old one is gone, and the new one may
    // be sampled.
    static HAK_NOINLINE void resize(void* p, std::size_t bytes) {
        forget(p);
        const Unmasked unmasked;
        if (is_chosen(bytes)) take(p, bytes, site_of<W>(p));
    }

    // Whether realloc leaves a block where it is because it would leave it if it were the small one
    // that it stands in for: those are resized unseen. If it were moved, and chosen anew, what is
    // resized would vanish from the profile.
    static HAK_NOINLINE bool stays(void* p, std::size_t bytes) {
        const std::size_t room = bytes_to_run_end(p);
        if (room == 0 || moves_small(room, bytes)) return false;
        heap_profile<W>.resize(address_of(p), bytes);
        return true;
    }
    // Programs add up what their blocks can hold, so a sample says what the small block would that
    // it stands in for.
    static HAK_NOINLINE std::size_t usable_of(const void* p, std::size_t usable) {
        const std::size_t room = bytes_to_run_end(p);
        return room != 0 ? room : usable;
    }

    // In a forked child, whatever its thread did when it forked. Siblings that all sampled the same
    // allocations would not know more together than one of them.
    static void draw_anew() {
        if (heap_profile<W>.interval() == 0) return;
        const ErrnoKeeper keep;
        heap_profile<W>.draw_anew(W::Pal::entropy());
        if (Heap<W>* const mine = heap(); has_heap(mine)) mine->sample_left.set(0);
    }

    // The profile's lock comes last: nothing is called under it.
    static void before_fork() {
        Base::before_fork();
        heap_profile<W>.lock().acquire();
    }
    static void after_fork_in_parent() {
        heap_profile<W>.lock().release();
        Base::after_fork_in_parent();
    }
    static void after_fork_in_child() {
        heap_profile<W>.lock().reset();
        Base::after_fork_in_child();
    }

  private:
    struct Unmasked {
        Unmasked() { W::unmask(); }
        ~Unmasked() { W::mask(); }
        Unmasked(const Unmasked&) = delete;
        Unmasked& operator=(const Unmasked&) = delete;
    };

    static Heap<W>* heap() { return static_cast<Heap<W>*>(W::current_heap()); }

    static FreshBlock small(std::size_t bytes, SizeClass c, Address site) {
        const Unmasked unmasked;
        const bool chosen = is_chosen(bytes);
        if (chosen) [[unlikely]] {
            // Whoever wants a higher alignment got a class whose blocks have it.
            const std::size_t block = Classes<W>::block_bytes(c), alignment = block & (~block + 1);
            FreshBlock fresh{};
            if (start<W>() && heap_profile<W>.has_room())
                fresh = allocate_large(heap(), bytes == 0 ? 1 : bytes, alignment);
            if (fresh.block != nullptr) {
                take(fresh.block, bytes, site, block);
                return fresh;
            }
        }
        const FreshBlock fresh = hak::allocate_small(heap(), bytes, c);
        if (chosen && fresh.block != nullptr) [[unlikely]]
            heap_profile<W>.lose();
        return fresh;
    }
    static FreshBlock sampled(FreshBlock fresh, std::size_t bytes, Address site) {
        if (fresh.block != nullptr && is_chosen(bytes)) take(fresh.block, bytes, site);
        return fresh;
    }
    // Bytes of the small block that `p` stands in for; 0 if it is no such sample.
    static std::size_t bytes_to_run_end(const void* p) {
        return heap_profile<W>.may_be_sampled(address_of(p))
                   ? heap_profile<W>.bytes_to_run_end(address_of(p))
                   : 0;
    }
    static void forget(void* p) {
        if (heap_profile<W>.may_be_sampled(address_of(p)))
            heap_profile<W>.forget(address_of(p), W::Pal::now_ms());
    }

    static bool is_chosen(std::size_t bytes) {
        CallStack::prepare();
        if (bytes == 0) bytes = 1;
        Heap<W>* const mine = heap();
        if (!has_heap(mine)) return heap_profile<W>.is_sampled_by_all(bytes);
        std::int64_t left = mine->sample_left.get();
        if (left == 0) left = heap_profile<W>.draw();
        const bool chosen = profile::is_sampled(left, bytes);
        mine->sample_left.set(chosen ? heap_profile<W>.draw() : left);
        return chosen;
    }
    // Site 0: the caller. `room`: of the small block that it stands in for.
    static HAK_COLD void take(void* p, std::size_t bytes, Address site, std::size_t room = 0) {
        const ErrnoKeeper keep;
        const CallStack stack;
        heap_profile<W>.note(address_of(p), bytes == 0 ? 1 : bytes,
                             site != 0 ? site : stack.caller(), stack.frames(), stack.depth(),
                             W::Pal::now_ms(), room);
    }
};

inline constinit int first_process = 0;

// Once the options are known, if the user asked for a profile.
template <World W>
HAK_COLD void start_profile() {
    if (options.profile_interval == 0 || heap_profile<W>.interval() != 0) return;
    first_process = ::getpid();
    if (heap_profile<W>.open(options.profile_interval, W::Pal::entropy()))
        return W::begin_masking();
    options.profile_interval = 0;  // once asked is enough
    Text text;
    text << "hakmem: profile: no memory for its tables; there is no profile\n";
    text.print();
}

}  // namespace hak
