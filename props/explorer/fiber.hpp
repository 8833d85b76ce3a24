// fiber.hpp: a logical thread's stack, and the switch from one to another. A switch saves the
// registers that a call preserves and nothing else: no signal mask, no floating-point modes. A
// fiber that is prepared again forgets what it was doing.
#pragma once

#include <cstddef>
#include <cstdint>

// EXPLORER_UCONTEXT may be defined on any processor, to try what other processors get.
#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(EXPLORER_UCONTEXT)
#    define EXPLORER_UCONTEXT
#endif
#ifdef EXPLORER_UCONTEXT
#    include <ucontext.h>
#endif

namespace explorer {

class Fiber {
  public:
    using Entry = void (*)();

    Fiber() = default;
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;
    ~Fiber();

    // The next switch to this fiber calls `entry`, which never returns.
    void prepare(Entry entry);
    // Goes on where `to` stopped. `from` goes on here when somebody switches to it.
    static void switch_to(Fiber& from, Fiber& to);
    // Whether an address lies on this fiber's stack.
    bool holds(const void* p) const {
        return reinterpret_cast<std::uintptr_t>(p) - reinterpret_cast<std::uintptr_t>(stack_) <
               kStackBytes;
    }

  private:
    // The low end stays without access, so that an overflow is a crash and not a wrong answer.
    static constexpr std::size_t kStackBytes = 256 * 1024, kGuardBytes = 64 * 1024;

    void map_stack();

    char* stack_ = nullptr;
#ifdef EXPLORER_UCONTEXT
    ucontext_t context_;
#else
    void* sp_ = nullptr;
#endif
};

}  // namespace explorer
