// client.hpp: the exported functions' own source, on the heap of world W, called as a client calls
// them, each with a judge of errno.
#pragma once

#include <cerrno>
#include <new>

#include "api/direct_front_end.hpp"
#include "api/malloc.hpp"
#include "api/new_delete.hpp"
#include "props/kit/shadow_heap.hpp"

namespace kit {

template <hak::World W>
class Client {
  public:
    using C = hak::api::CFamily<hak::DirectFrontEnd<W>>;
    using New = hak::api::OperatorNew<hak::DirectFrontEnd<W>>;

    static constexpr int kUntouched = 12345;  // no call sets errno to it

    // A call that gives a block, or null and sets errno to `error`.
    template <class Call>
    static void* get(int error, Call call) {
        errno = kUntouched;
        void* const p = call();
        require(errno == (p == nullptr ? error : kUntouched), "errno is ", errno,
                " after a call that gave ", p == nullptr ? "null" : "a block");
        return p;
    }
    // A call that leaves errno alone.
    template <class Call>
    static void run(Call call) {
        errno = kUntouched;
        call();
        require(errno == kUntouched, "errno is ", errno, " after a free");
    }

    static void* get_posix(std::size_t alignment, std::size_t n) {
        void* const untouched = &handler_calls_;
        void* p = untouched;
        int code = 0;
        run([&] { code = C::posix_memalign(&p, alignment, n); });
        const bool is_valid = hak::is_power_of_two(alignment) && alignment % sizeof(void*) == 0;
        require(code == 0 || code == (is_valid ? ENOMEM : EINVAL), "posix_memalign returned ",
                code);
        require((code == 0) == (p != untouched), "posix_memalign returned ", code,
                p == untouched ? " and gave no block" : " and wrote to its argument");
        return code == 0 ? p : nullptr;
    }

    // Null: bad_alloc was thrown by a form that throws, after the handler, if there is one, was
    // called.
    static void* get_new(std::size_t n, std::size_t alignment, hak::Origin origin, bool may_throw) {
        const bool has_handler = std::get_new_handler() != nullptr;
        handler_calls_ = 0;
        void* const p = get(kUntouched, [&]() -> void* {
            try {
                void* const block = alignment == 0
                                        ? New::allocate(n, origin, may_throw)
                                        : New::allocate(n, static_cast<std::align_val_t>(alignment),
                                                        origin, may_throw);
                require(block != nullptr || !may_throw, "operator new returned null");
                return block;
            } catch (const std::bad_alloc&) {
                require(may_throw, "a nothrow operator new has thrown");
                return nullptr;
            }
        });
        require(p != nullptr || !has_handler || handler_calls_ == 1,
                "no memory, and the new-handler was called ", handler_calls_, " times");
        return p;
    }
    static void set_handler(bool is_installed) {
        std::set_new_handler(is_installed ? on_no_memory : nullptr);
    }

    // By the o-th of sixteen ways, a size or an alignment that no system has; `block` is what a
    // realloc gets. Must give null, and leave the block.
    static void* ask_too_much(unsigned o, void* block) {
        // volatile: g++ 12 follows a constant through calloc to a memset of SIZE_MAX bytes, and
        // warns about what is never run.
        const volatile std::size_t unseen = SIZE_MAX;
        const std::size_t most = unseen, half = most / 2 + 1;
        switch (o) {
            case 0:
                return get(ENOMEM, [&] { return C::malloc(most); });
            case 1:
                return get(ENOMEM, [&] { return C::malloc(half); });
            case 2:
                return get(ENOMEM, [&] { return C::calloc(1, most); });
            case 3:
                return get(ENOMEM, [&] { return C::calloc(half, 2); });
            case 4:
                return get(ENOMEM, [&] { return C::realloc(block, most); });
            case 5:
                return get(ENOMEM, [&] { return C::reallocarray(block, most / 16 + 1, 16); });
            case 6:
                return get(ENOMEM, [&] { return C::memalign(64, most); });
            case 7:
                return get(ENOMEM, [&] { return C::memalign(half, 1); });
            case 8:
                return get(EINVAL, [&] { return C::memalign(half + 1, 1); });
            case 9:
                return get_posix(64, most);
            case 10:
                return get_posix(half, 1);
            case 11:
                return get(ENOMEM, [&] { return C::valloc(most); });
            case 12:
                return get(ENOMEM, [&] { return C::pvalloc(most); });
            case 13:
                return get_new(most, 0, hak::Origin::operator_new, true);
            case 14:
                return get_new(half, 0, hak::Origin::operator_new_array, false);
            default:
                return get_new(most, 4096, hak::Origin::operator_new, false);
        }
    }

    // In the form that fits what allocated the block.
    static void free(void* p, const ShadowBlock& was, bool says_size) {
        run([&] {
            if (was.origin == hak::Origin::malloc) {
                if (!says_size) return C::free(p);
                return was.alignment == 0 ? C::free_sized(p, was.requested)
                                          : C::free_aligned_sized(p, was.alignment, was.requested);
            }
            const hak::api::OperatorDelete<hak::DirectFrontEnd<W>> release{"operator delete",
                                                                           was.origin};
            const auto alignment = static_cast<std::align_val_t>(was.alignment);
            if (was.alignment == 0) return says_size ? release(p, was.requested) : release(p);
            return says_size ? release(p, was.requested, alignment) : release(p, alignment);
        });
    }

  private:
    static void on_no_memory() {
        ++handler_calls_;
        std::set_new_handler(nullptr);
        os.heal();
        C::malloc_trim(0);
    }
    static inline int handler_calls_ = 0;
};

}  // namespace kit
